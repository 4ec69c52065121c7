"""What only a browser can say of a page: wider spacing, forced colors, paper."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e import samples
from tests.e2e.axe import AXE, SMALL, wrong
from tests.support.each import each

SLOW = pytest.mark.slow
WIDER = """* { letter-spacing: 0.12em !important; word-spacing: 0.16em !important; line-height: 1.5 !important; }
p { margin-block-end: 2em !important; }"""  # WCAG 2.2, 1.4.12
SOME = ["waiting", "password", "results", "ways-mailbox", "forgot-second-factor", "account-overview", "account-devices"]
OUT = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
CLIPBOARD = """window.copied = [];
Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (text) => { copied.push(text); } } });"""
Look = Callable[..., Page]


@pytest.fixture
def look(browser: Browser) -> Iterator[Look]:
    """Makes a page that shows samples; a test that asks again for the same kind gets the same page."""
    made: dict[str, Page] = {}

    def make(width: int = 360, **over: Any) -> Page:
        kind = repr((width, sorted(over.items())))
        if kind not in made:
            context = browser.new_context(viewport={"width": width, "height": 740}, reduced_motion="reduce", **over)
            samples.serve(context)
            made[kind] = context.new_page()
        return made[kind]

    yield make
    for page in made.values():
        page.context.close()


@pytest.mark.covers("X-8")
@pytest.mark.parametrize(
    ("locale", "names"),
    [("en", SOME), pytest.param("en", None, marks=SLOW), pytest.param("zh_CN", None, marks=[SLOW, pytest.mark.whole])],
)
def test_wider_spacing_fits(look: Look, locale: str, names: list[str] | None) -> None:
    faults = {}
    for width in (320, 360, 1280):
        page = look(width)
        for name in samples.walk(page, locale, names):
            page.add_style_tag(content=WIDER)
            if out := page.evaluate(OUT):
                faults[f"{name} at {width}"] = out
    assert faults == {}


# What is told by a fill or a line alone must still differ where the colors are the reader's own.
DIFFER = {
    "the current tab": ("account-devices", ".tabs a[aria-current]", ".tabs a:not([aria-current])"),
    "what is now and what is done": ("password", ".step.is-now", ".step.is-done"),
    "what is now and what is to come": ("waiting", ".step.is-now", ".step:last-child"),
    "strength": ("password-errors", ".strength i:first-child", ".strength i:last-child"),
    "readiness": ("account-overview", ".readiness-cells .yes", ".readiness-cells i:not(.yes)"),
}
SEEN = """([selector]) => { const e = document.querySelector(selector);
  const told = [null, '::before'].map(p => { const s = getComputedStyle(e, p);
    return [s.borderBottomColor, s.borderBottomWidth, s.backgroundColor, s.boxShadow].join(); });
  return told.join('|'); }"""


@pytest.mark.covers("X-8")
@each("scheme", ["light", "dark"])
@each("what", DIFFER)
def test_forced_colors_keep_what_is_told_by_a_mark(look: Look, what: str, scheme: str) -> None:
    name, one, other = DIFFER[what]
    page = look(forced_colors="active", color_scheme=scheme)
    samples.show(page, name)
    page.add_style_tag(content="*, *::before { transition: none !important; }")
    page.evaluate("document.querySelector('.tabs a')?.setAttribute('aria-current', 'page')")  # samples have no address
    assert page.evaluate("matchMedia('(forced-colors: active)').matches")
    assert page.evaluate(SEEN, [one]) != page.evaluate(SEEN, [other]), what


@each("name", ["account-totp-setup", "replace-factor-scan"])
@each("locale", ["en", "zh_CN"])
def test_an_app_on_the_same_phone_gets_its_key_by_a_link_or_a_copy(look: Look, name: str, locale: str) -> None:
    """Nobody scans their own screen: the link holds what the picture holds, and what is copied has no spaces."""
    page = look()
    page.add_init_script(CLIPBOARD)
    samples.show(page, name, locale)
    link = page.locator("main a[href^='otpauth://totp/']")
    key = "".join((page.locator("#app-key").text_content() or "").split())
    assert link.is_visible()
    assert (link.bounding_box() or {"height": 0})["height"] >= 44
    if not page.locator(".qr").is_visible():  # for another phone, so it is folded on this one
        page.locator(".app-key summary").click()
    assert page.locator(".qr").is_visible()
    page.locator("[data-copy]").click()
    assert page.evaluate("copied") == [key]


def test_without_scripts_the_key_is_there_to_type(look: Look) -> None:
    page = look(java_script_enabled=False)
    samples.show(page, "account-totp-setup")
    page.locator(".app-key summary").click()
    assert page.locator("#app-key").is_visible()
    assert page.locator("main a[href^='otpauth://totp/']").is_visible()
    assert not page.locator("[data-copy]").is_visible()


READ = "() => document.body.innerText.split(/\\n+/).map(line => line.trim()).filter(Boolean)"
BOXES = """() => [...document.querySelectorAll('.codes > li')].map(e => {
  const range = document.createRange(); range.selectNodeContents(e);
  const text = range.getBoundingClientRect(), box = e.getBoundingClientRect();
  return [box.left, box.right, box.top, box.bottom, text.left, text.right]; })"""


@each("width", [360, 720, 1000])
@each("media", ["print", "screen"])
def test_recovery_codes_do_not_run_into_each_other(look: Look, width: int, media: str) -> None:
    page = look(width)
    page.emulate_media(media=media)  # type: ignore[arg-type]
    samples.show(page, "account-codes-shown")
    boxes = page.evaluate(BOXES)
    assert len(boxes) == 10
    edge = page.locator(".codes").evaluate("e => e.getBoundingClientRect().right")
    assert max(box[1] for box in boxes) <= edge
    for i, (left, right, top, bottom, first, last) in enumerate(boxes):
        assert left + 24 <= first, "the number has room before the code, within its own box"
        assert last <= right + 0.5
        for other in boxes[i + 1 :]:
            apart = other[0] >= right or other[1] <= left or other[2] >= bottom - 0.5 or other[3] <= top + 0.5
            assert apart, f"code {i + 1}"


SHEETS = {
    ("account-codes-shown", "en"): [
        "maya.okafor at Qingyu Instruments",
        "24 November 2026",
        "https://id.qingyu.example.com",
    ],
    ("account-codes-shown", "zh_CN"): ["青屿仪器的备用恢复码", "2026年11月24日", "https://id.qingyu.example.com"],
    ("new-code", "en"): ["A recovery code for Qingyu Instruments"],
    ("new-code", "zh_CN"): ["青屿仪器的备用恢复码"],
}


@each(("name", "locale"), SHEETS)
def test_a_sheet_has_codes_purpose_date_and_address_and_nothing_else(look: Look, name: str, locale: str) -> None:
    page = look(1000)
    page.emulate_media(media="screen")
    samples.show(page, name, locale)
    on_screen = page.evaluate(READ)
    page.emulate_media(media="print")
    lines = page.evaluate(READ)
    codes = [line for line in lines if "K7QF2M" in line]
    assert len(codes) == (10 if "codes" in name else 1)
    words = "\n".join(line for line in lines if line not in codes)
    assert all(part in words for part in SHEETS[name, locale])
    assert words.count("\n") + 1 == (3 if "codes" in name else 1), words
    assert not any(part in "\n".join(on_screen) for part in SHEETS[name, locale][:1]), "the head is for paper"


@each("name", ["way-sms_code", "way-im_message", "way-backup_email", "account-confirm-contact", "waiting"])
def test_sending_again_counts_down_and_then_works(look: Look, name: str) -> None:
    page = look()
    page.clock.install()
    samples.show(page, name)
    button = page.locator("button[data-enable-in]")
    assert button.is_disabled()
    assert button.locator("time").inner_text() != ""
    assert not page.locator("form:has(button[data-enable-in]) [data-plain]").is_visible()
    page.clock.fast_forward("03:00")
    assert button.is_enabled()
    assert not button.locator(".wait").count()
    plain = look(java_script_enabled=False)
    samples.show(plain, name)
    assert plain.locator("button[data-enable-in]").is_disabled()
    assert plain.locator("form:has(button[data-enable-in]) [data-plain]").is_visible(), "a link loads the page again"


@each("name", ["results", "results-working", "in-review", "held", "way-contact", "waiting"])
def test_without_scripts_a_page_that_waits_has_a_way_to_load_it_again(look: Look, name: str) -> None:
    page = look(java_script_enabled=False)
    samples.show(page, name)
    assert "updates by itself." not in page.locator("main").inner_text().replace("doesn’t update by itself.", "")
    assert page.locator("main a[href='/r/hR7mQ2xVd9Kp']").first.is_visible()


@each(
    ("name", "first", "others"),
    [
        ("results-crm", "Open Harbour CRM", []),
        ("results-open", "Open Harbour CRM", ["Open Keyback"]),
        ("results-own", "Open Keyback", []),
    ],
)
def test_the_last_page_has_one_primary_way_on(look: Look, name: str, first: str, others: list[str]) -> None:
    page = look()
    samples.show(page, name)
    buttons = page.locator("main .button:visible")
    primary = [b.inner_text() for b in buttons.all() if "button-" not in str(b.get_attribute("class"))]
    assert primary == [first]
    assert [b.inner_text() for b in buttons.all()] == [first, *others]


TOUCHED = [
    "cancel", "stop-by-link", "vouch-refuse", "account-end-session", "account-end-others", "account-end-device",
    "account-lock", "account-wasnt-me-elsewhere", "account-totp-setup", "replace-factor-scan", "ways-lost",
    "ways-lost-alone", "results-crm", "results-open", "sign-in-systems", "way-sms_code", "account-confirm-contact",
    "account-codes-shown", "in-review", "held", "account-providers", "account-providers-away", "account-provider-start",
    "way-provider", "way-provider-known", "way-provider-denied", "way-provider-no_tries",
]  # fmt: skip


@SLOW
@pytest.mark.covers("X-8", "X-3")
@pytest.mark.parametrize(("locale", "scheme"), [("en", "dark"), ("zh_CN", "light")])
def test_axe_finds_nothing_on_pages_that_few_walks_reach(look: Look, locale: str, scheme: str) -> None:
    page = look(color_scheme=scheme, bypass_csp=True)
    faults = {}
    for name in samples.walk(page, locale, TOUCHED):
        page.evaluate(AXE)
        if found := wrong(page) + page.evaluate(SMALL):
            faults[name] = found
    assert faults == {}
