"""What pages give away: nothing to other sites, nothing in addresses, nothing about who has an account."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, Request, expect

from tests.e2e.site import NEW, OLD, Site
from tests.e2e.steps import ask, cancel, choose, heading, look_again, recovery_link, sign_in, stop_link

Device = Callable[..., BrowserContext]


@pytest.mark.slow
@pytest.mark.covers("C6", "INV-I4", "A-14.2.1")
def test_the_token_goes_nowhere(site: Site, context: BrowserContext, page: Page) -> None:
    who = site.person(crm=True, guided=True)
    requests: list[Request] = []
    context.on("request", lambda r: requests.append(r))
    page.goto("/")
    ask(page, who.mail)
    mail = site.mail(who)
    secrets = [x.rsplit("/", 1)[1] for x in (recovery_link(mail), stop_link(mail))] + mail["codes"]

    def clean() -> None:
        links = page.eval_on_selector_all("[href], [src], [action]", "all => all.map(e => e.outerHTML)")
        seen = "\n".join([page.url, page.title(), page.evaluate("document.referrer"), *links])
        assert not [s for s in secrets if s in seen]

    page.goto(stop_link(mail))
    assert MARK.sub("", page.url) == f"{site.url}/stop"
    clean()
    page.goto(recovery_link(mail))
    assert MARK.sub("", page.url) == f"{site.url}/link"
    clean()
    page.locator("form[action='/link/accept'] button").click()
    page.locator("#new_password").fill(NEW)
    expect(page.locator(".strength")).to_be_visible()
    choose(page)
    expect(page.locator(".system[data-state=done]")).to_have_count(2)  # from here on it does not load itself anew
    clean()
    sign_in(page, who.key, NEW)
    page.wait_for_url("**/account")

    assert len(requests) > 20
    outside = [r.url for r in requests if not r.url.startswith(f"{site.url}/")]
    assert outside == []
    for r in requests:
        assert not r.all_headers().get("referer"), r.url
        in_it = [s for s in secrets if s in r.url]
        assert not in_it or (r.is_navigation_request() and r.url.endswith(f"/l/{in_it[0]}"))
        assert NEW not in r.url
        assert OLD not in r.url


MARK = re.compile(r"\?of=[\w-]{16}$")  # names the token to the page and is worth nothing (ADR 29)
PLAIN = """() => {
  const body = document.body.cloneNode(true);
  body.querySelectorAll('time').forEach(e => { e.textContent = 'TIME'; e.setAttribute('data-countdown', '0');
                                               e.setAttribute('datetime', 'TIME'); });
  body.querySelectorAll('progress').forEach(e => e.setAttribute('value', '0'));
  body.querySelectorAll('output').forEach(e => { e.textContent = 'NUMBER'; });
  body.querySelectorAll('[data-enable-in]').forEach(e => e.setAttribute('data-enable-in', '0'));
  return body.outerHTML;
}"""


def same(pages: dict[str, Page]) -> None:
    first, *others = pages.values()
    for other in others:
        assert look(other) == look(first)


def look(page: Page) -> str:
    """The page's whole DOM but for its handle, number and times."""
    return re.sub(r"/r/[\w-]{22}", "/r/HANDLE", page.evaluate(PLAIN))


@pytest.mark.slow
@pytest.mark.covers("A1", "INV-I5", "O-F1")
@pytest.mark.parametrize("locale", ["en-US", pytest.param("zh-CN", marks=pytest.mark.slow)])
def test_nobody_can_tell_who_has_an_account(site: Site, device: Device, locale: str) -> None:
    """A person, nobody, and somebody whom mail alone is not enough for: the same pages to the last word."""
    known, strict = site.person(), site.person(tier="privileged", crm=True)
    pages = {w: device(locale, 360).new_page() for w in (known.mail, "nobody@example.com", strict.key)}
    handles = {who: ask(page, who) for who, page in pages.items()}
    site.mail(known)
    for who, page in pages.items():
        site.looked_up(handles[who])
        look_again(page)
    same(pages)
    for page in pages.values():
        page.locator("#code").fill("1234 5678")
        page.locator("form[action$='/code'] button").click()
        expect(page.locator("#code-error")).to_be_visible()
    same(pages)
    words = "zh_CN" if locale == "zh-CN" else "en"
    answers = {p.context.request.get(f"/r/{handles[w]}/status").text() for w, p in pages.items()}
    assert len(answers) == 1
    for page in pages.values():
        cancel(page)
        heading(page, words, "This recovery is canceled")
    same(pages)


@pytest.mark.slow
@pytest.mark.covers("A1")
def test_finding_a_user_name_tells_nothing_either(site: Site, device: Device) -> None:
    known = site.person()
    pages = {who: device(width=360).new_page() for who in (known.mail, "nobody@example.com")}
    for who, page in pages.items():
        site.looked_up(ask(page, who, "/find"))
        look_again(page)
    same(pages)


def test_mail_alone_is_not_enough_for_some(site: Site, page: Page) -> None:
    who = site.person(tier="privileged")
    handle = ask(page, who.mail)
    page.goto(recovery_link(site.mail(who)))
    page.locator("form[action='/link/accept'] button").click()
    heading(page, "en", "One more method, please")
    assert page.url.endswith(handle)
    assert not page.locator("#new_password").count()
    cancel(page)
    heading(page, "en", "This recovery was canceled")
