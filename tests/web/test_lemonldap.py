"""Signing in with a real LemonLDAP::NG: bound in the security center, and a method of recovery then."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

import httpx2
import pytest

from keyback.application.ports.sign_in import SignInRefused
from keyback.outbound.openid.id_token import Expected, read, usable_keys
from keyback.testing.lemonldap_server import (
    OTHER_CLIENT,
    PLAIN,
    TWO_FACTORS,
    TWO_FACTORS_ACR,
    LemonServer,
    start_lemonldap,
)
from tests.support.browser import Browser, choose
from tests.support.kit import Kit, person
from tests.support.lemonldap import Portal
from tests.support.openid import BACK, WAY, at_home, begun, comes_back
from tests.support.steps import Tray, case_of, drain, fit

pytestmark = pytest.mark.slow
Make = Callable[..., Kit]
CLIENT, SECRET = "keyback+1", "s3cret: of & client"
VERIFIER, CHALLENGE = (
    "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
    "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
)  # RFC 7636


@pytest.fixture(scope="module")
def lemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LemonServer]:
    folder = tmp_path_factory.mktemp("lemon") / "portal"
    server = start_lemonldap(folder, CLIENT, SECRET, BACK.format(name="crm"))
    yield server
    server.stop()


def kit_of(make_kit: Make, lemon: LemonServer, **over: Any) -> tuple[Kit, Tray]:
    section = {
        "title": "Lemon", "issuer": lemon.issuer, "client_id": CLIENT, "client_secret": SECRET, "system": "",
        "mail_domains": ["elsewhere.example"], "second_factor_acr": [TWO_FACTORS_ACR], "timeout_s": 30, **over,
    }  # fmt: skip
    kit = make_kit(providers={"crm": section})
    return kit, fit(kit, person("maya"), person("omar"))


def away(browser: Browser, leave: str) -> str:
    left = browser("GET", leave)
    assert left.status_code == 303, left.text
    return left.headers["location"]


def asking(address: str, **other: str) -> str:
    """The address of a sign-in with some of its parameters changed on the way."""
    parts = urlsplit(address)
    query = {k: v[0] for k, v in parse_qs(parts.query).items()} | other
    return urlunsplit(parts._replace(query=urlencode(query)))


def bind(browser: Browser, portal: Portal, who: str) -> str:
    ready = browser("POST", "/account/providers", "provider=crm").headers["location"]
    return comes_back(browser, portal.sign_in(away(browser, f"{ready}/go"), who))


def bound(kit: Kit, who: str) -> None:
    assert bind(at_home(kit), Portal(), who) == "/account/ways?done=provider_added"
    drain(kit)
    kit.clock.forward(hours=73)


@pytest.mark.covers("N-R10", "N-R12", "F1")
def test_bound_and_then_a_way_back(make_kit: Make, lemon: LemonServer) -> None:
    kit, tray = kit_of(make_kit, lemon)
    bound(kit, PLAIN)
    browser, at = begun(kit)
    left = away(browser, f"{at}/sign-in-with/crm")
    asked = parse_qs(urlsplit(left).query)
    assert asked["code_challenge_method"] == ["S256"]  # the server insists on it
    assert comes_back(browser, Portal().sign_in(left, PLAIN)) == at
    case = case_of(kit, at.removeprefix("/r/"))
    assert case is not None
    assert [(e.proof, e.kind) for e in case.evidence] == [(WAY, "issued")]
    choose(kit, browser, at, "walnut harbour sketch 31")
    told = [getattr(x.content, "what", "") for x in tray.messages]
    assert "provider_added" in told


@pytest.mark.covers("N-R11", "E2")
@pytest.mark.parametrize(("acr", "kind"), [([TWO_FACTORS_ACR], "bound"), ([], "issued")])  # it sends no `amr` at all
def test_a_second_factor_is_in_the_acr_that_the_settings_name(
    make_kit: Make, lemon: LemonServer, acr: list[str], kind: str
) -> None:
    kit, _ = kit_of(make_kit, lemon, second_factor_acr=acr)
    bound(kit, TWO_FACTORS)
    browser, at = begun(kit)
    portal = Portal()
    assert comes_back(browser, portal.sign_in(away(browser, f"{at}/sign-in-with/crm"), TWO_FACTORS)) == at
    assert len(portal.pages) == 2  # password, then code
    case = case_of(kit, at.removeprefix("/r/"))
    assert case is not None
    assert [e.kind for e in case.evidence] == [kind]


@pytest.mark.covers("D10")
def test_what_was_made_for_another_question_is_refused(make_kit: Make, lemon: LemonServer) -> None:
    kit, _ = kit_of(make_kit, lemon)
    bound(kit, PLAIN)
    browser, at = begun(kit)
    left = away(browser, f"{at}/sign-in-with/crm")
    refused = f"{at}/ways/{WAY}?said=away"
    for name, other in (("nonce", "another"), ("code_challenge", CHALLENGE)):
        assert comes_back(browser, Portal().sign_in(asking(left, **{name: other}), PLAIN)) == refused
    assert comes_back(browser, Portal().sign_in(left, TWO_FACTORS)) == f"{at}/ways/{WAY}?said=wrong"  # somebody else


@pytest.mark.covers("D10", "N-R10")
def test_a_token_that_was_made_for_another_client_is_refused(make_kit: Make, lemon: LemonServer) -> None:
    """A sign-in with another application of the same provider's says who somebody is to that application alone."""
    kit, _ = kit_of(make_kit, lemon)
    bound(kit, PLAIN)
    browser, at = begun(kit)
    left = away(browser, f"{at}/sign-in-with/crm")
    other, secret = OTHER_CLIENT
    address = Portal().sign_in(asking(left, client_id=other), PLAIN)
    assert comes_back(browser, address) == f"{at}/ways/{WAY}?said=away", "its code was taken for one of ours"

    code = parse_qs(urlsplit(Portal().sign_in(asking(left, client_id=other, code_challenge=CHALLENGE), PLAIN)).query)
    form = {
        "grant_type": "authorization_code", "code": code["code"][0], "redirect_uri": BACK.format(name="crm"),
        "code_verifier": VERIFIER, "client_id": other, "client_secret": secret,
    }  # fmt: skip
    with httpx2.Client(trust_env=False, timeout=30) as http:
        about = http.get(f"{lemon.issuer}/.well-known/openid-configuration").json()
        keys = usable_keys(http.get(about["jwks_uri"]).json())
        token = http.post(about["token_endpoint"], data=form).json()["id_token"]
    nonce = parse_qs(urlsplit(left).query)["nonce"][0]
    assert read(token, keys, Expected(lemon.issuer, other), nonce, time.time()).subject == PLAIN
    with pytest.raises(SignInRefused) as refused:
        read(token, keys, Expected(lemon.issuer, CLIENT), nonce, time.time())
    assert refused.value.code == "aud"


@pytest.mark.covers("D10")
def test_an_open_session_is_signed_in_to_again(make_kit: Make, lemon: LemonServer) -> None:
    kit, _ = kit_of(make_kit, lemon)
    portal = Portal()
    assert bind(at_home(kit), portal, PLAIN) == "/account/ways?done=provider_added"
    kit.clock.forward(hours=73)
    browser, at = begun(kit)
    before = len(portal.pages)
    lemon.age_sessions(60)
    assert comes_back(browser, portal.sign_in(away(browser, f"{at}/sign-in-with/crm"), PLAIN)) == at
    assert len(portal.pages) > before  # the password was asked for, though the portal knew this browser


def test_a_wrong_issuer_or_client_leads_nowhere(make_kit: Make, lemon: LemonServer) -> None:
    kit, _ = kit_of(make_kit, lemon, issuer=f"{lemon.issuer}/")  # not to the letter what it calls itself
    home = at_home(kit)
    ready = home("POST", "/account/providers", "provider=crm").headers["location"]
    assert home("GET", f"{ready}/go").status_code == 503
    kit, _ = kit_of(make_kit, lemon, client_secret="another")
    assert bind(at_home(kit), Portal(), PLAIN) == "/account/providers/failed/away"


def test_keys_may_change_meanwhile(make_kit: Make, lemon: LemonServer) -> None:
    kit, _ = kit_of(make_kit, lemon)
    bound(kit, PLAIN)
    lemon.rotate()
    browser, at = begun(kit)
    address = Portal().sign_in(away(browser, f"{at}/sign-in-with/crm"), PLAIN)
    provider: Any = kit.services.proofs[WAY].providers["crm"]  # type: ignore[attr-defined]
    provider._known_at -= 61  # keys are fetched again a minute after the last time
    assert comes_back(browser, address) == at
