"""Who writes to the help desk, and a document that two look at, in the browser."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, expect

from keyback.demo.operators import TEAM
from tests.e2e.demo_steps import Demo, enters, patient, running_demo, seen, stop_by, stop_link
from tests.e2e.steps import ask, heading
from tests.e2e.ways_steps import mail_code

Device = Callable[..., BrowserContext]
AGENT, APPROVER, _ = TEAM


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
@pytest.mark.covers("SD-D6", "N-A4", "L-3")
def test_a_document_is_looked_at_by_two_and_the_owner_cancels(site: Demo, device: Device, locale: str) -> None:
    image = pytest.importorskip("PIL.Image", reason="the extra evidence")
    out = io.BytesIO()
    image.new("RGB", (900, 600), (180, 200, 210)).save(out, "JPEG")
    demo, language = site, "zh-CN" if locale == "zh_CN" else "en-US"
    who = demo.who("oliver.brandt" if locale == "en" else "hanxue")
    page = patient(device(language, 360))
    ask(page, who.key)
    mail_code(page, demo, who)
    page.locator("a[href$='/document']").click()
    seen(page, "document-consent")
    page.locator("input[name=agree]").check()
    page.locator("form[action$='/document'] button").click()
    page.locator("#picture").set_input_files({"name": "card.jpg", "mimeType": "image/jpeg", "buffer": out.getvalue()})
    seen(page, "document-upload")
    page.locator("form[action$='/image'] button").click()
    for n in (24, 25, 26):
        page.locator(f"input[name=cells][value='{n}']").check()
    seen(page, "document-cover")
    page.locator("form:has(input[value=cover]) button").click()
    seen(page, "document-covered")
    page.locator("form:has(input[value=send]) button").click()
    heading(page, locale, "Two people are looking at your document")
    seen(page, "document-waiting")
    for operator, width in ((AGENT, 1280), (APPROVER, 360)):
        desk = patient(device(language, width, color_scheme="dark" if operator is APPROVER else "light"))
        enters(desk, demo, operator)
        desk.goto("/console/documents")
        seen(desk, "documents")
        desk.locator("a[href^='/console/documents/']").first.click()
        desk.locator("form[action$='/take'] button").click()
        expect(desk.locator("img.photo")).to_have_js_property("naturalWidth", 300)
        for box in desk.locator("input[name=checks]").all():
            box.check()
        seen(desk, "document-review")
        desk.locator("button[value=yes]").click()
        desk.wait_for_url("**/console/documents")
    heading(page, locale, "Your document was confirmed")
    seen(page, "document-agreed")
    page.goto(page.url.removesuffix("/document"))
    seen(page, "document-hold")
    (said,) = demo.told(who, "hold").values()
    stop_by(patient(device(language, 360)), stop_link(said))
    page.goto(page.url)
    heading(page, locale, "This recovery was canceled")


@pytest.mark.slow
@pytest.mark.parametrize("locale", ["en", "zh_CN"])
@pytest.mark.covers("N-R1")
def test_who_has_nothing_left_writes_and_is_answered(site: Demo, device: Device, locale: str) -> None:
    demo, language = site, "zh-CN" if locale == "zh_CN" else "en-US"
    who, to = demo.who("oliver.brandt" if locale == "en" else "hanxue"), f"at.home.{locale.lower()}@example.net"
    page = patient(device(language, 360, color_scheme="dark" if locale == "en" else "light"))
    page.goto("/")
    page.locator("a[href='/ask']").click()
    page.locator("#identifier").fill(who.key)
    seen(page, "help-ask")
    page.locator("form[action='/ask'] button").click()
    page.locator("#reason").fill("My phone was stolen. The code was 482913.")
    page.locator("#contact").fill(to)
    page.locator("form[action$='/help'] button").click()
    page.locator("#reason-error").wait_for()
    seen(page, "help-refused")
    page.locator("#reason").fill("My phone was stolen, and my mailbox was on it. 手机被偷，邮箱也在上面。")
    page.locator("form[action$='/help'] button").click()
    page.locator("#code").wait_for()
    seen(page, "help-code")
    letter = demo.until(lambda: demo.mails(to), "the code for the address")[-1]
    page.locator("#code").fill(letter["codes"][0])
    page.locator("form[action$='/code'] button").click()
    heading(page, locale, "Your request is with the help desk")
    seen(page, "help-waits")
    agent = patient(device(language, 1280))
    enters(agent, demo, AGENT)
    agent.locator("a[href='/console/requests']").click()
    seen(agent, "requests")
    agent.locator("a.row-link").last.click()
    agent.locator("#text").fill("Please call extension 8100 from your desk. 请用座机拨打8100。")
    seen(agent, "request")
    agent.locator("button[value=answer]").click()
    expect(agent.locator("[role=status]")).to_be_visible()
    heading(page, locale, "The help desk has answered")
    seen(page, "help-answered")
