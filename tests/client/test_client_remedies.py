"""`keyback.client` replaces a lost second step and a lost mailbox, and signs in by passkey, against the whole app."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx2
import pyotp
import pytest

from keyback.client import AsyncClient, AsyncRecovery, Problem, models
from keyback.domain.challenges import challenge as ch
from keyback.domain.secret import Secret
from keyback.web.app import make_app, make_context
from tests.support.house import ROOT
from tests.support.kit import Kit
from tests.support.remedies import Make, by_phone, device, kinds, kit_of, lost, waited
from tests.support.steps import drain


def client_of(kit: Kit) -> AsyncClient:
    app = make_app(make_context(kit.settings, kit.services))
    return AsyncClient(kit.settings.public_url, transport=httpx2.ASGITransport(app=app))


def resumed(kit: Kit, started: Any) -> AsyncRecovery:
    secret = ch.holder_secret(kit.services.seals.derive("holder"), started.handle)
    return client_of(kit).resume(started.handle, secret)


def test_a_lost_phone(make_kit: Make) -> None:
    kit, _, started = lost(make_kit)
    recovery = resumed(kit, started)
    due = kit.run(recovery.status())
    assert isinstance(due, models.SecondStepDue)
    new = kit.run(recovery.start_app())
    assert new.seed not in repr(new)
    with pytest.raises(Problem, match="wrong_code"):
        kit.run(recovery.finish_app(new.id, "no"))
    done = kit.run(recovery.finish_app(new.id, pyotp.TOTP(new.seed).at(kit.clock() // 1000)))
    assert done.remedied == "factor_replaced"


def test_a_passkey_in_its_place_and_signing_in_with_it(make_kit: Make) -> None:
    kit, _, started = lost(make_kit)
    recovery, key = resumed(kit, started), device()
    asked = kit.run(recovery.start_passkey())
    done = kit.run(recovery.finish_passkey(asked.id, key.create(json.dumps(asked.options))))
    assert done.remedied == "factor_replaced"
    keyback = client_of(kit)
    challenge = kit.run(keyback.ask_passkey())
    signed = kit.run(keyback.sign_in_by_passkey(challenge.ticket, key.get(json.dumps(challenge.options))))
    found = kit.run(keyback.own_factors(signed.session))
    assert {f.kind for f in found.factors} == {"passkey", "recovery_codes"}
    sheet = kit.run(keyback.make_recovery_codes(signed.session))
    assert sheet.codes[0] not in repr(sheet)
    new = kit.run(keyback.add_app(signed.session))
    code = pyotp.TOTP(new.seed).at(kit.clock() // 1000)
    assert kit.run(keyback.confirm_app(signed.session, new.id, code)).result == "added"
    other = kit.run(keyback.add_passkey(signed.session))
    made = device().create(json.dumps(other.options))
    assert kit.run(keyback.confirm_passkey(signed.session, other.id, made, "Laptop")).result == "added"
    gone = next(f.id for f in kit.run(keyback.own_factors(signed.session)).factors if f.label == "Laptop")
    kit.run(keyback.drop_factor(signed.session, gone))
    assert kinds(kit) == ["passkey", "recovery_codes", "totp"]


def test_a_lost_mailbox(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    recovery = resumed(kit, by_phone(kit, tray))
    waited(kit)
    assert isinstance(kit.run(recovery.status()), models.MailboxDue)
    asked = kit.run(recovery.start_mailbox("maya.new@example.net"))
    drain(kit)
    code = tray.messages[-1].content.code
    assert isinstance(code, Secret)
    assert kit.run(recovery.finish_mailbox(asked.id, code.reveal())).remedied == "mailbox_replaced"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_function_on_its_page_is_right(language: str) -> None:
    page = (ROOT / "docs" / language / "client.md").read_text("utf-8")
    code = re.findall(r"```python\n(.*?)```", page, re.S)[2]
    there: dict[str, Any] = {}
    exec(compile(code, "client.md", "exec"), there)
    told: list[str] = []

    class Stub:
        def start_app(self) -> models.NewApp:
            return models.NewApp(id="i", seed="S", uri="otpauth://totp/x", expires_at="2026-11-22T09:30:00Z")  # type: ignore[arg-type]

        def finish_app(self, of: str, code: str) -> models.Done:
            assert (of, code) == ("i", "123456")
            return models.Done(results=(), remedied="factor_replaced")

    assert there["new_app"](Stub(), told.append, lambda _: "123456") == "factor_replaced"
    assert told == ["otpauth://totp/x"]
