"""Recoveries that put a lost second step right."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from typing import Any

from keyback.application.recovery import (
    evidence,
)
from keyback.domain.secret import Secret
from keyback.testing.authenticator import Authenticator
from tests.support.enrolled import (
    SMS,
    add_codes,
    add_contact,
    add_totp,
    answer_way,
    ask_way,
    person_id,
)
from tests.support.kit import Kit, person
from tests.support.steps import (
    OLD,
    Tray,
    accept,
    ask,
    drain,
    fit,
    secrets_of,
    set_password,
)

Make = Callable[..., Kit]


def kit_of(make_kit: Make, url: str | None = None) -> tuple[Kit, Tray]:
    kit = make_kit(url=url, sms=SMS)
    kit.write(lambda tx: tx.people.save_imported([person("maya"), person("omar")]))
    return kit, fit(kit)


def begun(kit: Kit, tray: Tray, journey: str) -> Any:
    started = ask(kit, "maya", journey=journey)
    drain(kit)
    if journey != "mailbox":
        assert accept(kit, secrets_of(tray.messages[-1])[0]) is None
    return started


def waited(kit: Kit, hours: float = 25) -> None:
    kit.clock.forward(hours=hours)
    kit.write(evidence.release)


def by_phone(kit: Kit, tray: Tray) -> Any:
    add_contact(kit, "sms", "+8613800000034")
    started = begun(kit, tray, "mailbox")
    ask_way(kit, started.handle, "sms_code")
    code = tray.messages[-1].content.code
    assert isinstance(code, Secret)
    assert answer_way(kit, started.handle, "sms_code", code.reveal()) == "accepted"
    return started


URL = "http://localhost:8080"


def lost(make_kit: Make, **over: Any) -> tuple[Kit, Tray, Any]:
    """Somebody who lost their app and has shown mail and a saved code, after the wait."""
    kit = make_kit(public_url=over.pop("public_url", URL), **over)
    tray = fit(kit, person("maya"), person("omar"))
    set_password(kit, "maya", OLD)
    add_totp(kit, used_at=1)
    codes = add_codes(kit)
    started = ask(kit, "maya", journey="second_factor")
    drain(kit)
    assert accept(kit, secrets_of(tray.messages[-1])[0]) is None
    ask_way(kit, started.handle, "recovery_code")
    assert answer_way(kit, started.handle, "recovery_code", codes[0]) == "accepted"
    kit.clock.forward(minutes=16)
    kit.write(evidence.release)
    return kit, tray, started


def options_of(text: str) -> str:
    found = re.search(r'data-options="([^"]+)"', text)
    assert found, text
    return html.unescape(found[1])


def device(**over: Any) -> Authenticator:
    return Authenticator(**{"origin": URL, "rp_id": "localhost", **over})


def kinds(kit: Kit) -> list[str]:
    pid = person_id(kit)
    return sorted(f.kind for f in kit.read(lambda tx: tx.factors.of_person(pid)))
