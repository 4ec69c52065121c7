"""`keyback bounces take`: what a mail server pipes into it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from keyback.application.notifications import returned_mail
from keyback.application.ports.storage import Tx
from tests.support.commands import Keyback, on_services
from tests.support.kit import person
from tests.support.reports import report


async def message_id_of_maya(s: Any) -> str:
    def made(tx: Tx) -> str:
        tx.people.save_imported([person("maya")])
        who = tx.people.match(["maya"])["maya"][0].person.id
        return returned_mail.token_for(tx.seals, tx.contacts.of_person(who)[0], tx.now)

    return f"<x.{await s.db.write(made)}@example.com>"


@pytest.mark.covers("Y1", "Y2")
def test_a_pipe_gives_reports_and_whatever_else_comes(keyback: Keyback, place: Path) -> None:
    message_id = on_services(message_id_of_maya)
    assert "isn't a delivery report" in keyback("bounces", "take", text="Subject: hi\n\nI am away.").stdout
    text = report(message_id).decode()
    assert "now count as returned" in keyback("bounces", "take", text=text).stdout
    assert "Nothing new" in keyback("bounces", "take", text=text).stdout
    assert "isn't a delivery report" in keyback("bounces", "take", text=report("<x@example.com>").decode()).stdout
