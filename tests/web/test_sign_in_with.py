"""Signing in with another system: connected in the security center, and a method of recovery then."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import unquote

import pytest

from tests.support.browser import choose
from tests.support.enrolled import person_id
from tests.support.kit import Kit, person
from tests.support.openid import WAY, Provider, at_home, begun, bind, bound, comes_back, provider, returns
from tests.support.steps import Tray, case_of, drain, fit, types
from tests.support.systems import two_systems

Make = Callable[..., Kit]


@pytest.fixture
def there() -> Iterator[Provider]:
    with provider() as running:
        yield running


def kit_of(make_kit: Make, there: Provider, url: str | None = None, **over: Any) -> tuple[Kit, Tray]:
    kit = make_kit(url=url, providers=there.section(**over))
    tray = fit(kit, person("maya"), person("omar"))
    return kit, tray


@pytest.mark.covers("N-R10", "N-R12", "F1")
def test_connected_while_in_and_a_way_back_when_locked_out(make_kit: Make, there: Provider, database_url: str) -> None:
    kit, tray = kit_of(make_kit, there, database_url)
    home = at_home(kit)
    assert bind(home, there) == "/account/ways?done=provider_added"
    drain(kit)
    told = [x.content.detail for x in tray.messages if getattr(x.content, "what", "") == "provider_added"]
    assert told == ["Sales CRM"]
    listed = home("GET", "/account/ways").text
    assert "Connected system" in listed
    assert "Can be used for recovery from" in listed

    browser, at = begun(kit)  # too new to recover: as if it were not there
    assert returns(browser, there, f"{at}/sign-in-with/crm", "maya") == f"{at}/ways/{WAY}?said=wrong"
    kit.clock.forward(hours=73)

    browser, at = begun(kit)
    page = browser("GET", f"{at}/ways/{WAY}").text
    assert "Sign in with Sales CRM" in page
    assert returns(browser, there, f"{at}/sign-in-with/crm", "maya") == at
    choose(kit, browser, at, "walnut harbour sketch 31")
    case = case_of(kit, at.removeprefix("/r/"))
    assert case is not None
    assert [(e.proof, e.kind) for e in case.evidence] == [(WAY, "issued")]
    assert {"provider_added", "recovered"} <= set(types(kit))


@pytest.mark.slow
@pytest.mark.covers("INV-I5", "A1")
def test_known_and_unknown_are_told_apart_by_nothing(make_kit: Make, there: Provider) -> None:
    kit, _ = kit_of(make_kit, there)
    bound(kit, there)
    seen = []
    for who in ("maya", "omar", "nobody"):
        browser, at = begun(kit, who)
        got: list[Any] = []
        for path in (f"{at}/ways", f"{at}/ways/{WAY}", f"{at}/sign-in-with/crm"):
            page = browser("GET", path)
            got.append(
                (page.status_code, len(page.content), sorted(page.headers), len(page.headers.get("location", "")))
            )
        # somebody else's sign-in: wrong for the person whose page it is, as for nobody
        got.append(returns(browser, there, f"{at}/sign-in-with/crm", "omar").replace(at, "AT"))
        drain(kit)
        after = browser("GET", f"{at}/ways/{WAY}?said=wrong")
        got.append((after.status_code, len(after.content)))
        seen.append(got)
    assert seen[0] == seen[1] == seen[2]
    assert seen[0][-2] == f"AT/ways/{WAY}?said=wrong"


@pytest.mark.covers("D10", "A-6.5.1")
def test_a_code_and_a_state_serve_once_and_in_the_browser_that_left(make_kit: Make, there: Provider) -> None:
    kit, _ = kit_of(make_kit, there)
    bound(kit, there)
    browser, at = begun(kit)
    address = there.issuer.sign_in(browser("GET", f"{at}/sign-in-with/crm").headers["location"], "maya")
    stranger, theirs = begun(kit, "omar")
    assert comes_back(stranger, address) == "403"  # login CSRF: a page that this browser does not hold
    tampered = address.replace(f"r.{at[3:]}", f"r.{theirs[3:]}")
    assert comes_back(stranger, tampered) == f"{theirs}/ways/{WAY}"  # somebody's code under one's own page
    long = address.replace("&state", "&session_state=" + "x" * 3000 + "&state")  # as some providers do
    assert comes_back(browser, long) == at
    asked = there.issuer.calls["/token"]
    assert comes_back(browser, address) in (at, f"{at}/ways/{WAY}")
    assert there.issuer.calls["/token"] == asked  # nothing is sent again
    case = case_of(kit, at.removeprefix("/r/"))
    assert case is not None
    assert len(case.evidence) == 1


@pytest.mark.covers("N-R11", "E2")
def test_a_second_factor_counts_where_the_signed_token_shows_one(make_kit: Make, there: Provider) -> None:
    kit, _ = kit_of(make_kit, there, mail_domains=["elsewhere.example"])
    bound(kit, there)
    for member, kind in (("maya", "issued"), ("rosa", "bound")):
        browser, at = begun(kit)
        returns(browser, there, f"{at}/sign-in-with/crm", member)
        case = case_of(kit, at.removeprefix("/r/"))
        assert case is not None
        assert [e.kind for e in case.shown_by(at.removeprefix("/r/"))] == [kind]


@pytest.mark.slow
@pytest.mark.covers("F7", "INV-I3")
@pytest.mark.parametrize(("domains", "mailbox"), [(None, True), (["example.com"], True), (["example.org"], False)])
def test_a_mailbox_of_the_provider_is_the_same_channel(
    make_kit: Make, there: Provider, domains: list[str] | None, mailbox: bool
) -> None:
    kit, _ = kit_of(make_kit, there, mail_domains=domains)
    bound(kit, there)
    browser, at = begun(kit)
    returns(browser, there, f"{at}/sign-in-with/crm", "maya")
    case = case_of(kit, at.removeprefix("/r/"))
    assert case is not None
    assert case.evidence[0].channel.startswith("mail:") is mailbox


@pytest.mark.covers("N-R11")
def test_a_sign_in_is_no_evidence_for_an_account_there(make_kit: Make, there: Provider) -> None:
    kit = make_kit(
        providers=there.section(system="crm", mail_domains=["elsewhere.example"]),
        systems={
            "builtin": {"kind": "builtin", "title": "Keyback"},
            "crm": {"kind": "demo", "title": "CRM", "url": "http://127.0.0.1:9", "secret": "x"},
        },
    )
    fit(kit)
    two_systems(kit)
    bound(kit, there)
    browser, at = begun(kit)
    assert returns(browser, there, f"{at}/sign-in-with/crm", "maya") == at
    page = browser("GET", at).text
    assert page.count('name="accounts"') == 1  # that of Keyback itself
    assert "Not for <bdi>maya.crm</bdi> in CRM" in page


@pytest.mark.covers("N-T3", "A-6.5.6")
def test_what_was_removed_or_is_another_s_does_nothing(make_kit: Make, there: Provider) -> None:
    kit, tray = kit_of(make_kit, there)
    bound(kit, there)
    assert bind(at_home(kit, "omar"), there, "maya") == "/account/providers/failed/known"
    browser, at = begun(kit)
    left = browser("GET", f"{at}/sign-in-with/crm").headers["location"]
    home = at_home(kit)
    pid = person_id(kit)
    factor = kit.read(lambda tx: tx.factors.of_person(pid))[0]
    assert "Remove this?" in home("GET", f"/account/remove/{factor.id}").text
    home("POST", f"/account/remove/{factor.id}")
    drain(kit)
    assert [x for x in tray.messages if getattr(x.content, "what", "") == "provider_removed"]
    assert comes_back(browser, there.issuer.sign_in(left, "maya")) == f"{at}/ways/{WAY}?said=wrong"


def test_who_cancels_there_or_is_answered_by_nobody_loses_no_try(make_kit: Make, there: Provider) -> None:
    kit, _ = kit_of(make_kit, there)
    bound(kit, there)
    browser, at = begun(kit)
    left = browser("GET", f"{at}/sign-in-with/crm").headers["location"]
    query = dict(p.split("=", 1) for p in left.partition("?")[2].split("&"))
    asked = {k: unquote(v) for k, v in query.items()}
    assert comes_back(browser, there.issuer.sent_back(asked, error="access_denied")).endswith("?said=denied")
    assert "You canceled the sign-in there" in browser("GET", f"{at}/ways/{WAY}?said=denied").text
    there.issuer.claims = lambda said: {**said, "auth_time": 1}
    assert comes_back(browser, there.issuer.sign_in(left, "maya")).endswith("?said=not_fresh")
    assert "Sign out there first" in browser("GET", f"{at}/ways/{WAY}?said=not_fresh").text
    there.issuer.claims = lambda said: said
    there.issuer.tokens = lambda _: {"error": "server_error"}
    assert comes_back(browser, there.issuer.sign_in(left, "maya")).endswith("?said=away")
    there.issuer.tokens = lambda said: said
    assert comes_back(browser, there.issuer.sign_in(left, "maya")) == at
