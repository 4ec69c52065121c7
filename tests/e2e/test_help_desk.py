"""The help desk in the browser: an administrator without a passkey, recovered by an agent and an approver."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from keyback.application.ports.messages import MessageKind
from keyback.channels.mail.kinds import SUBJECTS
from keyback.demo.company import COMPANY
from keyback.demo.operators import TEAM
from keyback.locale import gettext
from tests.e2e.demo_steps import DAY, NEW, Demo, enters, let_go, patient, running_demo, seen
from tests.e2e.steps import ask, choose, heading, look_again
from tests.e2e.ways_steps import answer, mail_code, pick

Device = Callable[..., BrowserContext]
AGENT, APPROVER, OFFICER = TEAM


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("demo") / "data") as demo:
        yield demo


@pytest.fixture
def site(demo: Demo) -> Demo:
    """What `device` opens its browsers for."""
    demo.afresh()
    return demo


@pytest.mark.parametrize("locale", ["en", pytest.param("zh_CN", marks=pytest.mark.slow)])
@pytest.mark.covers("E2", "N-R11", "A-8.2.1")
def test_an_administrator_without_a_passkey_is_recovered(site: Demo, device: Device, locale: str) -> None:
    demo, language = site, "zh-CN" if locale == "zh_CN" else "en-US"
    who, page = demo.who("heming"), patient(device("zh-CN", 360))
    ask(page, who.key)
    mail_code(page, demo, who)
    pick(page, "totp")
    answer(page, demo.digits(who))
    heading(page, who.locale, "A second person has to approve")

    agent = patient(device(language, 1280, color_scheme="dark" if locale == "zh_CN" else "light"))
    enters(agent, demo, AGENT)
    seen(agent, "queue")
    agent.locator("table.queue a.row-link").first.click()
    expect(agent.locator("h1")).to_contain_text("何铭")
    seen(agent, "case")
    agent.locator("form[action$='/claim'] button").click()
    agent.locator("#reason").fill("He sits two desks away and lost his laptop.")
    agent.locator("#ticket").fill("HD-20418")
    seen(agent, "case-claimed")
    agent.locator("form[action$='/recommend'] button").click()
    expect(agent.locator("[role=status]")).to_be_visible()
    case = agent.url.split("?")[0]

    approver = patient(device(language, 360))
    enters(approver, demo, APPROVER)
    seen(approver, "queue-narrow")
    approver.goto(case)
    seen(approver, "case-narrow")
    approver.locator("#why").fill("Checked, I agree.")
    approver.locator("form[action$='/approve'] button").first.click()
    heading_of = approver.locator("[role=status]").first
    expect(heading_of).to_contain_text(gettext(locale, "Approved"))
    seen(approver, "approved-narrow")
    demo.told(who, "hold")

    let_go(demo, page, DAY, "#new_password")
    choose(page, NEW)
    page.locator(".systems").wait_for()
    demo.told(who, "changed")


@pytest.mark.slow
@pytest.mark.parametrize("scripts", [True, False])
def test_filters_of_the_queue_work_with_htmx_and_without(site: Demo, device: Device, scripts: bool) -> None:
    agent = patient(device("en-US", 1280, java_script_enabled=scripts))
    enters(agent, site, AGENT)
    if scripts:
        agent.evaluate("window.kept = true")
    agent.locator("nav.tabs a[href$='tab=mine']").click()
    expect(agent.locator("nav.tabs a[aria-current]")).to_have_text("Mine")
    agent.locator("#tier").select_option("mfa")
    agent.locator("#filter").click()
    expect(agent.locator("#view-name")).to_be_visible()
    assert "tab=mine" in agent.url
    assert "tier=mfa" in agent.url
    if scripts:
        assert agent.evaluate("window.kept"), "the frame was not loaded anew"
        assert agent.evaluate("document.activeElement.id") in ("filter", "main")
        agent.go_back()
        expect(agent.locator("#view-name")).to_have_count(0)


def spaced(shown: str) -> str:
    return "".join(c for c in shown if c.isdigit())


@pytest.mark.parametrize("locale", ["en", pytest.param("zh_CN", marks=pytest.mark.slow)])
@pytest.mark.covers("I1")
def test_a_caller_is_checked_and_called(site: Demo, device: Device, locale: str) -> None:
    demo, zh = site, locale == "zh_CN"
    who = demo.who("pengfei" if zh else "yuki.tanabe")
    page = patient(device("zh-CN" if zh else "en-US", 360))
    ask(page, who.key)
    page.goto(page.url.split("?")[0] + "/ways")
    page.locator("a[href$='/call']").click()
    seen(page, "call")
    page.locator("form[action$='/call'] button").click()
    first = spaced(page.locator(".number-shown output").inner_text())
    seen(page, "call-number")

    agent = patient(device("zh-CN" if zh else "en-US", 1280))
    enters(agent, demo, AGENT)
    agent.locator("a[href='/console/calls']").click()
    seen(agent, "calls")
    agent.locator("#number").fill(first)
    agent.locator("form[action='/console/calls'] button").click()
    agent.locator("input[name=contact]").first.wait_for()
    seen(agent, "call-back")
    # The caller's page goes on by itself.
    heading(page, who.locale, "Hang up. We’ll call you back")
    seen(page, "call-hang-up")
    agent.locator("#number").fill(spaced(page.locator(".number-shown output").inner_text()))
    agent.locator("form[action$='/number'] button").click()
    expect(agent.locator("[role=status]")).to_contain_text(gettext(locale, "Caller check passed"))
    seen(agent, "call-passed")
    heading(page, who.locale, "One more method, please")

    agent.locator("a[href^='/console/cases/']").click()
    seen(agent, "case-gate")
    agent.locator("form[action$='/call'] button").click()
    number = agent.locator(".number-shown output").inner_text().strip()
    seen(agent, "outbound")
    letter = demo.until(lambda: demo.messages(who, "call"), "the announcement of a call")[-1]
    assert number in letter["text"]


@pytest.mark.slow
@pytest.mark.parametrize("locale", ["en", "zh_CN"])
@pytest.mark.covers("I1", "A-8.2.1", "A-8.2.2")
def test_a_recovery_is_started_by_two_and_an_account_is_locked_by_one(site: Demo, device: Device, locale: str) -> None:
    demo, language = site, "zh-CN" if locale == "zh_CN" else "en-US"
    who = demo.who("heming")
    agent = patient(device(language, 1280, color_scheme="dark" if locale == "zh_CN" else "light"))
    enters(agent, demo, AGENT)
    agent.goto("/console/people")
    seen(agent, "people")
    agent.locator("#q").fill(who.mail)
    agent.locator("form[action='/console/people/find'] button").click()
    expect(agent.locator("h1")).to_contain_text("何铭")
    seen(agent, "person")
    agent.locator("#why-start").fill("Called from the trade fair. HD-20419")
    agent.locator("form[action$='/start'] button").click()
    expect(agent.locator("[role=status]")).to_be_visible()

    approver = patient(device(language, 360))
    enters(approver, demo, APPROVER)
    approver.goto("/console/approvals")
    seen(approver, "approvals-narrow")
    approver.locator("form[action$='/approve'] button").first.click()
    expect(approver.locator("[role=status]")).to_be_visible()
    link = demo.until(lambda: [m for m in demo.mails(who.mail) if "/start/" in m["text"]], "the start")[-1]
    page = patient(device("zh-CN", 360))
    page.goto("/start/" + link["text"].split("/start/")[1][:22])
    seen(page, "started")
    page.locator("form[action^='/start/'] button").click()
    page.wait_for_url("**/r/*")

    agent.locator("#why-lock").fill("Someone else reads the mailbox. HD-20420")
    agent.locator("form[action$='/lock'] button").click()
    expect(agent.locator("[role=status]")).to_be_visible()
    seen(agent, "person-locked")


@pytest.mark.slow
@pytest.mark.covers("I3")
@pytest.mark.parametrize("locale", ["en", "zh_CN"])
def test_a_false_caller_is_refused(site: Demo, device: Device, locale: str) -> None:
    demo, language = site, "zh-CN" if locale == "zh_CN" else "en-US"
    who = demo.who("pengfei" if locale == "zh_CN" else "yuki.tanabe")
    page = patient(device(language, 360))
    ask(page, who.key)
    page.goto(page.url.split("?")[0] + "/ways")
    page.locator("a[href$='/call']").click()
    page.locator("form[action$='/call'] button").click()
    first = spaced(page.locator(".number-shown output").inner_text())
    agent = patient(device(language, 820))
    enters(agent, demo, AGENT)
    agent.goto("/console/calls")
    agent.locator("#number").fill(first)
    agent.locator("form[action='/console/calls'] button").click()
    agent.locator("#number").fill("000000")
    agent.locator("form[action$='/number'] button").click()
    expect(agent.locator("[role=alert]")).to_be_visible()
    seen(agent, "call-wrong-number")
    agent.locator("main a[href$='/refuse']").click()
    seen(agent, "call-refuse-asks")
    agent.locator("form[action$='/refuse'] button").click()
    expect(agent.locator("h1")).to_have_text(gettext(locale, "Caller refused"))
    seen(agent, "call-refused")
    demo.until(lambda: len(demo.messages(who, "asked")) >= 2, "what their contacts are told")
    look_again(page)
    expect(page.locator(".number-shown")).to_have_count(0)


def until_there(demo: Demo, page: Page, wanted: str) -> None:
    """Looks again until the page shows it."""

    def there() -> bool:
        look_again(page)
        return page.locator(wanted).count() > 0

    demo.until(there, wanted)


@pytest.mark.slow
@pytest.mark.parametrize("locale", ["en", "zh_CN"])
@pytest.mark.covers("A-8.2.1")
def test_a_campaign_over_the_company(site: Demo, device: Device, locale: str) -> None:
    """One operator drafts it, an officer approves what was counted, and everybody who can be reached is asked once."""
    demo, language = site, "zh-CN" if locale == "zh_CN" else "en-US"
    approver = patient(device(language, 1280, color_scheme="dark" if locale == "zh_CN" else "light"))
    enters(approver, demo, APPROVER)
    approver.goto("/console/campaigns")
    seen(approver, "campaigns")
    approver.locator("a[href='/console/campaigns/new']").click()
    approver.locator("#name").fill("After the break-in")
    approver.locator("#pace").fill("")
    seen(approver, "campaign-new")
    approver.locator("form[action='/console/campaigns'] button").click()
    until_there(demo, approver, "#decide")
    seen(approver, "campaign-counted")
    assert approver.locator("form[action$='/approve']").count() == 0, "nobody approves what they drafted"
    at = approver.url

    officer = patient(device(language, 360))
    enters(officer, demo, OFFICER)
    officer.goto(at)
    seen(officer, "campaign-narrow")
    officer.locator("form[action$='/approve'] button").click()
    until_there(demo, officer, ".desk-head .badge-done")
    seen(officer, "campaign-finished")
    asked = [m for m in demo.http.get("/demo/mailbox.json").json() if int(m["id"]) > demo.mark[0]]
    subjects = {gettext(x, SUBJECTS[MessageKind.CAMPAIGN], company=COMPANY[x]) for x in COMPANY}
    told = [(m["to"], m["text"]) for m in asked if m["subject"] in subjects]
    assert len(told) == len(set(told)) > 50, "people who share a mailbox each by their own username"
    assert not [m for m in asked if m["subject"] in subjects and "/l/" in m["text"]], "no link signs anyone in"
