"""Somebody asks the help desk for help, as by a browser."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from keyback.domain.secret import Secret
from tests.support.browser import Browser
from tests.support.kit import Kit
from tests.support.steps import Tray, ask, drain

ADDRESS = "omar.at.home@example.net"
REASON = "My phone was stolen, and my mailbox was on it."
XSS = '<script>alert(1)</script>"><img src=x onerror=alert(2)> {{ 7*7 }} javascript:alert(3)'


def send(browser: Browser, at: str, **values: str) -> Any:
    return browser("POST", at, urlencode(values))


def code_to(tray: Tray, kit: Kit, address: str = ADDRESS) -> str:
    drain(kit)
    code = tray.to(address, "help_code")[-1].content.code  # type: ignore[attr-defined]
    assert isinstance(code, Secret)
    return code.reveal()


def asks(kit: Kit, tray: Tray, who: str = "omar", reason: str = REASON, contact: str = ADDRESS) -> tuple[Browser, str]:
    """A page that asked for help, whose address is confirmed."""
    started = ask(kit, who)
    drain(kit)
    browser, at = Browser(kit, started), f"/r/{started.handle}/help"
    assert send(browser, at, reason=reason, contact=contact).headers["location"] == at
    assert send(browser, f"{at}/code", code=code_to(tray, kit, contact)).headers["location"] == at
    return browser, at
