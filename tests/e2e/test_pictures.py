"""No picture of the manual is older than the page that it shows; `--pictures-write` takes those that are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from keyback.application.desk import operators
from keyback.demo.operators import TEAM
from keyback.domain.operators.roles import Role
from tests.e2e.demo_steps import NEW, Demo, by_app, by_saved_code, enters, patient, running_demo
from tests.e2e.pictures import ANEW, Album
from tests.e2e.site import Site, running
from tests.e2e.steps import ask, choose, look_again, sign_in
from tests.e2e.ways_steps import answer, mail_code, pick

Device = Callable[..., BrowserContext]
WHEN = int(datetime(2026, 5, 12, 2, 0, tzinfo=UTC).timestamp())  # a Tuesday, 10:00 in Shanghai
AGENT, APPROVER, OFFICER = TEAM
PEOPLE = {"en": ("oliver.brandt", "yuki.tanabe"), "zh_CN": ("hanxue", "pengfei")}
WHY = {
    "en": ("He sits two desks away and lost his laptop.", "Called from the trade fair. HD-20419"),
    "zh_CN": ("人就坐在隔壁，笔记本电脑丢了。", "在展会现场来电。HD-20419"),
}
LANGUAGES = {"en": "en-US", "zh_CN": "zh-CN"}


@pytest.fixture(scope="module", params=["en", "zh_CN"])
def locale(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def album(locale: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Album:
    return Album(locale, request.config.getoption("--pictures-write"), tmp_path_factory.mktemp("outlines"))


@pytest.fixture(scope="module")
def site(locale: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo for each language, since one shows what the other one's people and operators did."""
    with running_demo(tmp_path_factory.mktemp("demo") / "data", at=WHEN) as demo:
        yield demo


def up_to_date(album: Album) -> None:
    old, album.old = album.old, []
    assert old == [], f"older than what they show; {ANEW}"


def test_those_of_the_demo(site: Demo, device: Device, locale: str, album: Album) -> None:
    """All in one, since the help desk's pages show what people did."""
    people(site, device, locale, album)
    help_desk(site, device, locale, album)
    up_to_date(album)


def people(site: Demo, device: Device, locale: str, album: Album) -> None:
    who, page = site.who(PEOPLE[locale][0]), patient(device(LANGUAGES[locale], 360))
    page.goto("/forgot")
    album(page, "request")
    ask(page, who.key)
    site.mail(who)
    album(page, "waiting", lambda: expect(page.locator("#code")).to_be_visible())
    mail_code(page, site, who)
    album(page, "methods")
    by_app(page, site, who)
    album(page, "hold")
    by_saved_code(page, site, who)
    album(page, "password", lambda: expect(page.locator("#new_password")).to_be_visible())
    choose(page, NEW)
    page.locator(".systems").wait_for()
    site.until(lambda: not page.locator("[data-state=working], [data-state=waiting]").count(), "all settled")
    look_again(page)
    album(page, "done")
    site.later(1)
    wide = patient(device(LANGUAGES[locale], 1280))
    sign_in(wide, who.key, NEW)
    wide.locator("#code").fill(site.digits(who))
    wide.locator("main form button[type=submit]").first.click()
    wide.wait_for_url("**/account**")
    wide.goto("/account")
    album(wide, "account")


def help_desk(site: Demo, device: Device, locale: str, album: Album) -> None:
    language, (recommended, started) = LANGUAGES[locale], WHY[locale]
    who, page = site.who("heming"), patient(device("zh-CN", 360))
    ask(page, who.key)
    mail_code(page, site, who)
    pick(page, "totp")
    answer(page, site.digits(who))
    agent, officer = desk(device, language), desk(device, language)
    enters(agent, site, AGENT)
    album(agent, "queue", lambda: expect(agent.locator("table.queue a.row-link")).to_have_count(1))
    agent.locator("table.queue a.row-link").first.click()
    agent.locator("form[action$='/claim'] button").click()
    agent.locator("#reason").fill(recommended)
    agent.locator("#ticket").fill("HD-20418")
    album(agent, "case")
    agent.locator("form[action$='/recommend'] button").click()
    expect(agent.locator("[role=status]")).to_be_visible()

    caller = patient(device(language, 360))
    ask(caller, PEOPLE[locale][1])
    caller.goto(caller.url.split("?")[0] + "/ways")
    caller.locator("a[href$='/call']").click()
    caller.locator("form[action$='/call'] button").click()
    agent.goto("/console/calls")
    agent.locator("#number").fill("".join(filter(str.isdigit, caller.locator(".number-shown output").inner_text())))
    agent.locator("form[action='/console/calls'] button").click()
    album(agent, "call", agent.locator("input[name=contact]").first.wait_for)

    agent.goto("/console/people")
    agent.locator("#q").fill(who.mail)
    agent.locator("form[action='/console/people/find'] button").click()
    agent.locator("#why-start").fill(started)
    agent.locator("form[action$='/start'] button").click()
    album(agent, "person", lambda: expect(agent.locator("[role=status]")).to_be_visible())
    site.until(lambda: written_down(agent), "the worker wrote down how its calls went")
    album(agent, "systems")
    enters(officer, site, OFFICER)
    officer.goto("/console/approvals")
    album(officer, "approvals", lambda: expect(officer.locator("form[action$='/approve']").first).to_be_visible())
    officer.goto("/console/audit")
    album(officer, "audit", but="tbody")
    officer.goto("/demo")
    album(officer, "demo")


def written_down(page: Page) -> bool:
    """Whether the console's systems show that the two which people recovered were reached, beside Keyback itself."""
    page.goto("/console/systems")
    page.wait_for_timeout(300)
    return page.locator("h2 .badge-done").count() == 3


def desk(device: Device, language: str) -> Page:
    return patient(device(language, 1280, viewport={"width": 1280, "height": 800}))


def test_that_of_setting_up(
    tmp_path_factory: pytest.TempPathFactory, device: Device, locale: str, album: Album
) -> None:
    with running(tmp_path_factory.mktemp("set-up")) as place:
        page = desk(lambda *args, **more: device(*args, base_url=place.url, **more), LANGUAGES[locale])
        page.goto(f"/console/set-up/{invited(place)}")
        album(page, "set-up")
    up_to_date(album)


def invited(place: Site) -> str:
    return place.write(lambda tx: operators.add(tx, "Ines Moreau", "ines@example.com", Role.AGENT)).token
