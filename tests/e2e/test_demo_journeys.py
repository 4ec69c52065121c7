"""The demo driven to its ends: each of its people by each journey, in both languages, on a narrow screen. The right
person arrives after the right wait, everybody on record hears of it, and the wrong person is stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from keyback.demo.company import HELPDESK, TITLES
from keyback.locale import gettext
from tests.e2e.account_steps import second_step
from tests.e2e.demo_steps import (
    BY_NAME,
    DAY,
    MINUTES,
    NEW,
    Demo,
    back_to,
    by_app,
    by_saved_code,
    contacts_of,
    goes_on,
    hold_passkey,
    let_go,
    patient,
    running_demo,
    seen,
    stop_by,
    stop_link,
    take_place,
)
from tests.e2e.site import Someone
from tests.e2e.steps import ask, cancel, choose, heading, look_again, recovery_link, sign_in
from tests.e2e.ways_steps import alert, answer, held, mail_code, pick, use_passkey

pytestmark = pytest.mark.slow
Device = Callable[..., BrowserContext]
Phone = Callable[[], Page]
APP = {"en": "oliver.brandt", "zh_CN": "hanxue"}
KEY = {"en": "carlos.ibanez", "zh_CN": "guoqiang"}
ONLY_PHONE = {"en": "yuki.tanabe", "zh_CN": "pengfei"}
CHAT = {"en": "rafael.teixeira", "zh_CN": "huangjie"}
PRIVATE = {"en": "lena.hoffmann", "zh_CN": "xujing"}
NOTHING = {"en": "noor.haddad", "zh_CN": "wangfang"}
FRIEND = {"en": "sara.lindqvist", "zh_CN": "dingning"}
LOCKED = {"en": "emil.kowalczyk", "zh_CN": "linan"}
ADMIN_KEY = {"en": "joseph.achterberg", "zh_CN": "yaogang"}
TWO_NAMES = {"en": "amina.diallo", "zh_CN": "tangwen"}
ADMIN_APP, ADMIN, NO_MAIL = "heming", "ruth.kessler", "zhoubo"
NOTHING_ELSE = "No other method on record"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    with running_demo(tmp_path_factory.mktemp("demo") / "data") as demo:
        yield demo


@pytest.fixture
def site(demo: Demo) -> Demo:
    """What `device` opens its browsers for."""
    demo.afresh()
    return demo


@pytest.fixture(params=["en", "zh_CN"])
def locale(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def phone(site: Demo, device: Device, locale: str) -> Phone:
    """Makes the browser of somebody's phone, each with a profile of its own."""
    return lambda: patient(device("zh-CN" if locale == "zh_CN" else "en-US", 360))


def waits(page: Page, demo: Demo, who: Someone, minutes: int) -> dict[str, str]:
    """The page says that it waits, and until when; every contact hears the same, with a link of its own that stops it.

    Returns:
        Address to link.
    """
    held(page, who.locale, short=minutes < 60)
    seen(page, f"held-{minutes}")
    until = page.locator(".lede b").last.inner_text()
    assert until in demo.moments(minutes, who.locale), until
    expect(page.locator("#new_password")).to_have_count(0)
    texts = demo.told(who, "hold")
    for text in texts.values():
        assert until[-5:] in text, "the messages name the same time as the page"
    links = {to: stop_link(text) for to, text in texts.items()}
    assert len(set(links.values())) == len(links) == len(contacts_of(who))
    return links


def chooses(page: Page, demo: Demo, who: Someone, new: str = NEW) -> None:
    """A new password, until all that can be done is done; every contact hears of it."""
    seen(page, "password")
    choose(page, new)
    page.locator(".systems").wait_for()
    demo.until(lambda: not page.locator("[data-state=working], [data-state=waiting]").count(), "all settled")
    seen(page, "results")
    demo.told(who, "changed")


def asks_for_more(page: Page, locale: str) -> None:
    heading(page, locale, "One more method, please")
    expect(page.locator("#new_password")).to_have_count(0)


def names_the_desk(page: Page, locale: str) -> None:
    expect(page.locator("main")).to_contain_text(HELPDESK[locale])


def sms(page: Page, demo: Demo, who: Someone, n: int = 1) -> None:
    pick(page, "sms_code")
    answer(page, demo.text_code(BY_NAME[who.key].phone, n))


# ── an authenticator app ────────────────────────────────────────────────────


@pytest.mark.covers("N-R11", "N-R12", "E2")
def test_a_mail_and_an_app_wait_minutes_and_the_mail_alone_is_stopped(demo: Demo, phone: Phone, locale: str) -> None:
    who, page, thief = demo.who(APP[locale]), phone(), phone()
    page.goto("/")
    seen(page, "start")
    page.locator("a[href='/forgot']").first.click()
    seen(page, "forgot")
    ask(page, who.key)
    seen(page, "waiting")
    mail_code(page, demo, who)
    asks_for_more(page, locale)
    seen(page, "one-more")
    pick(page, "totp")
    answer(page, "000000")
    alert(page)
    seen(page, "totp-wrong")
    answer(page, demo.digits(who))
    waits(page, demo, who, 15)

    ask(thief, who.mail)
    mail_code(thief, demo, who, 2)
    asks_for_more(thief, locale)
    demo.unchanged(who)

    let_go(demo, page, MINUTES, "#new_password")
    demo.told(who, "over")
    chooses(page, demo, who)
    expect(thief.locator("#new_password")).to_have_count(0)
    assert demo.changed(who, NEW) == "/sign-in/second"
    sign_in(page, who.key, NEW)
    second_step(page, demo.digits(who))
    page.wait_for_url("**/account")


@pytest.mark.covers("N-R10", "N-R11", "J3")
def test_three_proofs_unlock_without_a_wait(demo: Demo, phone: Phone, locale: str) -> None:
    who, page = demo.who(APP[locale]), phone()
    ask(page, who.key, "/forgot?journey=locked")
    mail_code(page, demo, who)
    by_app(page, demo, who)
    held(page, locale, short=True)
    by_saved_code(page, demo, who)
    heading(page, locale, "Unlock your account")
    page.locator("form[action$='/unlock'] button").click()
    heading(page, locale, "Your account is unlocked")
    demo.told(who, "account_changed")
    demo.unchanged(who)


@pytest.mark.covers("N-R2", "N-R3", "N-R11", "E2")
def test_a_lost_app_is_replaced_unless_the_owner_says_no(demo: Demo, phone: Phone, locale: str) -> None:
    who, page, owner = demo.who(APP[locale]), phone(), phone()
    page.goto("/forgot?journey=second_factor")
    seen(page, "forgot-second-factor")
    ask(page, who.key, "/forgot?journey=second_factor")
    mail_code(page, demo, who)
    by_saved_code(page, demo, who)
    stop_by(owner, waits(page, demo, who, 15)[who.mail])
    look_again(page)
    heading(page, locale, "This recovery was canceled")
    seen(page, "was-stopped")
    demo.told(who, "stopped")
    demo.unchanged(who)

    demo.afresh()
    ask(page, who.key, "/forgot?journey=second_factor")
    mail_code(page, demo, who)
    pick(page, "recovery_code")
    seen(page, "saved-code")
    answer(page, demo.saved_code(who))
    heading(page, locale, "Write down your new recovery code")
    seen(page, "new-code")
    page.locator("main a.button").click()
    waits(page, demo, who, 15)
    let_go(demo, page, MINUTES, "form[action$='/factor/new']")
    seen(page, "replace-factor")
    old = demo.digits(who)
    page.locator("form[action$='/factor/new'] button").click()
    page.locator(".qr").wait_for(state="attached")  # folded on a phone
    seen(page, "new-factor")
    take_place(page, "/factor", next(a["code"] for a in demo.enrolled("apps", who) if a["pending"]))
    heading(page, locale, "Your new second step works")
    seen(page, "remedied")
    demo.told(who, "account_changed")
    sign_in(page, who.key, demo.password(who))
    second_step(page, old)
    alert(page)
    second_step(page, demo.digits(who))
    page.wait_for_url("**/account")


@pytest.mark.covers("N-R10", "N-R12")
def test_a_lost_mailbox_by_app_and_saved_code_waits_minutes(demo: Demo, phone: Phone, locale: str) -> None:
    who, page = demo.who(APP[locale]), phone()
    ask(page, who.key, "/forgot?journey=mailbox")
    by_app(page, demo, who)
    asks_for_more(page, locale)
    by_saved_code(page, demo, who)
    waits(page, demo, who, 15)
    assert not demo.messages(who, "recovery"), "nothing that opens anything goes to the lost mailbox"
    cancel(page)
    page.locator("form[action$='/cancel']").wait_for(state="detached")
    seen(page, "cancelled")
    demo.unchanged(who)


# ── a passkey ───────────────────────────────────────────────────────────────


@pytest.mark.covers("N-R11", "N-R12", "E2")
def test_a_passkey_and_a_saved_code_spare_the_wait(demo: Demo, phone: Phone, locale: str) -> None:
    who, page = demo.who(KEY[locale]), phone()
    hold_passkey(page.context, page, demo, who)
    ask(page, who.mail)
    mail_code(page, demo, who)
    asks_for_more(page, locale)
    pick(page, "passkey")
    seen(page, "passkey")
    page.locator("[data-passkey-button]").click()
    goes_on(page)
    waits(page, demo, who, 15)
    by_saved_code(page, demo, who)
    chooses(page, demo, who)
    assert demo.changed(who, NEW) == "/sign-in/second"
    sign_in(page, who.key, NEW)
    page.wait_for_url("**/sign-in/second")
    seen(page, "second-step")
    page.locator("[data-passkey-button]").first.click()
    page.wait_for_url("**/account")


@pytest.mark.covers("N-R11", "E2")
def test_neither_phone_nor_mail_nor_another_passkey_is_enough(demo: Demo, phone: Phone, locale: str) -> None:
    who, page = demo.who(KEY[locale]), phone()
    other = demo.who(KEY["en" if locale == "zh_CN" else "zh_CN"])
    hold_passkey(page.context, page, demo, other)
    handle = ask(page, who.mail)
    page.goto(f"/r/{handle}/ways")
    sms(page, demo, who)  # only the phone
    goes_on(page)
    asks_for_more(page, locale)
    demo.unchanged(who)

    demo.afresh()
    ask(page, who.mail)  # mailbox and phone: two codes that were sent are one kind
    mail_code(page, demo, who)
    sms(page, demo, who)
    goes_on(page)
    asks_for_more(page, locale)
    pick(page, "passkey")  # and a passkey that is somebody else's
    page.locator("[data-passkey-button]").click()
    alert(page)
    seen(page, "passkey-wrong")
    page.locator("a[href$='/ways']").click()
    asks_for_more(page, locale)
    assert not demo.messages(who, "hold")
    demo.unchanged(who)


# ── only a phone, only a chat, only a private mailbox ───────────────────────


@pytest.mark.covers("N-R11")
def test_mail_and_phone_replace_no_second_step(demo: Demo, phone: Phone, locale: str) -> None:
    who, page = demo.who(ONLY_PHONE[locale]), phone()
    ask(page, who.mail, "/forgot?journey=second_factor")
    mail_code(page, demo, who)
    sms(page, demo, who)
    goes_on(page)
    expect(page.locator(".notice-head")).to_have_text(gettext(locale, NOTHING_ELSE))
    names_the_desk(page, locale)
    seen(page, "nothing-else")
    demo.unchanged(who)


@pytest.mark.covers("N-R10", "N-R12", "N-O2")
def test_a_chat_message_waits_a_day_and_the_mailbox_says_no(demo: Demo, phone: Phone, locale: str) -> None:
    who, page, owner = demo.who(CHAT[locale]), phone(), phone()
    ask(page, who.key, "/forgot?journey=mailbox")
    pick(page, "im_message")
    seen(page, "chat")
    answer(page, demo.text_code(BY_NAME[who.key].chat))
    goes_on(page)
    stop_by(owner, waits(page, demo, who, 24 * 60)[who.mail])
    demo.told(who, "stopped")
    demo.later(DAY)
    look_again(page)
    heading(page, locale, "This recovery was canceled")
    demo.unchanged(who)


# ── nothing left ────────────────────────────────────────────────────────────


@pytest.mark.covers("N-R11")
@pytest.mark.parametrize(
    ("locale", "journey"),
    [
        ("en", "password"),
        ("zh_CN", "locked"),
        ("zh_CN", "second_factor"),
        pytest.param("zh_CN", "password", marks=pytest.mark.whole),
        pytest.param("en", "locked", marks=pytest.mark.whole),
        pytest.param("en", "second_factor", marks=pytest.mark.whole),
    ],
)
def test_nothing_left_ends_at_the_help_desk(demo: Demo, phone: Phone, locale: str, journey: str) -> None:
    who, page = demo.who(NOTHING[locale]), phone()
    ask(page, who.mail, f"/forgot?journey={journey}")
    mail_code(page, demo, who)
    expect(page.locator(".notice-head")).to_have_text(gettext(locale, NOTHING_ELSE))
    expect(page.locator(".choice")).to_have_count(0)
    names_the_desk(page, locale)
    seen(page, f"nothing-{journey}")
    demo.unchanged(who)


@pytest.mark.covers("N-R1", "A3")
def test_a_lost_mailbox_with_nothing_else_names_the_help_desk(demo: Demo, phone: Phone, locale: str) -> None:
    who, page = demo.who(NOTHING[locale]), phone()
    ask(page, who.mail, "/forgot?journey=mailbox")
    seen(page, "mailbox-ways")
    names_the_desk(page, locale)
    pick(page, "sms_code")
    for _ in range(6):
        if page.locator("#code").count():
            answer(page, "135790")
            page.locator("[role=alert]").wait_for()
    expect(page.locator("#code")).to_have_count(0)
    names_the_desk(page, locale)
    look_again(page)
    names_the_desk(page, locale)
    seen(page, "no-tries")
    page.locator("a[href$='/ways']").click()
    names_the_desk(page, locale)
    assert not demo.mails(who.mail)
    demo.unchanged(who)


def test_no_mail_on_record_looks_the_same_and_names_the_way_out(demo: Demo, phone: Phone, locale: str) -> None:
    who, page = demo.who(NO_MAIL), phone()
    handle = ask(page, who.key)
    heading(page, locale, "Check your email")
    page.locator("a[href$='/ways']").click()
    page.wait_for_url(f"**/r/{handle}/ways")
    names_the_desk(page, locale)
    demo.unchanged(who)


# ── a colleague ─────────────────────────────────────────────────────────────


@pytest.mark.covers("N-R8", "N-R12", "E2")
def test_a_colleague_vouches_and_everybody_can_stop_it(demo: Demo, phone: Phone, locale: str) -> None:
    who, page, friend = demo.who(FRIEND[locale]), phone(), phone()
    other = demo.who(BY_NAME[who.key].friend)
    ask(page, who.mail)
    mail_code(page, demo, who)
    pick(page, "recovery_contact")
    digits = page.locator(".number-shown b").inner_text()
    seen(page, "digits")
    plea = demo.until(lambda: demo.messages(other, "vouch"), "the plea")[0]
    assert digits not in plea["text"]
    friend.goto(recovery_link(plea))
    seen(friend, "vouch")
    friend.locator("#code").fill(f"{(int(digits) + 1) % 10**4:04}")
    friend.locator("form[action='/vouch'] button").click()
    alert(friend)
    friend.locator("#code").fill(digits)
    friend.locator("form[action='/vouch'] button").click()
    heading(friend, locale, "Thank you")
    back_to(page, page.url.partition("/ways")[0])
    waits(page, demo, who, 15)
    let_go(demo, page, MINUTES, "#new_password")
    chooses(page, demo, who)
    assert demo.changed(who, NEW) == "/account"


@pytest.mark.covers("N-R8", "N-R11")
def test_who_reads_only_the_colleagues_mail_is_stopped(demo: Demo, phone: Phone, locale: str) -> None:
    who, thief, elsewhere = demo.who(FRIEND[locale]), phone(), phone()
    other = demo.who(BY_NAME[who.key].friend)
    handle = ask(thief, who.mail)
    thief.goto(f"/r/{handle}/ways")
    pick(thief, "recovery_contact")
    digits = thief.locator(".number-shown b").inner_text()
    plea = recovery_link(demo.until(lambda: demo.messages(other, "vouch"), "the plea")[0])
    thief.goto(plea)
    thief.locator("#code").fill(digits)
    thief.locator("form[action='/vouch'] button").click()
    heading(thief, locale, "You can’t confirm in this browser")  # in the browser that asks
    elsewhere.goto(plea)
    elsewhere.locator("#code").fill(digits)
    elsewhere.locator("form[action='/vouch'] button").click()
    heading(elsewhere, locale, "Thank you")  # one proof, of two that are needed
    back_to(thief, f"{demo.url}/r/{handle}")
    asks_for_more(thief, locale)
    assert not demo.messages(who, "hold")
    demo.unchanged(who)


# ── CRM administrators ──────────────────────────────────────────────────────


@pytest.mark.covers("N-R11", "D1", "E2")
def test_an_administrator_with_a_passkey_gets_to_the_end(demo: Demo, phone: Phone, locale: str) -> None:
    who, page, thief = demo.who(ADMIN_KEY[locale]), phone(), phone()
    ask(thief, who.key)  # mail and a recovery code from the drawer: for an administrator somebody has to look
    mail_code(thief, demo, who)
    by_saved_code(thief, demo, who)
    heading(thief, locale, "A second person has to approve")
    names_the_desk(thief, locale)
    demo.unchanged(who)

    hold_passkey(page.context, page, demo, who)
    ask(page, who.key)
    mail_code(page, demo, who, 2)
    asks_for_more(page, locale)
    use_passkey(page)
    waits(page, demo, who, 24 * 60)
    by_saved_code(page, demo, who)
    chooses(page, demo, who)
    assert demo.changed(who, NEW) == "/sign-in/second"
    expect(thief.locator("#new_password")).to_have_count(0)


@pytest.mark.covers("N-R11", "D1")
def test_an_administrator_without_one_needs_a_second_person(demo: Demo, phone: Phone, locale: str) -> None:
    who, page = demo.who(ADMIN_APP), phone()
    ask(page, who.key)
    mail_code(page, demo, who)
    by_app(page, demo, who)
    heading(page, locale, "A second person has to approve")
    names_the_desk(page, locale)
    seen(page, "in-review")
    demo.later(3 * 60)
    look_again(page)
    heading(page, locale, "A second person has to approve")  # no wait ends in an approval
    demo.unchanged(who)


@pytest.mark.covers("N-R11", "D1")
def test_an_administrator_with_nothing_but_mail_calls_the_help_desk(demo: Demo, phone: Phone, locale: str) -> None:
    who, page = demo.who(ADMIN), phone()
    ask(page, who.key)
    mail_code(page, demo, who)
    expect(page.locator(".notice-head")).to_have_text(gettext(locale, NOTHING_ELSE))
    names_the_desk(page, locale)
    demo.unchanged(who)


# ── user names, locks, dead ends ────────────────────────────────────────────


@pytest.mark.covers("A3")
def test_everybody_finds_their_user_names(demo: Demo, phone: Phone, locale: str) -> None:
    page = phone()
    page.goto("/find")
    seen(page, "find")
    for group in (TWO_NAMES, APP, KEY, ONLY_PHONE, CHAT, PRIVATE, NOTHING, FRIEND, ADMIN_KEY):
        who = demo.who(group[locale])
        ask(page, who.mail, "/find")
        mail = demo.until(lambda who=who: demo.messages(who, "logins"), f"logins of {who.key}")[0]
        s = BY_NAME[who.key]
        for system in s.systems:
            assert TITLES[system] in mail["text"]
            assert s.login(system) in mail["text"]
        assert not mail["codes"]
        assert not demo.messages(who, "recovery")
    seen(page, "find-waiting")
    demo.unchanged(who)


@pytest.mark.covers("N-R10", "J3")
def test_a_locked_account_opens_with_the_password_it_had(demo: Demo, phone: Phone, locale: str) -> None:
    who, page = demo.who(LOCKED[locale]), phone()
    assert not demo.opens(who, demo.password(who))
    sign_in(page, who.key, demo.password(who))
    alert(page)
    seen(page, "sign-in-wrong")
    page.locator("main .inline-links a[href='/']").click()
    page.locator("a[href='/forgot?journey=locked']").click()
    seen(page, "forgot-locked")
    page.locator("#identifier").fill(who.key)
    page.locator("form button[type=submit]").first.click()
    goes_on(page)
    mail_code(page, demo, who)
    heading(page, locale, "Unlock your account")
    seen(page, "unlock")
    page.locator("form[action$='/unlock'] button").click()
    heading(page, locale, "Your account is unlocked")
    seen(page, "unlocked")
    demo.told(who, "account_changed")
    demo.unchanged(who)


@pytest.mark.covers("N-R5")
def test_a_mail_that_is_late_old_or_lost_has_a_next_one(demo: Demo, phone: Phone, locale: str) -> None:
    who, page = demo.who({"en": "maya.okafor", "zh_CN": "liwei"}[locale]), phone()
    handle = ask(page, who.mail)
    link = recovery_link(demo.mail(who))
    expect(page.locator(f"form[action='/r/{handle}/again'] button")).to_be_disabled()
    demo.later(11)  # the code is over, the link is not
    look_again(page)
    expect(page.locator(".countdown .over")).to_be_visible()
    seen(page, "code-over")
    page.locator(f"form[action='/r/{handle}/again'] button").click()
    heading(page, locale, "Check your email")
    expect(page.locator("[data-state=done], .notice").first).to_be_visible()
    newer = recovery_link(demo.mail(who, 2))
    page.goto(link)
    heading(page, locale, "There is a newer email")
    seen(page, "link-replaced")
    demo.later(61)
    page.goto(newer)
    heading(page, locale, "This link has expired")
    seen(page, "link-expired")
    page.locator("form[action='/link/again'] button").click()
    heading(page, locale, "A new email is on its way")
    seen(page, "link-renewed")
    page.goto(recovery_link(demo.mail(who, 3)))
    seen(page, "link")
    page.locator("form[action='/link/accept'] button").click()
    expect(page.locator("#new_password")).to_be_visible()
    demo.unchanged(who)


def test_the_help_page_ends_nowhere(demo: Demo, phone: Phone, locale: str) -> None:
    page = phone()
    for problem in ("mail", "expired", "question", "backup", "phone", "mailbox", "locked", "still", "stop", "notfound"):
        page.goto(f"/help#{problem}")
        fold = page.locator(f"#{problem}")
        if fold.get_attribute("open") is None:
            fold.locator("summary").click()
        ways = fold.locator("a.go").count()
        assert ways or HELPDESK[locale] in fold.inner_text(), problem
    seen(page, "help")


# ── last, because their people have other addresses and second steps afterwards ──


@pytest.mark.covers("N-R2", "N-R3", "N-R11")
def test_a_lost_passkey_gives_way_to_an_app(demo: Demo, phone: Phone, locale: str) -> None:
    who, page = demo.who(KEY[locale]), phone()
    ask(page, who.mail, "/forgot?journey=second_factor")
    mail_code(page, demo, who)
    by_saved_code(page, demo, who)
    waits(page, demo, who, 15)
    let_go(demo, page, MINUTES, "form[action$='/factor/new']")
    page.locator("form[action$='/factor/new'] button").click()
    page.locator(".qr").wait_for(state="attached")  # folded on a phone
    take_place(page, "/factor", next(a["code"] for a in demo.enrolled("apps", who) if a["pending"]))
    heading(page, locale, "Your new second step works")
    demo.told(who, "account_changed")
    sign_in(page, who.key, demo.password(who))
    second_step(page, demo.digits(who))
    page.wait_for_url("**/account")


@pytest.mark.covers("N-R10", "N-R12", "N-O2", "E2")
def test_a_phone_brings_a_new_mailbox_after_a_day_unless_the_old_one_says_no(
    demo: Demo, phone: Phone, locale: str
) -> None:
    who, page, owner = demo.who(ONLY_PHONE[locale]), phone(), phone()
    ask(page, who.key, "/forgot?journey=mailbox")
    pick(page, "sms_code")
    seen(page, "sms")
    answer(page, "000000")
    alert(page)
    answer(page, demo.text_code(BY_NAME[who.key].phone))
    goes_on(page)
    links = waits(page, demo, who, 24 * 60)
    stop_by(owner, links[who.mail])
    demo.told(who, "stopped")
    look_again(page)
    heading(page, locale, "This recovery was canceled")
    demo.unchanged(who)

    demo.afresh()
    ask(page, who.key, "/forgot?journey=mailbox")
    sms(page, demo, who)
    goes_on(page)
    waits(page, demo, who, 24 * 60)
    let_go(demo, page, DAY, "#address")
    seen(page, "replace-mailbox")
    new = f"new.{who.mail}"
    page.locator("#address").fill(new)
    page.locator("form[action$='/mailbox/new'] button").click()
    page.locator("#code").wait_for()
    seen(page, "mailbox-code")
    take_place(page, "/mailbox/code", demo.mail_code(new))
    heading(page, locale, "Your email address is updated")
    seen(page, "mailbox-replaced")
    demo.told(who, "account_changed")  # the lost one, too
    assert demo.until(lambda: demo.messages(who, "account_changed", new), "the new one as well")
    demo.unchanged(who)


@pytest.mark.covers("N-R10", "N-R12", "E2")
def test_a_private_mailbox_takes_the_place_of_the_lost_one(demo: Demo, phone: Phone, locale: str) -> None:
    who, page = demo.who(PRIVATE[locale]), phone()
    private = BY_NAME[who.key].mails[1]
    ask(page, who.key, "/forgot?journey=mailbox")
    pick(page, "backup_email")
    seen(page, "backup-mail")
    answer(page, demo.mail_code(private))
    goes_on(page)
    waits(page, demo, who, 24 * 60)
    let_go(demo, page, DAY, "#address")
    seen(page, "replace-by-backup")
    page.locator("form[action$='/mailbox'] button").click()
    heading(page, locale, "Your email address is updated")
    demo.told(who, "account_changed")
    demo.unchanged(who)
    demo.afresh()
    ask(page, who.key)
    demo.until(lambda: demo.messages(who, "recovery", private), "the next mail goes there")
    assert not demo.messages(who, "recovery")
