"""The pages of other ways to prove: the same for everybody before the first proof, and what they lead to."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from keyback.application.recovery import evidence, methods
from keyback.domain.secret import Secret
from tests.support.browser import Browser
from tests.support.enrolled import SMS, add_codes, add_contact, add_totp, totp_now
from tests.support.kit import Kit, person
from tests.support.steps import Tray, ask, drain, fit

Make = Callable[..., Kit]
WAYS = ("sms_code", "totp", "recovery_code", "recovery_contact", "backup_email")


def kit_of(make_kit: Make, url: str | None = None) -> tuple[Kit, Tray]:
    kit = make_kit(url=url, sms=SMS)
    kit.write(lambda tx: tx.people.save_imported([person("maya")]))
    return kit, fit(kit)


def plain(html: str, handle: str) -> str:
    """The page without what has to differ: its handle and what is derived from it."""
    html = html.replace(handle, "HANDLE")
    html = re.sub(r"<b>\d{4}</b>", "<b>DIGITS</b>", html)
    return re.sub(r'<time data-countdown="\d+"[^>]*>[^<]*</time>', "<time>", html)


@pytest.mark.slow
@pytest.mark.covers("A1", "W-6", "N-R4")
@pytest.mark.parametrize("name", WAYS)
def test_before_the_first_proof_every_page_is_the_same_for_everybody(make_kit: Make, name: str) -> None:
    kit, _ = kit_of(make_kit)
    add_totp(kit)
    add_codes(kit)
    add_contact(kit, "sms", "+8613800000034")
    add_contact(kit, "mail", "maya@home.example.net")
    add_contact(kit, "mail", "friend@example.org", "recovery", name="Omar")
    seen = []
    for who in ("maya", "nobody"):
        started = ask(kit, who)
        drain(kit)
        browser = Browser(kit, started)
        pages = []
        for method, path, body in (
            ("GET", "/ways", ""),
            ("POST", f"/ways/{name}", ""),
            ("GET", f"/ways/{name}", ""),
            ("POST", f"/ways/{name}/answer", "code=123456"),
            ("GET", f"/ways/{name}", ""),
            ("POST", f"/ways/{name}", ""),
            ("GET", "/status", ""),
        ):
            got = browser(method, f"/r/{started.handle}{path}", body)
            drain(kit)
            pages.append(
                (got.status_code, got.headers.get("location", "").replace(started.handle, "H"), len(got.content))
            )
            pages.append(plain(got.text, started.handle))
        seen.append(pages)
    assert seen[0] == seen[1]


def test_mail_and_authenticator_lead_through_the_wait_to_the_new_password(make_kit: Make, database_url: str) -> None:
    kit, tray = kit_of(make_kit, database_url)
    add_totp(kit)
    started = ask(kit, "maya")
    drain(kit)
    browser, at = Browser(kit, started), f"/r/{started.handle}"
    code = tray.messages[-1].content.code
    assert isinstance(code, Secret)
    assert browser("POST", f"{at}/code", f"code={code.reveal()}").status_code == 303
    more = browser("GET", at).text
    assert f'action="{at}/ways/totp"' in more
    assert "A link to your email" in more  # what is shown already
    assert browser("POST", f"{at}/ways/totp").headers["location"] == f"{at}/ways/totp"
    wrong = browser("POST", f"{at}/ways/totp/answer", "code=000000")
    assert wrong.status_code == 422
    assert "4 tries left" in wrong.text
    assert browser("POST", f"{at}/ways/totp/answer", f"code={totp_now(kit)}").status_code == 303
    held = browser("GET", at).text
    assert "Please wait a moment" in held
    assert f'href="{at}/hold.ics"' in held
    kept = browser("GET", f"{at}/hold.ics")
    assert kept.headers["content-type"] == "text/calendar; charset=utf-8"
    assert "SUMMARY:Continue your " in kept.text
    assert f"/r/{started.handle}\r\n" in kept.text
    assert "maya" not in kept.text, "calendars are shared"
    kit.clock.forward(minutes=15)
    assert kit.write(evidence.release) == 1
    assert browser("GET", f"{at}/hold.ics").headers["location"] == at, "nothing is on hold any more"
    assert 'name="new_password"' in browser("GET", at).text


@pytest.mark.covers("N-R3")
def test_a_used_code_s_successor_is_shown_once(make_kit: Make) -> None:
    kit, _ = kit_of(make_kit)
    codes = add_codes(kit)
    started = ask(kit, "maya")
    drain(kit)
    browser, at = Browser(kit, started), f"/r/{started.handle}"
    browser("POST", f"{at}/ways/recovery_code")
    drain(kit)
    got = browser("POST", f"{at}/ways/recovery_code/answer", f"code={codes[0]}")
    new = re.search(r'<b class="mono">([0-9A-Z-]{20})</b>', got.text)
    assert new
    assert new.group(1) not in browser("GET", at).text


@pytest.mark.covers("N-R8", "C5")
def test_a_colleague_vouches_in_another_browser_only(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    add_contact(kit, "mail", "friend@example.org", "recovery", name="Omar")
    started = ask(kit, "maya")
    drain(kit)
    mine, theirs, at = Browser(kit, started), Browser(kit), f"/r/{started.handle}"
    mine("POST", f"{at}/ways/recovery_contact")
    drain(kit)
    link = tray.messages[-1].content.link
    assert isinstance(link, Secret)
    path = link.reveal().removeprefix(kit.settings.public_url)
    digits = re.search(r"<b>(\d{4})</b>", mine("GET", f"{at}/ways/recovery_contact").text)
    assert digits
    for browser in (mine, theirs):
        assert browser("GET", path).headers["location"].startswith("/vouch?of=")
        for _ in range(20):
            assert "Maya" in browser("GET", "/vouch").text  # reading changes nothing
    assert mine("POST", "/vouch", f"code={digits.group(1)}").status_code == 410
    assert theirs("POST", "/vouch", "code=0000").status_code in (200, 422)
    done = theirs("POST", "/vouch", f"code={digits.group(1)}")
    assert "Thank you" in done.text
    assert 'name="new_password"' in mine("GET", at).text  # one proof, a network that is known


def test_a_way_that_is_not_taken_is_not_there(make_kit: Make) -> None:
    kit = make_kit(sms=SMS, policy={"off": ["sms_code"]})
    kit.write(lambda tx: tx.people.save_imported([person("maya")]))
    fit(kit)
    started = ask(kit, "maya")
    drain(kit)
    browser, at = Browser(kit, started), f"/r/{started.handle}"
    assert "sms_code" not in browser("GET", f"{at}/ways").text
    for name in ("sms_code", "email_link", "nonsense"):
        assert browser("POST", f"{at}/ways/{name}").headers["location"] == at
        assert browser("POST", f"{at}/ways/{name}/answer", "code=123456").headers["location"] == at
    assert kit.read(lambda tx: tx.challenges.requested(started.handle)) == []
    assert methods.offered(kit.services.proofs, kit.services.policy, "username") == ()
