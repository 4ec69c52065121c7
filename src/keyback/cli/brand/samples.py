"""What the preview of a brand shows: an invented person in the middle of a recovery."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keyback.application.ports.messages import ChangedMessage, Content, HoldMessage, RecoveryMessage
from keyback.domain.passwords.rules import PRESETS, requirements
from keyback.domain.secret import Secret
from keyback.domain.units import HOUR, MINUTE
from keyback.locale import Locale, gettext
from keyback.settings import Settings
from keyback.web.account.pages import SignIn
from keyback.web.portal.pages import AccountChoice, Forgot, Help, Password, Results, SystemResult, Triage, Waiting
from keyback.web.ui.page import Page, PasswordRule

BASE: Final = "https://keyback.example.com"
NOW: Final = 1_795_500_120_000
_HANDLE: Final = "hR7mQ2xVd9Kp"
_LOGIN: Final = "maya.okafor"
_CRM: Final = "CRM"


def pages(s: Settings, locale: Locale) -> Iterator[tuple[str, Page]]:
    """Pages from the first to the last; systems by the names that the settings give them."""
    titles = [system.title for system in s.systems.values()][:2] or [_CRM]
    crm = [SystemResult(t, "done", at=NOW, username=_LOGIN, open_url=f"{BASE}/sign-in") for t in titles[:1]]
    yield "first", Triage()
    yield "forgot", Forgot()
    yield "waiting", Waiting(_HANDLE, 47, 552, 600, 98)
    rules = requirements(PRESETS[s.password.preset])
    listed = tuple(PasswordRule(r.code, gettext(locale, r.text, **r.values)) for r in rules)
    choices = tuple(AccountChoice(str(n), t, _LOGIN) for n, t in enumerate(titles))
    yield (
        "password",
        Password(
            handle=_HANDLE,
            display_name="Maya",
            username=_LOGIN,
            minutes_left=18,
            min_length=PRESETS[s.password.preset].min_length,
            requirements=listed,
            accounts=choices,
            submission="preview",
        ),
    )
    yield "done", Results(_HANDLE, tuple(crm), True, built_in=False)
    yield "sign-in", SignIn()
    yield "help", Help()


def contents(s: Settings, locale: Locale) -> Iterator[tuple[str, Content]]:
    """What the main emails say."""
    title = next((system.title for system in s.systems.values()), _CRM)
    seen = {"source": "203.0.113.7", "device": "Windows, Chrome"}
    yield (
        "recovery",
        RecoveryMessage(
            username=_LOGIN,
            **seen,
            asked_at=NOW,
            asker="stranger",
            challenge="preview",
            case="preview",
            link=Secret(f"{BASE}/l/5pQxw2tEJm9RkA0cVb7dNs"),
            stop_link=Secret(f"{BASE}/l/9cTz7uWbKe4HqY1nXfs8Ld"),
            code=Secret("48271905"),
            link_expires_at=NOW + HOUR,
            code_expires_at=NOW + 10 * MINUTE,
        ),
    )
    stop = Secret(f"{BASE}/l/9cTz7uWbKe4HqY1nXfs8Ld")
    done = ((title, "done"),)
    yield (
        "changed",
        ChangedMessage(
            username=_LOGIN, **seen, at=NOW, systems=done, case="preview", opens=((title, BASE),), stop_link=stop
        ),
    )
    yield "hold", HoldMessage(username=_LOGIN, **seen, at=NOW, until=NOW + 24 * HOUR, over=False, stop_link=stop)
