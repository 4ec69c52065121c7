"""Whoever lost a phone is not led back to it: its app comes last, and is never the only thing that is offered."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from keyback.application.recovery import methods
from tests.support.browser import Browser
from tests.support.enrolled import add_codes, add_totp, ask_way
from tests.support.kit import Kit, person
from tests.support.steps import Tray, accept, ask, drain, fit, here, secrets_of

Make = Callable[..., Kit]
OFFERED = re.compile(r'action="/r/[\w-]+/ways/(\w+)"')


def lost(kit: Kit, tray: Tray, journey: str = "second_factor") -> tuple[Browser, str]:
    """Proves by mail; the browser, and the address of the page that comes next."""
    started = ask(kit, "maya", journey=journey)
    drain(kit)
    assert accept(kit, secrets_of(tray.messages[-1])[0]) is None
    return Browser(kit, started), f"/r/{started.handle}"


@pytest.mark.covers("A1")
def test_the_order_depends_on_the_journey_alone(make_kit: Make, sqlite_url: str) -> None:
    kit = make_kit(url=sqlite_url)
    fit(kit, person("maya"))
    add_totp(kit)
    seen = []
    for who in ("maya", "nobody-of-this-name"):
        started = ask(kit, who, journey="second_factor")
        drain(kit)
        seen.append(OFFERED.findall(Browser(kit, started)("GET", f"/r/{started.handle}/ways").text))
    assert seen[0] == seen[1]
    assert seen[0][-1] == "totp"
    s = kit.services
    assert sorted(seen[0]) == sorted(methods.offered(s.proofs, s.policy, "password")), "only the order differs"


def test_what_is_at_hand_comes_first_once_something_is_proven(make_kit: Make, sqlite_url: str) -> None:
    kit = make_kit(url=sqlite_url)
    tray = fit(kit, person("maya", tier="privileged"))
    add_totp(kit)
    add_codes(kit)
    browser, path = lost(kit, tray)
    page = browser("GET", path).text
    assert OFFERED.findall(page) == ["recovery_code", "totp"]
    assert "Only if you have it on another device" in page
    browser, path = lost(kit, tray, "password")
    assert OFFERED.findall(browser("GET", path).text) == ["totp", "recovery_code"], "elsewhere nothing changes"


@pytest.mark.parametrize(("apps", "alone"), [(1, True), (2, False)])
def test_where_only_the_lost_app_is_left_a_person_comes_first(
    make_kit: Make, sqlite_url: str, apps: int, alone: bool
) -> None:
    kit = make_kit(url=sqlite_url)
    tray = fit(kit, person("maya", tier="mfa"))
    for _ in range(apps):
        add_totp(kit)
    browser, path = lost(kit, tray)
    page = browser("GET", path).text
    assert OFFERED.findall(page) == ["totp"] * apps, "one of two may be on another device"
    assert ("No other method on record" in page) == alone
    if alone:
        assert page.index("No other method on record") < page.index("/ways/totp")


@pytest.mark.parametrize(("apps", "left"), [(1, []), (2, ["totp", "totp"])])
def test_the_lost_app_is_not_the_one_way_past_the_wait(
    make_kit: Make, sqlite_url: str, apps: int, left: list[str]
) -> None:
    kit = make_kit(url=sqlite_url)
    tray = fit(kit, person("maya", tier="mfa"))
    for _ in range(apps):
        add_totp(kit)
    code = add_codes(kit)[0]
    browser, path = lost(kit, tray)
    handle, proof = path.rpartition("/")[2], kit.services.proofs["recovery_code"]
    ask_way(kit, handle, "recovery_code")
    kit.run(methods.answer(kit.services.db, proof, handle, code, here(kit)))
    page = browser("GET", path).text
    assert 'data-countdown="' in page, "it waits"
    assert OFFERED.findall(page) == left
    assert ("Don’t want to wait" in page) == bool(left)
