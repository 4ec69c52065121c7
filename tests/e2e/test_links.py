"""Mailed links: nothing happens by opening them, and none of them ends in a dead end."""

from __future__ import annotations

from collections.abc import Callable

import httpx2
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from keyback.locale import gettext
from tests.e2e.site import NEW, Site, Someone
from tests.e2e.steps import (
    ask,
    cancel,
    choose,
    fits,
    heading,
    look_again,
    prove_by_code,
    prove_by_link,
    recovery_link,
    sign_in,
    stop_link,
    to_password,
    to_result,
    type_number,
    was_not_me,
)

Device = Callable[..., BrowserContext]
SLOW = pytest.mark.slow  # a second language; the other one is in the default run
SCANNER = "Mozilla/5.0 (compatible; ExampleMailGuard/4.1)"


@pytest.mark.slow
@pytest.mark.covers("C5", "R-5")
def test_a_scanner_neither_uses_nor_spends_the_link(site: Site, page: Page, device: Device) -> None:
    who = site.person()
    handle = ask(page, who.mail)
    link, stop = recovery_link(site.mail(who)), stop_link(site.mail(who))
    before = site.sql("SELECT * FROM challenges WHERE intake_id = ?", handle), site.sql("SELECT count(*) FROM events")
    with httpx2.Client(headers={"User-Agent": SCANNER}, follow_redirects=True, trust_env=False) as filter_:
        for _ in range(100):
            assert filter_.head(link).status_code == filter_.get(link).status_code == 200
    scanner = device("en-US", user_agent=SCANNER)
    for url in (link, stop):
        scanner.new_page().goto(url, wait_until="networkidle")
    page.wait_for_timeout(3000)  # scripts run, and nothing presses itself
    after = site.sql("SELECT * FROM challenges WHERE intake_id = ?", handle), site.sql("SELECT count(*) FROM events")
    assert after == before
    heading(page, "en", "Check your email")
    prove_by_link(page, link)
    choose(page)
    heading(page, "en", "Your new password works")


def ended(page: Page, locale: str, head: str, way_out: str) -> None:
    """A link that cannot go on says why and offers one next step."""
    heading(page, locale, head)
    expect(page.locator(".actions .button").first).to_have_text(gettext(locale, way_out))


@pytest.mark.covers("X-4", "N-R5")
@pytest.mark.parametrize("locale", [pytest.param("en", marks=SLOW), "zh_CN"])
def test_an_expired_link_is_renewed_by_one_click(site: Site, device: Device, locale: str) -> None:
    who = site.person(locale)
    page = device("zh-CN" if locale == "zh_CN" else "en-US", 360).new_page()
    handle = ask(page, who.mail)
    link = recovery_link(site.mail(who))
    site.later(minutes=61)
    page.goto(link)
    ended(page, locale, "This link has expired", "Send a new email")
    page.locator("form[action='/link/again'] button").click()
    heading(page, locale, "A new email is on its way")
    page.locator(".actions .button").click()
    assert page.url.endswith(handle)
    prove_by_link(page, recovery_link(site.mail(who, 2)))
    page.goto(link)
    ended(page, locale, "There is a newer email", "Continue where you were")
    page.locator(".actions .button").first.click()
    heading(page, locale, "Choose a new password")


@pytest.mark.slow
@pytest.mark.covers("C14", "INV-I1")
def test_a_used_link_leads_on_in_its_browser_and_nowhere_else(site: Site, page: Page, device: Device) -> None:
    who = site.person()
    to_password(page, site, who)
    link = recovery_link(site.mail(who))
    page.goto(link)
    ended(page, "en", "This link has been used", "Continue where you were")
    page.locator(".actions .button").first.click()
    choose(page)
    heading(page, "en", "Your new password works")
    other = device().new_page()
    other.goto(link)
    ended(other, "en", "This link has been used", "Send a new email")
    other.locator("form[action='/link/again'] button").click()
    heading(other, "en", "We just sent an email")
    expect(other.locator("form[action='/link/again'] button")).to_be_disabled()
    site.applied()
    assert len(site.mailbox.messages(who.mail)) == 2, "the letter about the change, and no third one"


@pytest.mark.slow
@pytest.mark.covers("C16")
def test_an_older_link_points_to_the_newer_mail(site: Site, page: Page) -> None:
    who = site.person()
    handle = ask(page, who.mail)
    old = recovery_link(site.mail(who))
    site.later(minutes=3)
    look_again(page)
    page.locator("#again button").click()
    newer = recovery_link(site.mail(who, 2))
    page.goto(old)
    ended(page, "en", "There is a newer email", "Continue where you were")
    page.goto(f"/r/{handle}")
    prove_by_link(page, newer)


@pytest.mark.slow
@pytest.mark.covers("INV-I9", "C16", "C20")
@pytest.mark.parametrize("locale", ["en", pytest.param("zh_CN", marks=SLOW)])
def test_a_strangers_mail_in_the_owners_browser_leads_back_to_their_own(
    site: Site, device: Device, locale: str
) -> None:
    who = site.person(locale)
    mine = device("zh-CN" if locale == "zh_CN" else "en-US", 360).new_page()
    own = ask(mine, who.mail)
    site.mail(who)
    stranger = device().new_page()
    for n in (2, 3):  # as many as the hour has
        ask(stranger, who.key)
        theirs = recovery_link(site.mail(who, n))
    mine.goto(theirs)
    heading(mine, locale, "This email belongs to another request")
    assert not mine.locator("#number").count()
    fits(mine)
    mine.locator("form[action='/link/fetch'] button").click()
    heading(mine, locale, "A new email is on its way")
    fetched = recovery_link(site.mail(who, 4))
    mine.goto(theirs)
    assert not mine.locator("form[action='/link/fetch'] button").count(), "each email helps once"
    was_not_me(mine)
    site.mail(who, 5)  # which tells of it
    mine.goto(f"/r/{own}")
    prove_by_link(mine, fetched)
    look_again(stranger)
    heading(stranger, "en", "Check your email")  # they see nothing of all this


@pytest.mark.slow
def test_a_broken_link_says_so(page: Page) -> None:
    for path, says in (("/l/abc", "This link is incomplete"), ("/l/" + "A" * 22, "We don’t know this link")):
        page.goto(path)
        ended(page, "en", says, "Start again")
    page.locator(".actions .button").click()
    heading(page, "en", "Reset your password")
    page.context.clear_cookies()
    page.goto("/link")
    ended(page, "en", "No link is open here", "Start again")


@pytest.mark.slow
def test_a_wrong_number_ends_the_link(site: Site, page: Page, device: Device) -> None:
    who = site.person()
    ask(page, who.mail)
    shown = page.locator(".number-shown output").inner_text()
    phone = device(width=360).new_page()
    phone.goto(recovery_link(site.mail(who)))
    type_number(phone, str(109 - int(shown)))
    heading(phone, "en", "Wrong number")
    phone.goto(recovery_link(site.mail(who)))
    heading(phone, "en", "Wrong number")
    assert not phone.locator("#number").count()
    assert not phone.locator("form[action='/link/again']").count(), "no next mail for whoever was told a number"
    site.later(minutes=3)
    look_again(page)
    page.locator("#again button").click()
    expect(page.locator(".notice-done")).to_contain_text("Sent again")  # it looks alike, but mails no second guess
    ask(page, who.mail)
    prove_by_code(page, site, who, 2)
    was_not_me(phone)
    heading(phone, "en", "This recovery is canceled")
    look_again(page)
    heading(page, "en", "This recovery was canceled")


@pytest.mark.slow
@pytest.mark.covers("E13", "N-R12")
@pytest.mark.parametrize("locale", [pytest.param("en", marks=SLOW), "zh_CN"])
def test_it_was_not_me(site: Site, device: Device, locale: str) -> None:
    who = site.person(locale)
    words = "zh-CN" if locale == "zh_CN" else "en-US"
    stranger, owner = device("en-US").new_page(), device(words, 360).new_page()
    ask(stranger, who.key)
    mail = site.mail(who)
    owner.goto(stop_link(mail))
    heading(owner, locale, "Cancel this recovery?")
    assert who.key in owner.locator(".facts").inner_text()
    look_again(stranger)
    heading(stranger, "en", "Check your email")
    owner.locator("form[action='/stop'] button").click()
    heading(owner, locale, "This recovery is canceled")
    assert site.mail(who, 2)["links"] is not None
    owner.goto(recovery_link(mail))
    ended(owner, locale, "This recovery was canceled", "Start again")
    stranger.locator("#code").fill(mail["codes"][0])
    stranger.locator("form[action$='/code'] button").click()
    expect(stranger.locator("#code-error")).to_be_visible()
    assert not stranger.locator("#new_password").count()


def test_stopping_where_it_began(site: Site, page: Page) -> None:
    who = site.person()
    ask(page, who.mail)
    link = recovery_link(site.mail(who))
    cancel(page)
    heading(page, "en", "This recovery is canceled")
    page.goto(link)
    ended(page, "en", "This recovery was canceled", "Start again")


@pytest.mark.covers("C20")
def test_a_recovery_stays_in_its_browser(site: Site, page: Page, device: Device) -> None:
    who = site.person()
    handle = ask(page, who.mail)
    other = device().new_page()
    for path in (f"/r/{handle}", "/r/" + "A" * 22):
        other.goto(path)
        ended(other, "en", "This recovery isn’t open here", "Start again")
    prove_by_code(page, site, who)
    other.goto(f"/r/{handle}")
    heading(other, "en", "This recovery isn’t open here")


def logins(site: Site, who: Someone) -> str:
    return str(site.mail(who)["text"])


@pytest.mark.covers("A1")
@pytest.mark.parametrize("locale", ["en", pytest.param("zh_CN", marks=SLOW)])
def test_find_my_user_name(site: Site, device: Device, locale: str) -> None:
    who = site.person(locale, crm=True)
    page = device("zh-CN" if locale == "zh_CN" else "en-US", 360).new_page()
    page.goto("/")
    page.locator("a[href='/find']").click()
    page.locator("#identifier").fill("not an address")
    page.locator("form button").click()
    expect(page.locator("#identifier-error")).to_be_visible()
    page.locator("#identifier").fill(who.mail)
    page.locator("form button").click()
    heading(page, locale, "Check your email")
    assert who.key in logins(site, who)
    assert not page.locator("#code").count()
    page.locator(".actions a[href='/sign-in']").click()
    heading(page, locale, "Sign in")


@pytest.mark.slow
@pytest.mark.covers("E15", "C15")
def test_pressing_twice_changes_it_once(site: Site, page: Page) -> None:
    who = site.person()
    handle = to_password(page, site, who)
    posts: list[str] = []
    page.on("request", lambda r: posts.append(r.url) if r.method == "POST" and "/check" not in r.url else None)
    form = {k: page.locator(f"[name={k}]").input_value() for k in ("submission", "accounts")}
    page.locator("#new_password").fill(NEW)
    page.locator("form[data-password] button[type=submit]").dblclick()
    heading(page, "en", "Your new password works")
    assert posts == [f"{site.url}/r/{handle}/password"]
    # Without the script's help the second press arrives as well: same form, same answer, no second change.
    again = {**form, "new_password": NEW, "username": who.key}
    post = page.context.request.post
    same = post(posts[0], form=again, headers={"Origin": site.url})
    assert same.status == 200
    assert "A password was already chosen" not in same.text()
    other = post(posts[0], form={**again, "submission": "another"}, headers={"Origin": site.url})
    assert other.status == 409
    assert "A password was already chosen" in other.text()
    site.applied()
    assert site.changes(handle) == 1
    assert len(site.mailbox.messages(who.mail)) == 2


@pytest.mark.slow
@pytest.mark.covers("E15")
def test_going_back_changes_nothing(site: Site, page: Page) -> None:
    who = site.person()
    to_password(page, site, who)
    second = page.context.new_page()
    second.goto(page.url)
    heading(second, "en", "Choose a new password")
    choose(page)
    heading(page, "en", "Your new password works")
    choose(second, "another kettle sings 12")
    expect(second.locator(".notice-care")).to_contain_text("A password was already chosen")
    for _ in range(3):
        page.go_back()
        assert not page.locator("#new_password").count()
    sign_in(page, who.key, "another kettle sings 12")
    expect(page.locator("#password-error")).to_be_visible()
    sign_in(page, who.key, NEW)
    heading(page, "en", "Security center")


@pytest.mark.slow
def test_after_it_is_done_the_page_stays_true(site: Site, page: Page) -> None:
    who = site.person()
    handle = to_result(page, site, who)
    heading(page, "en", "Your new password works")
    site.later(minutes=60 * 23)
    page.goto(f"/r/{handle}")
    heading(page, "en", "Your new password works")
    late = site.person()
    to_password(page, site, late)
    site.later(minutes=21)
    look_again(page)
    heading(page, "en", "This recovery has expired")
