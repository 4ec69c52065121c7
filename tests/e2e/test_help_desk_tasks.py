"""What takes somebody outside the help desk, in the browser: a system where only people can set a password, and a
manager who says that it is them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from keyback.demo.company import TITLES
from keyback.demo.operators import TEAM
from keyback.locale import gettext
from tests.e2e.demo_steps import NEW, Demo, enters, patient, running_demo, seen
from tests.e2e.steps import ask, choose, heading, sign_in
from tests.e2e.ways_steps import mail_code

Device = Callable[..., BrowserContext]
AGENT, APPROVER, _ = TEAM
GUIDED = {"en": "priya.raman", "zh_CN": "chenyu"}
REPORTS = {"en": ("noor.haddad", "wambui.njoroge"), "zh_CN": ("hanxue", "mahui")}


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("demo") / "data") as demo:
        yield demo


@pytest.fixture
def site(demo: Demo) -> Demo:
    """What `device` opens its browsers for."""
    demo.afresh()
    return demo


@pytest.mark.slow
@pytest.mark.parametrize("locale", ["en", "zh_CN"])
def test_a_guided_system_s_task_is_completed(site: Demo, device: Device, locale: str) -> None:
    """What programs may not set an operator does there, and says so here; the person is told."""
    demo, language = site, "zh-CN" if locale == "zh_CN" else "en-US"
    who, page = demo.who(GUIDED[locale]), patient(device(language, 360))
    ask(page, who.key)
    mail_code(page, demo, who)
    choose(page, NEW)
    page.locator(".systems").wait_for()

    agent = patient(device(language, 1280, color_scheme="dark" if locale == "zh_CN" else "light"))
    enters(agent, demo, AGENT)
    agent.locator("a[href='/console/tasks']").click()
    expect(agent.locator("a.row-link")).to_have_count(1)
    expect(agent.locator("main")).to_contain_text(TITLES["guided"])
    seen(agent, "tasks")
    agent.locator("a.row-link").click()
    expect(agent.locator("main")).to_contain_text(
        gettext(locale, "In person or by phone, on a number on record. Never by email, chat, or here.")
    )
    agent.locator("#note").fill("Set in Lanyun, read out on extension 8114.")
    seen(agent, "task")
    before = len(demo.mails(who.mail))
    agent.locator("form[action$='/done'] button").click()
    expect(agent.locator("[role=status]")).to_contain_text(gettext(locale, "Recorded"))
    seen(agent, "task-done")
    (told,) = demo.until(lambda: demo.mails(who.mail)[before:], "what the person is told")
    assert TITLES["guided"] in told["text"]
    assert "8114" not in told["text"], "the note is for colleagues"
    agent.goto("/console/tasks")
    expect(agent.locator("a.row-link")).to_have_count(0)
    agent.goto("/console/tasks?tab=all")
    expect(agent.locator("a.row-link")).not_to_have_count(0)
    seen(agent, "tasks-all")


@pytest.mark.slow
@pytest.mark.parametrize("locale", ["en", "zh_CN"])
@pytest.mark.covers("I1", "N-R8")
def test_the_manager_of_record_confirms_a_caller(site: Demo, device: Device, locale: str) -> None:
    demo, language = site, "zh-CN" if locale == "zh_CN" else "en-US"
    who, boss = (demo.who(x) for x in REPORTS[locale])
    page = patient(device(language, 360))
    ask(page, who.key)
    mail_code(page, demo, who)
    page.goto(page.url.split("?")[0].removesuffix("/ways") + "/ways")
    page.locator("a[href$='/call']").click()
    page.locator("form[action$='/call'] button").click()
    agent = patient(device(language, 1280))
    enters(agent, demo, AGENT)
    agent.goto("/console/calls")
    agent.locator("#number").fill(digits_on(page))
    agent.locator("form[action='/console/calls'] button").click()
    seen(agent, "call-begun")
    agent.locator("form[action$='/manager'] button").click()
    expect(agent.locator("main")).to_contain_text(gettext(locale, "Their manager was asked"))
    seen(agent, "manager-asked")
    demo.until(lambda: demo.mails(boss.mail), "what the manager is asked")

    theirs = patient(device(language, 360))
    sign_in(theirs, boss.key, demo.password(boss))
    theirs.locator("a[href='/account/callers']").click()
    heading(theirs, locale, "Who is calling?")
    seen(theirs, "manager")
    heading(page, locale, "Hang up. We’ll call you back")
    theirs.locator("input[name=number]").fill(digits_on(page))
    theirs.locator("form[action^='/account/callers/'] button").first.click()
    expect(theirs.locator("[role=status]")).to_contain_text(gettext(locale, "Confirmed"))
    seen(theirs, "manager-confirmed")
    heading(page, locale, "A second person has to approve")
    seen(page, "after-the-manager")


def digits_on(page: Page) -> str:
    shown = page.locator(".number-shown output").inner_text()
    return "".join(c for c in shown if c.isdigit())
