"""Other ways to prove than the mailed link: what people have enrolled, and what they do on the pages."""

from __future__ import annotations

import os
import re
from typing import Any

import pyotp
from playwright.sync_api import BrowserContext, Page, expect

from keyback.application.ports.proofs import MakesCodes
from keyback.application.recovery import evidence
from keyback.domain.people.factor import Factor, SavedCode
from keyback.domain.people.person import Contact
from tests.e2e.account_steps import authenticator
from tests.e2e.site import Site, Someone
from tests.e2e.steps import heading, look_again

SHORT = re.compile(r"(?<!\d)\d{6}(?!\d)")


def person_id(site: Site, who: Someone) -> str:
    return str(site.read(lambda tx: tx.people.match([who.key]))[who.key][0].person.id)


def add_contact(site: Site, who: Someone, channel: Any, address: str, role: Any = "backup", name: str = "") -> str:
    """Confirmed long ago; the address."""
    pid = person_id(site, who)
    site.write(
        lambda tx: tx.contacts.add(Contact(tx.new_id(), pid, channel, address, role, "confirmed", "person", name))
    )
    return address


def add_phone(site: Site, who: Someone) -> str:
    return add_contact(site, who, "sms", f"+1202555{who.key.removeprefix('person'):0>4}")


def add_app(site: Site, who: Someone) -> str:
    """An authenticator app; its seed."""
    pid, seed = person_id(site, who), pyotp.random_base32()
    site.write(lambda tx: tx.factors.add(Factor(tx.new_id(), pid, "totp", "", "active", {"seed": seed})))
    return seed


def add_codes(site: Site, who: Someone, count: int = 2) -> list[str]:
    """Recovery codes as they stand on paper."""
    proof, pid = site.services.proofs["recovery_code"], person_id(site, who)
    assert isinstance(proof, MakesCodes)
    new = proof.new_codes(os.urandom, count)
    kept = [site.run(proof.hashed(c.secret)) for c in new]

    def add(tx: Any) -> None:
        f = Factor(tx.new_id(), pid, "recovery_codes", "", "active")
        tx.factors.add(f)
        tx.factors.put_codes([SavedCode(tx.new_id(), f.id, c.slot, phc) for c, phc in zip(new, kept, strict=True)])

    site.write(add)
    return [c.text for c in new]


def texts(site: Site, number: str, n: int = 1) -> list[dict[str, Any]]:
    """The first `n` messages to a phone, as soon as they are there."""
    site.until(lambda: len(_to(site, number)) >= n, f"{n} messages to a phone")
    return _to(site, number)[:n]


def text_code(site: Site, number: str, n: int = 1) -> str:
    """The `n`th code that was sent to a phone."""

    def codes() -> list[str]:
        return [c for m in _to(site, number) for c in m["codes"]]

    site.until(lambda: len(codes()) >= n, f"{n} codes to a phone")
    return codes()[n - 1]


def _to(site: Site, number: str) -> list[dict[str, Any]]:
    return [m for m in list(site.phone.messages) if m["to"] == number]


def mail_code(page: Page, site: Site, who: Someone, n: int = 1) -> None:
    """Types the mailed code, whatever comes after it."""
    page.locator("#code").fill(site.mail(who, n)["codes"][0])
    page.locator("form[action$='/code'] button").click()
    page.locator("form[action$='/code']").wait_for(state="detached")


def pick(page: Page, proof: str) -> None:
    """Chooses a way on the list."""
    page.locator(f"form[action$='/ways/{proof}'] button.choice").first.click()
    page.wait_for_url(f"**/ways/{proof}")


def answer(page: Page, typed: str) -> None:
    page.locator("#code").fill(typed)
    page.locator("form[action$='/answer'] button[type=submit]").click()


def show_app(page: Page, site: Site, seed: str) -> None:
    pick(page, "totp")
    answer(page, pyotp.TOTP(seed).at(site.clock() // 1000))
    page.wait_for_url(re.compile(r"/r/[^/]+$"))


def held(page: Page, locale: str, *, short: bool) -> None:
    heading(
        page,
        locale,
        "Identity verified. Please wait a moment" if short else "Identity verified. Your recovery is on hold",
    )


def let_go(site: Site, page: Page) -> None:
    """What the worker does every few seconds, at the clock's time; then the page as it stands."""
    site.write(evidence.release)
    look_again(page)


def add_passkey(context: BrowserContext, page: Page) -> None:
    """A passkey of this browser, made in the security centre by somebody who has just signed in."""
    authenticator(context, page)
    page.goto("/account/passkeys")
    page.locator("[data-passkey-button]").click()
    page.wait_for_url("**/account/ways?done=passkey_added")


def use_passkey(page: Page) -> None:
    pick(page, "passkey")
    page.locator("[data-passkey-button]").click()
    page.wait_for_url(re.compile(r"/r/[^/]+$"))


def alert(page: Page) -> None:
    expect(page.locator("[role=alert], .error:visible").first).to_be_visible()
