"""A phone and a work chat are put on record, confirmed and removed, by keyboard alone on a narrow screen."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from keyback.locale import gettext
from tests.e2e.account_steps import signed_in
from tests.e2e.keyboard import looked_at, press, tab_to
from tests.e2e.site import Site, Someone, running
from tests.e2e.steps import look_again
from tests.e2e.ways_steps import text_code, texts

CHINESE = re.compile(r"[\u4e00-\u9fff]")


@dataclass(frozen=True)
class Kind:
    """What is typed, first wrongly and then rightly, and what people are told of it."""

    name: str
    bad: str
    complaint: str
    typed: str
    address: str
    added: str
    masked: str


PHONE = Kind(
    "sms",
    "12",
    "That doesn’t look like a phone number of that country. "
    "Pick another one, or begin with +, such as +86 138 0013 8000.",
    "+1 (202) 555-0143",
    "+12025550143",
    "A phone number was added to your account: {detail}.",
    "+12 ••• 43",
)
CHAT = Kind(
    "im",
    "maya okafor",
    "That doesn’t look like an ID. Use only letters, digits, dots, hyphens, and underscores.",
    " maya.okafor ",
    "maya.okafor",
    "A work chat was added to your account: {detail}.",
    "m•••",
)


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("phones"), host="localhost") as site:
        yield site


def retype(page: Page, selector: str, text: str) -> None:
    """Into a field that has the focus by itself, over what is there."""
    expect(page.locator(selector)).to_be_focused()
    page.keyboard.press("Control+a")
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def typed(page: Page, home: Site, who: Someone, kind: Kind) -> str:
    """From the list to the page that waits for the code, over one mistake; the id of the contact."""
    page.goto("/account/contacts")
    press(page, f"a[href='/account/contacts/add/{kind.name}']")
    page.wait_for_url(f"**/account/contacts/add/{kind.name}")
    looked_at(page)
    tab_to(page, "#address")
    retype(page, "#address", kind.bad)
    expect(page.locator("#address-error")).to_have_text(gettext(who.locale, kind.complaint))
    expect(page.locator("#address")).to_have_value(kind.bad)
    looked_at(page)
    assert not home.phone.messages
    retype(page, "#address", kind.typed)
    page.wait_for_url(re.compile(r"/account/contacts/[\w-]{22}$"))
    return page.url.rpartition("/")[2]


def state_of(home: Site, contact_id: str) -> tuple[str, int]:
    c = home.read(lambda tx: tx.contacts.many([contact_id]))[contact_id]
    return c.state, c.usable_from


@pytest.mark.slow
@pytest.mark.covers("A-6.6.1", "N-R7", "F1", "F2", "X-8", "X-6", "X-1")
@pytest.mark.parametrize(
    ("locale", "kind"),
    [
        pytest.param("en-US", PHONE, id="en-US-phone"),
        pytest.param("zh-CN", CHAT, id="zh-CN-chat"),
        pytest.param("zh-CN", PHONE, id="zh-CN-phone", marks=pytest.mark.whole),
        pytest.param("en-US", CHAT, id="en-US-chat", marks=pytest.mark.whole),
    ],
)
def test_it_is_confirmed_by_its_code_and_removed(
    home: Site, device: Callable[..., BrowserContext], locale: str, kind: Kind
) -> None:
    who = home.person(locale.replace("-", "_") if locale == "zh-CN" else "en")
    page = device(locale, 360, base_url=home.url).new_page()
    signed_in(page, who)
    contact_id = typed(page, home, who, kind)

    # The code came there, in the person's language, and nothing but the code.
    first = text_code(home, kind.address)
    said = texts(home, kind.address)[0]["text"]
    assert bool(CHINESE.search(said)) == (who.locale == "zh_CN")
    assert who.key not in said
    looked_at(page)
    retype(page, "#code", f"{(int(first) + 1) % 1_000_000:06}")
    expect(page.locator("#code-error")).to_have_text(gettext(who.locale, "That isn’t right. Check it and try again."))
    looked_at(page)
    assert state_of(home, contact_id)[0] == "pending"

    # A newer code takes the place of the one that was mistyped; it may be typed with a space.
    again = f"form[action='/account/contacts/{contact_id}/again'] button"
    expect(page.locator(again)).to_be_disabled()
    home.later(minutes=3)
    look_again(page)
    press(page, again, "Space")
    newer = text_code(home, kind.address, 2)
    page.wait_for_url(f"**/account/contacts/{contact_id}")
    if first != newer:
        retype(page, "#code", first)
        expect(page.locator("#code-error")).to_be_visible()
    retype(page, "#code", f"{newer[:3]} {newer[3:]}")
    page.wait_for_url("**/account/contacts?done=confirmed")
    state, usable_from = state_of(home, contact_id)
    assert state == "confirmed"
    assert usable_from > home.clock() + 71 * 3_600_000, "it recovers nothing yet"
    expect(page.locator(".notice-done")).to_be_visible()
    expect(page.locator("main")).to_contain_text(kind.address)
    looked_at(page)

    # Those who were there before hear of it; the new one, which may be a thief's, does not.
    told = gettext(who.locale, kind.added, detail=kind.masked)
    home.until(lambda: any(told in m["text"] for m in home.mailbox.messages(who.mail)), "a mail about it")
    home.applied()
    assert [m["to"] for m in home.phone.messages] == [kind.address] * 2, "no more than the codes"

    press(page, f"a[href='/account/remove/{contact_id}']")
    page.wait_for_url(f"**/account/remove/{contact_id}")
    looked_at(page)
    press(page, f"form[action='/account/remove/{contact_id}'] button", "Space")
    page.wait_for_url("**/account/contacts?done=removed")
    expect(page.locator("main")).not_to_contain_text(kind.address)
    assert state_of(home, contact_id)[0] == "removed"
    gone = texts(home, kind.address, 3)[2]
    assert not gone["codes"], "it hears that it is gone"
