"""A walk past every page of the main job, for checks that every page has to pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from playwright.sync_api import BrowserContext, Page

from tests.e2e.site import NEW, Site
from tests.e2e.steps import (
    ask,
    choose,
    look_again,
    prove_by_code,
    recovery_link,
    sign_in,
    stop_link,
    to_password,
    type_number,
)

Device = Callable[..., BrowserContext]


def tour(site: Site, device: Device, locale: str, width: int) -> Iterator[tuple[str, Page]]:
    """(name, page) of every page, each as it stands when its turn comes."""
    words = "zh-CN" if locale == "zh_CN" else "en-US"
    page, phone = device(words, width).new_page(), device(words, width).new_page()
    for path in ("/", "/forgot", "/forgot?journey=locked", "/find", "/sign-in", "/help", "/privacy", "/accessibility"):
        page.goto(path)
        yield path.strip("/").replace("?journey=", "-") or "first", page
    page.goto("/nowhere")
    yield "no-such-page", page
    page.goto("/find")
    page.locator("#identifier").fill("no address")
    page.locator("form button").click()
    yield "find-wrong", page
    sign_in(page, "nobody", "not it at all")
    yield "sign-in-wrong", page

    who = site.person(locale, crm=True, guided=True)
    ask(page, who.mail, "/find")
    yield "waiting-find", page
    handle = ask(page, who.mail)
    mail = site.mail(who, 2)
    yield "waiting", page
    page.locator("#code").fill("0000 0000")
    page.locator("form[action$='/code'] button").click()
    yield "waiting-wrong", page
    shown = page.locator(".number-shown output").inner_text()
    phone.goto(f"/r/{handle}")
    yield "not-yours", phone
    phone.goto(stop_link(mail))
    yield "stop", phone
    phone.goto(recovery_link(mail))
    yield "link-number", phone
    page.goto(recovery_link(mail))
    yield "link", page
    phone.locator("#number").evaluate("e => e.form.noValidate = true")
    type_number(phone, "7")
    yield "link-number-wrong", phone
    type_number(phone, shown)
    yield "link-continue", phone
    page.goto(recovery_link(mail))
    yield "link-used", page
    phone.context.clear_cookies()
    phone.goto(recovery_link(mail))
    phone.locator("form[action='/link/again'] button").click()
    yield "link-too-soon", phone

    page.goto(f"/r/{handle}")
    yield "password", page
    choose(page, "qingyu1")
    page.locator(".notice-stop").wait_for()
    yield "password-wrong", page
    site.crm.broken = "refuse"
    choose(page)
    page.locator(".system[data-state=working]").wait_for()
    yield "results-working", page
    site.crm.broken = ""
    page.locator(".system[data-state=working]").wait_for(state="hidden")
    yield "results-yours", page
    sign_in(page, who.key, NEW)
    page.wait_for_url("**/account")
    yield "account", page

    who = site.person(locale, crm=True)
    to_password(page, site, who)
    site.crm.broken = "policy"
    choose(page)
    page.locator(".system[data-state=refused]").wait_for()
    site.applied()
    yield "results-refused", page
    site.crm.broken = ""
    page.locator("a[href$='?again=1']").click()
    choose(page)
    page.locator(".system[data-state=refused]").wait_for(state="hidden")
    site.applied()
    look_again(page)
    yield "results-done", page

    who = site.person(locale, tier="privileged")
    ask(page, who.mail)
    mail = site.mail(who)
    prove_more(page, recovery_link(mail))
    yield "need-more", page
    phone.goto(stop_link(mail))
    phone.locator("form[action='/stop'] button").click()
    yield "stopped", phone
    phone.goto(recovery_link(mail))
    yield "link-stopped", phone
    look_again(page)
    yield "ended", page

    who = site.person(locale)
    ask(page, who.mail)
    shown = page.locator(".number-shown output").inner_text()
    phone.goto(recovery_link(site.mail(who)))
    type_number(phone, str(109 - int(shown)))
    yield "link-wrong-number", phone
    site.later(minutes=61)
    look_again(page)
    yield "waiting-over", page
    page.locator("#again button").click()
    yield "waiting-again", page
    ask(page, who.mail)  # a wrong number got no second mail: only a new request does
    prove_by_code(page, site, who, 2)
    site.later(minutes=90)
    look_again(page)
    yield "ended-late", page


def prove_more(page: Page, link: str) -> None:
    page.goto(link)
    page.locator("form[action='/link/accept'] button").click()
    page.wait_for_url("**/r/*")
