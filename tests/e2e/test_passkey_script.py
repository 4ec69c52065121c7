"""`passkey.js` in Chromium with a virtual authenticator, under our Content-Security-Policy, against the real method."""

from __future__ import annotations

import html
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qs

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from keyback.application.ports.proofs import Enrolments, Verdict
from keyback.domain.people.factor import Factor
from keyback.proofs.passkey.method import Passkey
from keyback.testing.proofs import NOW, put, somebody
from keyback.testing.serving import served
from keyback.web.http.edge import CSP
from keyback.web.ui.rendering import load_static

FORM = """<!doctype html><html lang="en"><title>Passkey</title><script src="/passkey.js" defer></script>
<form method="post" data-passkey="{how}" data-options="{options}"><input type="hidden" name="assertion" value="">
<button type="submit" data-passkey-button hidden>Use a passkey</button>
<p data-passkey-failed hidden>Nothing came back.</p><p data-passkey-missing hidden>This browser has none.</p></form>"""


@dataclass
class Desk:
    """The smallest site with passkeys: `/new` makes one, `/prove` asks for it."""

    proof: Any = None
    person: Enrolments = field(default_factory=lambda: Enrolments(somebody(1)))
    purpose: str = "recovery"
    serial: int = 0
    verdict: Verdict | None = None

    async def page(self, request: Request) -> Response:
        how = "create" if request.url.path == "/new" else "get"
        answer = parse_qs((await request.body()).decode()).get("assertion", [""])[0]
        if answer and how == "create":
            new = self.proof.verify_registration(answer, bytes(32), bytes(64))
            assert new is not None
            factor = Factor("key-1", "person-1", "passkey", "", "active", new.data, new.counter, lookup=new.lookup)
            self.person = replace(self.person, factors=(factor,))
            return self._html("<h1>Kept</h1>")
        if answer:
            self.verdict = await self.proof.verify([self._asked()], answer, NOW)
            return self._html(f"<h1>{self.verdict.code}</h1>")
        self.serial += 1
        if how == "create":
            options = self.proof.registration_options(
                bytes(32), bytes(64), "maya", "Maya", "Qingyu", self.person.factors
            )
        else:
            options = self.proof.form([self._asked()], "en")["options"]
        return self._html(FORM.format(how=how, options=html.escape(options)))

    def _asked(self) -> Any:
        return put(self.proof, self.person, self.serial, purpose=self.purpose)

    def _html(self, body: str) -> Response:
        return HTMLResponse(body, headers={"content-security-policy": CSP})


@pytest.fixture
def desk() -> Iterator[tuple[Desk, str]]:
    desk = Desk()

    async def script(request: Request) -> Response:
        return Response(load_static()["passkey.js"].body, media_type="text/javascript")

    app = Starlette(
        routes=[
            Route("/passkey.js", script),
            Route("/favicon.ico", lambda r: Response()),
            Route("/new", desk.page, methods=["GET", "POST"]),
            Route("/prove", desk.page, methods=["GET", "POST"]),
        ]
    )
    with served(app) as url:
        here = url.replace("127.0.0.1", "localhost")  # an IP address has no passkeys
        desk.proof = Passkey(here)
        yield desk, here


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    context: BrowserContext = browser.new_context()
    context.set_default_timeout(8000)
    complaints: list[str] = []
    context.on("weberror", lambda e: complaints.append(str(e.error)))
    context.on("console", lambda m: complaints.append(m.text) if m.type == "error" else None)
    yield context.new_page()
    context.close()
    assert not complaints


def virtual(tab: Page, **over: Any) -> Any:
    """Plugs an authenticator in; gives the CDP session and its id."""
    cdp = tab.context.new_cdp_session(tab)
    cdp.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True,
        "isUserVerified": True, "automaticPresenceSimulation": True,
    }  # fmt: skip
    added = cdp.send("WebAuthn.addVirtualAuthenticator", {"options": {**options, **over}})
    return cdp, added["authenticatorId"]


def press(tab: Page, url: str) -> None:
    tab.goto(url)
    tab.get_by_role("button", name="Use a passkey").click()


@pytest.mark.covers("N-T8")
@pytest.mark.parametrize("purpose", ["recovery", "sign_in"])
def test_a_passkey_is_made_and_proves_its_owner(desk: tuple[Desk, str], tab: Page, purpose: str) -> None:
    site, url = desk
    site.purpose = purpose
    virtual(tab)
    press(tab, f"{url}/new")
    expect(tab.get_by_role("heading", name="Kept")).to_be_visible()
    assert site.person.factors[0].data["transports"] == ["internal"]
    press(tab, f"{url}/prove")
    expect(tab.get_by_role("heading", name="ok")).to_be_visible()
    assert site.verdict is not None
    assert site.verdict.two_factors
    assert site.verdict.counter is not None  # Chromium's counts
    # The same device makes no second one for this person.
    press(tab, f"{url}/new")
    expect(tab.get_by_text("Nothing came back.")).to_be_visible()


def test_what_the_device_refuses_is_said_and_can_be_tried_again(desk: tuple[Desk, str], tab: Page) -> None:
    _, url = desk
    cdp, key = virtual(tab)
    press(tab, f"{url}/new")
    expect(tab.get_by_role("heading", name="Kept")).to_be_visible()
    cdp.send("WebAuthn.setUserVerified", {"authenticatorId": key, "isUserVerified": False})
    press(tab, f"{url}/prove")
    expect(tab.get_by_text("Nothing came back.")).to_be_visible()
    button = tab.get_by_role("button", name="Use a passkey")
    expect(button).to_be_focused()
    cdp.send("WebAuthn.setUserVerified", {"authenticatorId": key, "isUserVerified": True})
    tab.keyboard.press("Enter")
    expect(tab.get_by_role("heading", name="ok")).to_be_visible()


@pytest.mark.covers("W-1", "M8")
def test_a_recorded_answer_is_worth_nothing_for_the_next_challenge(desk: tuple[Desk, str], tab: Page) -> None:
    site, url = desk
    virtual(tab)
    press(tab, f"{url}/new")
    expect(tab.get_by_role("heading", name="Kept")).to_be_visible()
    recorded: list[str] = []
    tab.on("request", lambda r: recorded.append(r.post_data or "") if r.method == "POST" else None)
    press(tab, f"{url}/prove")
    expect(tab.get_by_role("heading", name="ok")).to_be_visible()
    site.serial += 1
    answer = parse_qs(recorded[-1])["assertion"][0]
    tab.request.post(f"{url}/prove", form={"assertion": answer})
    assert site.verdict == Verdict()


@pytest.mark.slow
def test_a_browser_without_passkeys_says_so(desk: tuple[Desk, str], tab: Page) -> None:
    tab.add_init_script("delete window.PublicKeyCredential")
    desk[0].person = Enrolments(somebody(1), factors=(Factor("key-1", "person-1", "passkey", "", "active"),))
    tab.goto(f"{desk[1]}/prove")
    expect(tab.get_by_text("This browser has none.")).to_be_visible()
    expect(tab.get_by_role("button", name="Use a passkey")).to_be_hidden()
