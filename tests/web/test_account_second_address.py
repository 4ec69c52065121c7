"""The security centre asks whoever can be told at one address only for another."""

from __future__ import annotations

from typing import Any

import pytest

from keyback.domain.people.person import Contact
from tests.support.centre import Centre


@pytest.mark.covers("N-R13")
def test_who_can_be_told_at_one_address_only_is_asked_for_another(centre: Centre) -> None:
    centre.sign_in()
    assert "Add a second address" in centre.get("/account").text
    pid = centre.who().id

    def add(tx: Any) -> None:
        assert tx.contacts.add(Contact(tx.new_id(), pid, "mail", "maya@example.net", "backup"))

    centre.at.run(centre.at.services.db.write(add))
    assert "Add a second address" not in centre.get("/account").text
