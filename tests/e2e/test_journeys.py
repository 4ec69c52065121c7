"""Each journey on a phone of 360 × 640, in both languages, counted; no count may grow over the table in the docs.

`--journeys-write` rewrites the tables (docs/en/journeys.md, docs/zh/journeys.md).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pyotp
import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.e2e.account_steps import authenticator, six
from tests.e2e.journeys import Journey
from tests.e2e.site import NEW, OLD, Site, Someone
from tests.e2e.steps import look_again, recovery_link, sign_in, to_result
from tests.e2e.ways_steps import add_app, add_codes, add_phone, let_go, text_code

DOCS = Path(__file__).parents[2] / "docs"
COLUMNS = ("actions", "single", "loads", "words", "scroll", "seconds")
ROOM = {"scroll": 60, "seconds": 2, "loads": 2}  # names, fonts and how often a page updates differ from run to run
WAITS = ("lost-phone", "lost-mailbox")  # a wait is due: no goal for the rest
TITLES = {
    "en": {
        "forgot-code": "Forgot the password, by code", "forgot-link": "Forgot the password, by link",
        "username": "Forgot the username", "locked": "Account is locked", "lost-phone": "Phone is lost (with a wait)",
        "lost-mailbox": "Mailbox is lost (with a wait)",
        "codes": "Sign in and save recovery codes", "passkey": "Sign in and create a passkey",
        "passkey-in": "Sign in with a passkey", "passkey-after": "Create a passkey after a recovery",
    },
    "zh": {
        "forgot-code": "忘记密码，用验证码", "forgot-link": "忘记密码，用链接", "username": "忘记用户名",
        "locked": "账号被锁定", "lost-phone": "手机丢失（有等待期）", "lost-mailbox": "邮箱无法使用（有等待期）",
        "codes": "登录并保存备用恢复码", "passkey": "登录并创建通行密钥", "passkey-in": "用通行密钥登录",
        "passkey-after": "找回后创建通行密钥",
    },
}  # fmt: skip
Go = Callable[[Site, Someone, Journey], None]


def begin(j: Journey, who: Someone, path: str) -> None:
    """From the first page to the request being sent."""
    j.page.goto("/")
    j.tap(j.page.locator(f"main a[href='{path}']"))
    j.type(j.page.locator("#identifier"), who.key)
    j.tap(j.page.locator("main form button[type=submit]").first)
    j.page.wait_for_url("**/r/*")


def code(j: Journey, site: Site, who: Someone, n: int = 1) -> None:
    mail = site.mail(who, n)
    j.app()
    j.fill_in(j.page.locator("#code"), mail["codes"][0])
    j.tap(j.page.locator("form[action$='/code'] button"))


def new_password(j: Journey, site: Site) -> None:
    j.type(j.page.locator("#new_password"), NEW)
    j.tap(j.page.locator("form[data-password] button[type=submit]"))
    j.page.locator(".systems").wait_for()
    site.applied()
    look_again(j.page)
    j.tap(j.page.locator("main a.button[href^='https://crm']"))


def forgot_code(site: Site, who: Someone, j: Journey) -> None:
    begin(j, who, "/forgot")
    code(j, site, who)
    new_password(j, site)


def forgot_link(site: Site, who: Someone, j: Journey) -> None:
    begin(j, who, "/forgot")
    j.open_link(recovery_link(site.mail(who)))
    j.tap(j.page.locator("form[action='/link/accept'] button"))
    new_password(j, site)


def username(site: Site, who: Someone, j: Journey) -> None:
    j.page.goto("/")
    j.tap(j.page.locator("main a[href='/find']"))
    j.type(j.page.locator("#identifier"), who.mail)
    j.tap(j.page.locator("main form button[type=submit]").first)
    j.page.wait_for_url("**/r/*")
    site.mail(who)
    j.app()


def locked(site: Site, who: Someone, j: Journey) -> None:
    for _ in range(5):
        site.crm.sign_in(who.key, "wrong")
    begin(j, who, "/forgot?journey=locked")
    code(j, site, who)
    j.tap(j.page.locator("form[action$='/unlock'] button"))
    j.page.locator(".relief").wait_for()
    j.tap(j.page.locator("main a.button"))


def lost_phone(site: Site, who: Someone, j: Journey) -> None:
    add_app(site, who)
    saved = add_codes(site, who)
    begin(j, who, "/forgot?journey=second_factor")
    code(j, site, who)
    j.tap(j.page.locator("form[action$='/ways/recovery_code'] button"))
    j.type(j.page.locator("#code"), saved[0])
    j.tap(j.page.locator("form[action$='/answer'] button[type=submit]"))
    onward = j.page.locator("a.button:visible, form button.button:visible").first
    onward.wait_for()
    if j.page.locator(".print-sheet, .codes").count():
        j.tap(j.page.locator("main a.button:visible").first)
    if j.page.locator(".wait-bar").count():
        j.page.locator(".wait-bar").wait_for()
        site.later(minutes=16)
        let_go(site, j.page)
    j.tap(j.page.locator("form[action$='/factor/new'] button"))
    seed = "".join((j.page.locator("#app-key").text_content() or "").split())
    j.app()
    j.fill_in(j.page.locator("#code"), pyotp.TOTP(seed).at(site.clock() // 1000))
    j.tap(j.page.locator("form[action$='/factor'] button"))
    j.page.locator(".relief").wait_for()


def lost_mailbox(site: Site, who: Someone, j: Journey) -> None:
    number, saved = add_phone(site, who), add_codes(site, who)
    begin(j, who, "/forgot?journey=mailbox")
    j.tap(j.page.locator("form[action$='/ways/sms_code'] button"))
    j.fill_in(j.page.locator("#code"), text_code(site, number))
    j.tap(j.page.locator("form[action$='/answer'] button[type=submit]"))
    j.page.locator("#code").wait_for(state="detached")
    if not j.page.locator(".wait-bar").count():
        j.tap(j.page.locator("form[action$='/ways/recovery_code'] button"))
        j.type(j.page.locator("#code"), saved[0])
        j.tap(j.page.locator("form[action$='/answer'] button[type=submit]"))
        j.page.locator("#code").wait_for(state="detached")
        if j.page.locator(".print-sheet").count():
            j.tap(j.page.locator("main a.button:visible").first)
    j.page.locator(".wait-bar").wait_for()
    site.later(minutes=24 * 60 + 1)
    let_go(site, j.page)
    address = f"new-{who.key}@example.net"
    j.type(j.page.locator("#address"), address)
    j.tap(j.page.locator("form[action$='/mailbox/new'] button"))
    j.app()
    j.fill_in(j.page.locator("#code"), six(site.mailbox.wait_for(address)[0]))
    j.tap(j.page.locator("form[action$='/mailbox/code'] button"))
    j.page.locator(".relief").wait_for()


def signed_in(j: Journey, who: Someone) -> None:
    j.page.goto("/sign-in")
    j.type(j.page.locator("#identifier"), who.key)
    j.type(j.page.locator("#password"), OLD)
    j.tap(j.page.locator("form[action='/sign-in'] button[type=submit]"))
    j.page.wait_for_url("**/account")


def codes(site: Site, who: Someone, j: Journey) -> None:
    signed_in(j, who)
    j.tap(j.page.locator(".readiness a.button[href='/account/codes'], main a[href='/account/codes']").first)
    j.tap(j.page.locator("form[action='/account/codes'] button").first)
    expect(j.page.locator(".codes > li")).to_have_count(10)


def create(j: Journey) -> None:
    """Presses the page's one button, and shows the finger to the device: a tap that the browser's own prompt takes."""
    j.tap(j.page.locator("[data-passkey-button]"))
    j.prompt()
    j.page.wait_for_url("**/account/ways?done=passkey_added")


def passkey(site: Site, who: Someone, j: Journey) -> None:
    authenticator(j.page.context, j.page)
    signed_in(j, who)
    j.tap(j.page.locator("a[href='/account/ways']").first)
    j.tap(j.page.locator("main a[href='/account/passkeys']").first)
    create(j)


def passkey_in(site: Site, who: Someone, j: Journey) -> None:
    touched = authenticator(j.page.context, j.page)
    sign_in(j.page, who.key, OLD)
    j.page.wait_for_url("**/account")
    j.page.goto("/account/passkeys")
    j.page.locator("[data-passkey-button]").click()
    j.page.wait_for_url("**/account/ways?done=passkey_added")
    touched(False)
    j.page.context.clear_cookies()
    j.loads = 0
    j.page.goto("/sign-in")
    touched(True)
    j.tap(j.page.locator("[data-passkey-button]"))
    j.prompt()
    j.page.wait_for_url("**/account")


def passkey_after(site: Site, who: Someone, j: Journey) -> None:
    authenticator(j.page.context, j.page)
    to_result(j.page, site, who)
    j.loads = 0
    j.tap(j.page.locator("[data-passkey-offer] a"))
    j.page.wait_for_url("**/sign-in?next=passkeys")
    j.fill_in(j.page.locator("#identifier"), who.key)  # the phone saved both a minute ago, and fills both in
    j.page.locator("#password").fill(NEW)
    j.tap(j.page.locator("form[action='/sign-in'] button[type=submit]"))
    create(j)


JOURNEYS: dict[str, Go] = {
    "forgot-code": forgot_code, "forgot-link": forgot_link, "username": username, "locked": locked,
    "lost-phone": lost_phone, "lost-mailbox": lost_mailbox, "codes": codes,
    "passkey": passkey, "passkey-in": passkey_in, "passkey-after": passkey_after,
}  # fmt: skip
counted: dict[str, dict[str, dict[str, int]]] = {"en": {}, "zh": {}}


def table(language: str) -> dict[str, dict[str, int]]:
    """The table in the docs, by journey."""
    titles = {title: name for name, title in TITLES[language].items()}
    out = {}
    for line in (DOCS / language / "journeys.md").read_text("utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0] in titles:
            out[titles[cells[0]]] = dict(zip(COLUMNS, map(int, cells[1:]), strict=True))
    return out


@pytest.fixture(scope="module", autouse=True)
def _write(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if not request.config.getoption("--journeys-write"):
        return
    for language, rows in counted.items():
        path, titles = DOCS / language / "journeys.md", TITLES[language]
        lines = path.read_text("utf-8").splitlines()
        for name, row in rows.items():
            new = "| " + " | ".join([titles[name], *(str(row[c]) for c in COLUMNS)]) + " |"
            lines = [new if line.startswith(f"| {titles[name]} |") else line for line in lines]
        path.write_text("\n".join(lines) + "\n", "utf-8")


@pytest.mark.covers("X-8")
@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("name", JOURNEYS)
def test_no_journey_grows(
    site: Site, device: Callable[..., BrowserContext], name: str, language: str, request: pytest.FixtureRequest
) -> None:
    locale = "zh_CN" if language == "zh" else "en"
    who = site.person(locale, crm=name in ("forgot-code", "forgot-link", "locked"))
    words, size = ("zh-CN" if language == "zh" else "en-US"), {"width": 360, "height": 640}
    context = device(words, 360, viewport=size)
    context.route(
        re.compile(r"https://crm\."), lambda route: route.fulfill(body="<h1>CRM</h1>", content_type="text/html")
    )
    page: Page = context.new_page()
    j = Journey(page)
    JOURNEYS[name](site, who, j)
    counted[language][name] = row = j.row
    if request.config.getoption("--journeys-write"):
        return
    most = table(language)[name]
    assert {c: row[c] for c in COLUMNS if row[c] > most[c] + ROOM.get(c, 0)} == {}, row
    if name not in WAITS:
        assert row["actions"] <= 6
        assert row["seconds"] <= 60
