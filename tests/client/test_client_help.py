"""`keyback.client` asks the help desk for help, against the whole app."""

from __future__ import annotations

from dataclasses import replace

import httpx2
import pytest

from keyback.client import AsyncClient, Problem
from keyback.web.app import make_app, make_context
from tests.support.console import staffed
from tests.support.help import ADDRESS, REASON, code_to
from tests.support.remedies import Make


def test_help_is_asked_for_confirmed_and_had_again(make_kit: Make) -> None:
    staff = staffed(make_kit())
    kit = staff.kit
    app = make_app(make_context(kit.settings, kit.services))
    client = AsyncClient(kit.settings.public_url, transport=httpx2.ASGITransport(app=app))
    recovery = kit.run(client.start("omar", journey="mailbox"))
    assert kit.run(recovery.help_request()).state == "not_asked"
    with pytest.raises(Problem, match="invalid") as refused:
        kit.run(recovery.ask_for_help("My password is tr0ub4dor", ADDRESS))
    assert [(e.field, e.code) for e in refused.value.errors] == [("reason", "has_password")]
    asked = kit.run(recovery.ask_for_help(REASON, ADDRESS))
    assert asked.state == "unconfirmed"
    assert ADDRESS not in repr(asked)
    with pytest.raises(Problem, match="too_early"):
        kit.run(recovery.resend_help_code())
    waits = kit.run(recovery.confirm_help_request(code_to(staff.tray, kit)))
    assert (waits.state, waits.place) == ("open", 1)
    assert kit.run(recovery.write_to_desk("I am at home.")).messages[0].text == "I am at home."
    handle = recovery.handle
    kit.write(lambda tx: tx.help_requests.save(replace(tx.help_requests.get(handle), state="closed", closed_at=tx.now)))
    assert kit.run(recovery.help_request()).may_reopen
    assert kit.run(recovery.reopen_help_request("It was not solved.")).state == "open"
