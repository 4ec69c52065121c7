"""Programs and their keys in the console."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from keyback.domain.operators.roles import Role
from tests.support.api_client import Client
from tests.support.console import URL, staffed
from tests.support.kit import Kit

Make = Callable[..., Kit]
KEY = re.compile(r"keyback_[a-z2-7]{8}_[A-Za-z0-9_-]{43}")


@pytest.mark.covers("C12", "A-7.5.3")
def test_a_system_administrator_makes_replaces_and_removes_keys(make_kit: Make) -> None:
    kit = make_kit(public_url=URL)
    staff = staffed(kit)
    admin, officer = staff.add(Role.SYSTEM_ADMINISTRATOR), staff.add(Role.SECURITY_OFFICER)
    client = Client(kit)
    at = "/console/keys"
    kit.clock.forward(minutes=6)
    asked = admin.post(at, name="Ticket desk", days="30", scope="cases.view")
    assert asked.headers["location"] == f"/console/confirm?next={at}", "a second factor comes first"
    admin.confirm()
    for wrong, says in (
        ({"name": "", "days": "30", "scope": "cases.view"}, "Give the program a name"),
        ({"name": "Ticket desk", "days": "30"}, "Choose what the program may do"),
        ({"name": "Ticket desk", "days": "30", "scope": "cases.decide"}, "Choose what the program may do"),
        ({"name": "Ticket desk", "days": "9999", "scope": "cases.view"}, "Use 1 to 365 days"),
    ):
        got = admin.post(at, **wrong)
        assert (got.status_code, says in got.text) == (422, True), wrong
        assert wrong["name"] in got.text, "what was typed is still there"
    made = admin.post(at, name="Ticket <desk>", days="30", scope="cases.view")
    token = KEY.findall(made.text)
    assert len(token) == 1
    assert "Ticket &lt;desk&gt;" in made.text
    assert not KEY.search(admin.get(at).text), "it is shown once"
    assert client.get("/admin/me", secret=token[0]).json()["scopes"] == ["cases.view"]
    listed = officer.get(at).text
    assert "192.0.2.7" in listed
    assert f"{at}/" not in listed, "who only sees operators changes nothing"
    key_id = kit.read(lambda tx: tx.api_keys.listed())[0].id
    second = KEY.findall(admin.post(f"{at}/{key_id}/rotate").text)[0]
    assert [client.get("/admin/me", secret=t).status_code for t in (token[0], second)] == [200, 200]
    assert admin.post(f"{at}/{key_id}/remove").headers["location"] == at
    assert [client.get("/admin/me", secret=t).status_code for t in (token[0], second)] == [401, 200]
    assert "already gone" in admin.post(f"{at}/{key_id}/remove").text
