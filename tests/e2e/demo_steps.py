"""The demo as its visitors meet it: a process of its own, its mailbox, phones and apps as its pages for programs show
them, and what the invented people do in a browser."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import httpx2
from playwright.sync_api import BrowserContext, Error, Page, expect

from keyback.channels.mail.kinds import SUBJECTS
from keyback.demo.company import COMPANY, STAFF
from keyback.demo.operators import DemoOperator
from keyback.locale import gettext
from keyback.locale.dates import moment
from tests.e2e.account_steps import never_fills_in
from tests.e2e.site import Someone
from tests.e2e.steps import fits, look_again
from tests.e2e.ways_steps import answer, pick

T = TypeVar("T")
RUN = "from keyback.cli import main; main()"
# The same at another time, which goes on from there: nothing has looked at a clock yet.
AT = """
import time
ahead = {at} - time.time_ns() // 10**9
seconds, ns = time.time, time.time_ns
time.time, time.time_ns = lambda: seconds() + ahead, lambda: ns() + ahead * 10**9
"""
AGENT = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"
NEW = "Supper ladder teapot-7"  # as strict as any of the systems asks
ZONE = ZoneInfo("Asia/Shanghai")
PATIENCE = 60_000  # ms
MINUTES, DAY = 16, 24 * 60 + 1
OVER = 49 * 60  # after which no recovery is open any more, and nobody's hourly budget is used up
BY_NAME = {s.username: s for s in STAFF}
SAYS = {
    "hold": "{company}: a recovery of your account is on hold until {when}. Not you? Cancel: {link}",
    "over": "{company}: a recovery of your account can now continue. Not you? Cancel: {link}",
    "changed": "{company}: your account was recovered on {when}. Not you? {link}",
    "account_changed": "{company}: security settings for your account changed on {when}. Not you? {link}",
    "stopped": "{company}: the recovery of your account was canceled on {when}. Nothing was changed.",
}
SHOTS = os.environ.get("KEYBACK_SHOTS")  # a folder: what people saw is kept there
_shot = itertools.count(1)


@dataclass
class Demo:
    """A running demo. What came before the present test is not seen.

    Args:
        mark: ids of the last mail and the last message that are not seen.
        ahead: minutes that its time was set ahead.
        chosen: passwords that people have chosen since.
        read: what was read last in the mailbox and on the phone, with its version.
    """

    url: str
    people: dict[str, dict[str, Any]] = field(repr=False)
    http: httpx2.Client = field(repr=False)
    mark: tuple[int, int] = (0, 0)
    ahead: int = 0
    chosen: dict[str, str] = field(default_factory=dict)
    read: dict[str, tuple[str, list[dict[str, Any]]]] = field(default_factory=dict, repr=False)

    # ── time ────────────────────────────────────────────────────────────────

    def later(self, minutes: int) -> None:
        """Lets so much time pass."""
        r = self.http.post("/demo/clock", data={"minutes": str(minutes)})
        assert r.status_code == 303
        self.ahead += minutes

    def moments(self, minutes: int, locale: str) -> list[str]:
        """How a page may write the instant that is so far away; the clock goes on meanwhile."""
        now = int(time.time() * 1000) + self.ahead * 60_000
        return [moment(locale, now + (minutes + n) * 60_000, ZONE) for n in (-1, 0, 1)]

    def afresh(self) -> None:
        """What was open is over, and what came so far is forgotten."""
        self.later(OVER)
        mails, texts = self.every("mailbox"), self.every("phone")
        self.mark = int(mails[-1]["id"]) if mails else 0, int(texts[-1]["id"]) if texts else 0

    def until(self, look: Callable[[], T], what: str, seconds: float = PATIENCE / 1000) -> T:
        """What `look` gives, as soon as it is something."""
        end = time.monotonic() + seconds
        while not (found := look()):
            if time.monotonic() > end:
                raise AssertionError(f"still not: {what}")
            time.sleep(0.03)
        return found

    # ── what came ───────────────────────────────────────────────────────────

    def every(self, where: str) -> list[dict[str, Any]]:
        """All in the `mailbox` or on the `phone`, which is read again only when something new is there."""
        version = self.http.get(f"/demo/{where}/status").json()["version"]
        if self.read.get(where, ("", []))[0] != version:
            self.read[where] = version, self.http.get(f"/demo/{where}.json").json()
        return self.read[where][1]

    def mails(self, to: str) -> list[dict[str, Any]]:
        return [m for m in self.every("mailbox") if m["to"] == to and int(m["id"]) > self.mark[0]]

    def texts(self, to: str) -> list[dict[str, Any]]:
        return [m for m in self.every("phone") if m["to"] == to and int(m["id"]) > self.mark[1]]

    def mail(self, who: Someone, n: int = 1) -> dict[str, Any]:
        """The `n`th mail with a link and a code to somebody's first address."""
        return self.until(lambda: self.messages(who, "recovery")[n - 1 : n], f"mail {n} to {who.mail}")[0]

    def text_code(self, to: str, n: int = 1) -> str:
        """The `n`th code that went to a phone."""
        return str(self.until(lambda: [c for m in self.texts(to) for c in m["codes"]][n - 1 : n], f"code {n}")[0])

    def mail_code(self, to: str) -> str:
        """The six-digit code that went to an address."""
        found = self.until(lambda: [c for m in self.mails(to) for c in m["codes"] if len(c) == 6], f"code to {to}")
        return str(found[-1])

    def messages(self, who: Someone, kind: str, to: str = "") -> list[dict[str, Any]]:
        """Mails of one kind, in the person's language."""
        subject = gettext(who.locale, SUBJECTS[kind], company=COMPANY[who.locale])  # type: ignore[index]
        return [m for m in self.mails(to or who.mail) if m["subject"] == subject]

    def told(self, who: Someone, kind: str) -> dict[str, str]:
        """Waits until every contact of a person has its message of this kind; address to text."""
        name = COMPANY[who.locale]
        letter, n = ("hold", 2) if kind == "over" else (kind, 1)
        said = re.compile(".*".join(re.escape(x) for x in gettext(who.locale, SAYS[kind], **_gaps(name)).split("\0")))
        out = {}

        def come(to: str) -> list[dict[str, Any]]:
            if "@" in to:
                return self.messages(who, letter, to)[n - 1 :]
            return [m for m in self.texts(to) if said.match(m["text"])]

        for to in contacts_of(who):
            out[to] = str(self.until(partial(come, to), f"{kind} to {to}")[-1]["text"])
        return out

    # ── what people hold ────────────────────────────────────────────────────

    def who(self, username: str) -> Someone:
        p = self.people[username]
        return Someone(username, next((i for i in p["identifiers"] if "@" in i), ""), p["locale"])

    def password(self, who: Someone) -> str:
        """The one that opens somebody's account now."""
        return self.chosen.get(who.key) or str(self.people[who.key]["password"])

    def enrolled(self, kind: str, who: Someone) -> list[dict[str, Any]]:
        """`apps`, `passkeys` or `recovery_codes` of somebody."""
        return [x for x in self.http.get("/demo/authenticator.json").json()[kind] if x["username"] == who.key]

    def digits(self, who: Someone) -> str:
        """What somebody's app shows now."""
        app = next(a for a in self.enrolled("apps", who) if not a["pending"])
        if app["used"]:
            self.later(1)
            return self.digits(who)
        return str(app["code"])

    def saved_code(self, who: Someone) -> str:
        return str(next(c["code"] for c in self.enrolled("recovery_codes", who)[0]["codes"] if not c["used"]))

    # ── what is true ────────────────────────────────────────────────────────

    def opens(self, who: Someone, password: str) -> str:
        """Where signing in with this password leads; empty when nowhere."""
        r = self.http.post("/sign-in", data={"identifier": who.key, "password": password})
        self.http.cookies.clear()
        return r.headers["location"] if r.status_code == 303 else ""

    def crm_opens(self, who: Someone, password: str) -> bool:
        fields = {"username": BY_NAME[who.key].login("demo"), "password": password}
        return self.http.post("/demo/crm/sign-in", data=fields).status_code == 200

    def unchanged(self, who: Someone) -> None:
        """Nothing happened to somebody's account: the password that they know signs in everywhere."""
        assert self.opens(who, self.password(who))
        if "demo" in self.people[who.key]["systems"]:
            assert self.crm_opens(who, self.password(who))

    def changed(self, who: Someone, new: str) -> str:
        """The new password signs in everywhere and the old one nowhere; where it leads."""
        old, self.chosen[who.key] = self.password(who), new
        if "demo" in self.people[who.key]["systems"]:
            assert self.crm_opens(who, new)
            assert not self.crm_opens(who, old)
        assert not self.opens(who, old)
        return self.opens(who, new)


def contacts_of(who: Someone) -> tuple[str, ...]:
    """Everywhere that somebody hears of what happens to their account."""
    s = BY_NAME[who.key]
    return tuple(filter(None, (*s.mails, s.phone, s.chat)))


def _gaps(company: str) -> dict[str, str]:
    return {"company": company, "when": "\0", "link": "\0"}


@contextlib.contextmanager
def running_demo(folder: Path, at: int | None = None) -> Iterator[Demo]:
    """`keyback demo --host localhost` until the block ends.

    Args:
        at: when it starts (seconds since 1970); None for now.
    """
    run = RUN if at is None else AT.format(at=at) + RUN
    command = [sys.executable, "-c", run, "demo", "--host", "localhost", "--port", "0", "--data", str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        said = ""
        for line in process.stdout:
            said += line
            if "Ctrl-C" in line:
                break
        found = re.search(r"http://localhost:\d+", said)
        assert found, said
        headers = {"sec-fetch-site": "same-origin", "user-agent": AGENT, "accept-language": "en"}
        with httpx2.Client(base_url=found[0], headers=headers, timeout=60, trust_env=False) as http:
            people = {p["identifiers"][0]: p for p in http.get("/demo/people.json").json()}
            yield Demo(found[0], people, http)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


# ── in the browser ──────────────────────────────────────────────────────────


def seen(page: Page, name: str) -> None:
    """The page fits a narrow screen; kept as a picture where a folder for them is named."""
    fits(page)
    if SHOTS:
        Path(SHOTS).mkdir(parents=True, exist_ok=True)
        lang = page.evaluate("document.documentElement.lang")
        page.screenshot(path=f"{SHOTS}/{next(_shot):03}-{name}-{lang}.png", full_page=True)


def hold_passkey(context: BrowserContext, page: Page, demo: Demo, who: Someone) -> None:
    """Puts somebody's passkey into an authenticator of this browser, which knows its user by heart."""
    never_fills_in(context)
    key = demo.enrolled("passkeys", who)[0]
    cdp = context.new_cdp_session(page)
    cdp.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    made = cdp.send("WebAuthn.addVirtualAuthenticator", {"options": options})

    def plain(value: str) -> str:
        return value.replace("-", "+").replace("_", "/") + "=" * (-len(value) % 4)

    credential = {
        "credentialId": plain(key["credential_id"]),
        "isResidentCredential": True,
        "rpId": key["rp_id"],
        "privateKey": plain(key["private_key"]),
        "userHandle": plain(key["user_handle"]),
        "signCount": 0,
    }
    cdp.send("WebAuthn.addCredential", {"authenticatorId": made["authenticatorId"], "credential": credential})


def patient(context: BrowserContext) -> Page:
    """A page that is given its time: everything here is a process of its own, which a busy machine may let wait."""
    context.set_default_timeout(PATIENCE)
    expect.set_options(timeout=PATIENCE)
    return context.new_page()


def back_to(page: Page, url: str) -> None:
    """Opens an address, also where the page is just loading itself anew."""
    with contextlib.suppress(Error):
        page.goto(url)
    page.wait_for_url(url)
    page.wait_for_load_state()


def goes_on(page: Page) -> None:
    """The page after an accepted proof."""
    page.wait_for_url(re.compile(r"/r/[^/]+$"))


def show(page: Page, proof: str, typed: str) -> None:
    pick(page, proof)
    answer(page, typed)


def by_app(page: Page, demo: Demo, who: Someone) -> None:
    show(page, "totp", demo.digits(who))
    goes_on(page)


def by_saved_code(page: Page, demo: Demo, who: Someone) -> None:
    """Shows a recovery code, and goes past the page with the one that takes its place."""
    show(page, "recovery_code", demo.saved_code(who))
    page.locator("main a.button").click()
    goes_on(page)


def take_place(page: Page, path: str, typed: str) -> None:
    """Types the code for what takes the place of what was lost."""
    page.locator("#code").fill(typed)
    page.locator(f"form[action$='{path}'] button").click()


def let_go(demo: Demo, page: Page, minutes: int, wanted: str) -> None:
    """Lets a wait pass, until the page shows what comes after it."""
    demo.later(minutes)

    def there() -> bool:
        look_again(page)
        return page.locator(wanted).count() > 0

    demo.until(there, f"{wanted} after a hold")


def stop_link(text: str) -> str:
    return next(link for link in re.findall(r"https?://\S+", text) if "/l/" in link)


def stop_by(page: Page, link: str) -> None:
    """Stops a waiting recovery by the link of its notice."""
    page.goto(link)
    seen(page, "stop")
    page.locator("form[action='/stop'] button").click()
    page.locator("form[action='/stop']").wait_for(state="detached")
    seen(page, "stopped")


def enters(page: Page, demo: Demo, operator: DemoOperator) -> None:
    """An operator signs in to the console with password and authenticator app."""
    page.goto("/console/sign-in")
    seen(page, "console-sign-in")
    page.locator("#email").fill(operator.mail)
    page.locator("#password").fill(operator.password)
    page.locator("#code").fill(demo.digits(Someone(operator.mail, operator.mail, "en")))
    page.locator("form[action='/console/sign-in'] button[type=submit]").click()
    page.wait_for_url("**/console")
