"""One notion of where somebody is: on shared browsers, after a second step, for holds, waits and warnings."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from keyback.application.origin import Origin
from keyback.application.recovery import evidence
from tests.support.browser import Browser
from tests.support.enrolled import add_totp, person_id, totp_now
from tests.support.kit import Kit, person
from tests.support.steps import HERE, OLD, Tray, drain, fit, set_password

Make = Callable[..., Kit]
DEVICE = "keyback-device"
ELSEWHERE = {"known_networks": []}


def kit_of(make_kit: Make, url: str | None = None) -> tuple[Kit, Tray]:
    kit = make_kit(url=url, policy=ELSEWHERE)
    tray = fit(kit, person("maya"), person("noor"))
    for who in ("maya", "noor"):
        set_password(kit, who, job_id=who)
    return kit, tray


def enter(browser: Browser, who: str) -> None:
    got = browser("POST", "/sign-in", f"identifier={who}&password={OLD.reveal().replace(' ', '+')}")
    assert got.status_code == 303


def known(kit: Kit, who: str, cookie: str) -> bool:
    pid = person_id(kit, who)
    away = Origin("203.0.113.50", "another browser", cookie)
    return kit.read(lambda tx: evidence.risk_of(tx, pid, away, kit.services.policy)).known_device


@pytest.mark.covers("E6")
def test_a_cookie_kept_from_a_shared_browser_makes_nobody_known(database_url: str, make_kit: Make) -> None:
    kit, _ = kit_of(make_kit, database_url)
    shared = Browser(kit)
    enter(shared, "noor")
    kept = shared.cookies[DEVICE]
    assert known(kit, "noor", kept)
    shared("POST", "/sign-out")
    enter(shared, "maya")
    assert not known(kit, "maya", kept), "what was kept before she came"
    assert not known(kit, "noor", kept), "and it is good for nothing else either"
    hers = shared.cookies[DEVICE]
    assert known(kit, "maya", hers)
    shared("POST", "/sign-out")
    enter(shared, "noor")
    assert not known(kit, "maya", hers), "whoever comes next takes nothing of hers along"


@pytest.mark.covers("K15", "A-6.3.5")
def test_a_second_step_from_a_known_browser_on_a_new_network_is_no_news(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    browser = Browser(kit)
    enter(browser, "maya")
    add_totp(kit)
    drain(kit)
    kit.clock.forward(hours=24 * 40)  # no network is known any more
    before = len(tray.messages)
    enter(browser, "maya")
    assert browser("POST", "/sign-in/second", f"proof=totp&code={totp_now(kit)}").headers["location"] == "/account"
    kit.clock.forward(minutes=30)
    drain(kit)
    assert [x.kind for x in tray.messages[before:]] == []


@pytest.mark.covers("K15", "A-6.3.5")
def test_from_a_browser_that_is_new_it_still_is(make_kit: Make) -> None:
    kit, tray = kit_of(make_kit)
    add_totp(kit)
    stranger = Browser(kit)
    stranger.cookies[DEVICE] = "A" * 43
    enter(stranger, "maya")
    stranger("POST", "/sign-in/second", f"proof=totp&code={totp_now(kit)}")
    drain(kit)
    assert [x.kind for x in tray.messages] == ["signed_in"]
    assert HERE.source in str(tray.messages[0].content)
