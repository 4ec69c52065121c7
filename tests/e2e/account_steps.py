"""What a person does in the security centre, step by step."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pyotp
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.site import OLD, Site, Someone
from tests.e2e.steps import sign_in

KEY = re.compile(r"[A-Z2-7 ]{39}")


def signed_in(page: Page, who: Someone) -> None:
    sign_in(page, who.key, OLD)
    page.wait_for_url("**/account")


def totp(site: Site, seed: str, steps: int = 0) -> str:
    return pyotp.TOTP(seed).at(site.clock() // 1000 + 30 * steps)


def add_totp(page: Page, site: Site) -> str:
    """From the list of ways to a working app; its seed."""
    page.goto("/account/totp")
    page.locator("form[action='/account/totp'] button").click()
    page.wait_for_url("**/account/totp/*")
    seed = (page.locator(".secret-key").text_content() or "").replace(" ", "")
    page.locator("#code").fill(totp(site, seed, -1))
    page.locator("main form button[type=submit]").click()
    page.wait_for_url("**/account/ways?done=totp_added")
    return seed


def second_step(page: Page, code: str) -> None:
    expect(page.locator("#code")).to_be_visible()
    page.locator("#code").fill(code)
    page.locator("main form button[type=submit]").click()


def never_fills_in(context: BrowserContext) -> None:
    """No page offers passkeys for filling in: an authenticator that somebody touches would choose one at once."""
    context.add_init_script(
        "if (window.PublicKeyCredential) PublicKeyCredential.isConditionalMediationAvailable = async () => false"
    )


def authenticator(context: BrowserContext, page: Page, *, fills_in: bool = False) -> Callable[[bool], None]:
    """A device of this browser that keeps passkeys and knows its user by heart; what it gives says whether somebody
    touches it."""
    if not fills_in:
        never_fills_in(context)
    cdp = context.new_cdp_session(page)
    cdp.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    key = cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})["authenticatorId"]

    def touched(enabled: bool) -> None:
        cdp.send("WebAuthn.setAutomaticPresenceSimulation", {"authenticatorId": key, "enabled": enabled})

    return touched


def six(mail: dict[str, Any]) -> str:
    """The six-digit code of a mail that confirms an address."""
    found = re.search(r"^(\d{6})\r?$", mail["text"], re.M)
    assert found, mail["text"]
    return found[1]
