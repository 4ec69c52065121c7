"""An identity verified by a real LemonLDAP::NG: its name and level in a signed ID token."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from keyback.testing.lemonldap_server import PLAIN, TWO_FACTORS, TWO_FACTORS_ACR, LemonServer, start_lemonldap
from tests.support.browser import Browser
from tests.support.enrolled import add_totp
from tests.support.kit import Kit, person
from tests.support.lemonldap import Portal
from tests.support.steps import Tray, accept, ask, case_of, drain, fit, secrets_of

pytestmark = pytest.mark.slow
Make = Callable[..., Kit]
CLIENT, SECRET = "keyback+1", "s3cret: of & client"
BACK = "http://127.0.0.1:8080/identity/lemon/back"


@pytest.fixture(scope="module")
def lemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LemonServer]:
    server = start_lemonldap(tmp_path_factory.mktemp("lemon") / "portal", CLIENT, SECRET, BACK, names=True)
    yield server
    server.stop()


def begun(make_kit: Make, lemon: LemonServer, name: str) -> tuple[Kit, Tray, Browser, str]:
    """Somebody of this name has opened the link in their mail, lost their app, and agreed."""
    words = {"en": "Lemon", "zh_CN": "柠檬"}
    section = {
        "title": words, "asks": words, "goes": words, "assessment": "DPO folder", "issuer": lemon.issuer,
        "client_id": CLIENT, "client_secret": SECRET, "scopes": ["openid", "profile"], "levels": [TWO_FACTORS_ACR],
        "timeout_s": 30,
    }  # fmt: skip
    kit = make_kit(identity={"lemon": section})
    tray = fit(kit, replace(person("maya"), name=name))
    add_totp(kit, "maya")
    kit.clock.forward(hours=73)
    started = ask(kit, "maya")
    drain(kit)
    assert accept(kit, secrets_of(tray.to("maya@example.com")[-1])[0]) is None
    browser, at = Browser(kit, started), f"/r/{started.handle}/identity/lemon"
    assert browser("POST", at, "agree=yes").headers["location"] == at
    return kit, tray, browser, at


def answers(browser: Browser, at: str, who: str) -> str:
    left = browser("GET", f"{at}/go")
    assert left.status_code == 303, left.text
    parts = urlsplit(Portal().sign_in(left.headers["location"], who))
    assert browser("GET", f"{parts.path}?{parts.query}").headers["location"] == at
    return f"{parts.path}?{parts.query}"


@pytest.mark.covers("N-R11", "N-A1", "D10")
def test_a_verified_name_is_proofing_and_an_answer_counts_once(make_kit: Make, lemon: LemonServer) -> None:
    kit, tray, browser, at = begun(make_kit, lemon, "Doctor Who")
    answer = answers(browser, at, TWO_FACTORS)
    assert "Your identity was verified" in browser("GET", at).text
    handle = at.split("/")[2]
    case = case_of(kit, handle)
    assert case is not None
    assert case.state == "on_hold"
    assert [(e.proof, e.kind) for e in case.evidence] == [("email_link", "issued"), ("identity_service", "proofing")]
    found = kit.read(lambda tx: tx.identity.of_page(handle))
    assert (found.fits, found.level) == ("exact", TWO_FACTORS_ACR)
    browser("GET", answer)
    assert len(case_of(kit, handle).evidence) == 2  # type: ignore[union-attr]
    drain(kit)
    assert "identity_answered" in [getattr(m.content, "what", "") for m in tray.messages]


@pytest.mark.covers("N-A1")
def test_another_name_waits_and_a_lower_level_fails(make_kit: Make, lemon: LemonServer) -> None:
    kit, _, browser, at = begun(make_kit, lemon, "Maya")
    answers(browser, at, TWO_FACTORS)
    assert "Two people are looking at the answer" in browser("GET", at).text
    kit, _, browser, at = begun(make_kit, lemon, "Rose Tyler")
    answers(browser, at, PLAIN)
    found = kit.read(lambda tx: tx.identity.of_page(at.split("/")[2]))
    assert (found.state, found.reason) == ("failed", "level")
    assert "less strictly than your company asks" in browser("GET", at).text
