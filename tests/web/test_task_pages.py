"""What the results page says of a system where an administrator may have to help, and what the person can do there."""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import urlencode

import pytest

from keyback.application.ports.connectors import Means
from keyback.application.tasks import lifecycle as tasks
from tests.support.browser import Browser, mailed
from tests.support.guided import Guided, kit_of, look
from tests.support.kit import Kit
from tests.support.steps import Tray, ask, choose, drain

Make = Callable[..., Kit]


def results(make_kit: Make) -> tuple[Kit, Tray, Guided, Browser, str]:
    """Maya's browser on the results page of a recovery that is her turn in one system."""
    kit, tray, partner = kit_of(make_kit)
    started = ask(kit, "maya")
    browser = Browser(kit, started)
    browser.open(mailed(kit, tray, started.handle))
    browser("POST", "/link/accept")
    case_id = kit.read(lambda tx: tx.intakes.get(started.handle)).case_id
    choose(kit, case_id)
    drain(kit)
    return kit, tray, partner, browser, f"/r/{started.handle}"


def said(browser: Browser, at: str) -> str:
    return html.unescape(browser("GET", at).text)


def press(kit: Kit, browser: Browser, at: str, act: str, task: str = "") -> None:
    known = task or kit.read(lambda tx: tasks.listed(tx, state=None))[0].task.id
    answer = browser("POST", f"{at}/system", urlencode({"task": known, "act": act}))
    assert answer.status_code == 303


@pytest.mark.covers("INV-I12")
def test_the_page_says_what_waits_and_what_happens_next(make_kit: Make) -> None:
    kit, _, partner, browser, at = results(make_kit)
    page = said(browser, at)
    assert "An administrator has been told" in page
    assert "remind you after a day" in page
    assert "Ask an administrator" not in page.replace("An administrator", ""), "not within the hour"
    assert f'data-status-url="{at}/status"' in page, "settled, and yet somebody else may change it"
    version = browser("GET", f"{at}/status").text
    kit.clock.forward(hours=2)
    press(kit, browser, at, "ask")
    assert browser("GET", f"{at}/status").text != version
    drain(kit)
    (view,) = kit.read(lambda tx: tasks.listed(tx))
    assert view.task.asks == 2
    kit.write(lambda tx: tasks.done(tx, view.task.id))
    assert "An administrator has reset your password here" in said(browser, at)
    partner.signed_in = [kit.clock() + 1000]
    look(kit, minutes=5)
    page = said(browser, at)
    assert "You signed in," in page
    assert 'data-state="done"' in page
    assert 'name="act"' not in page
    assert "data-status-url" not in page


def test_whoever_says_that_they_are_in_is_asked_no_more(make_kit: Make) -> None:
    kit, _, partner, browser, at = results(make_kit)
    press(kit, browser, at, "in", "x" * 22)
    assert "I’m in" in said(browser, at), "of a task that isn't theirs"
    press(kit, browser, at, "in")
    page = said(browser, at)
    assert "You told us that you’re in" in page
    assert 'data-state="yours"' not in page, "nothing is their turn any more"
    assert "data-status-url" not in page
    look(kit, hours=30)
    assert partner.asked == 0


def test_a_system_that_cannot_tell_who_signs_in_says_so_at_once(make_kit: Make) -> None:
    """No one is told that it's being watched, only to read later that it can't be."""
    _, _, partner, browser, at = results(make_kit)
    assert "We check now and then" in said(browser, at)
    partner.capabilities = replace(partner.capabilities, activity=Means.NONE, lookup=Means.NONE)
    page = said(browser, at)
    assert "doesn’t tell us who signs in" in page
    assert "We check now and then" not in page


def test_the_last_page_leads_to_the_steps_after_a_recovery(make_kit: Make) -> None:
    _, _, _, browser, at = results(make_kit)
    assert 'href="/account/after"' in said(browser, at)
    assert browser("GET", "/account/after").headers["location"] == "/sign-in"


def test_another_browser_can_do_nothing_here(make_kit: Make) -> None:
    kit, _, _, _, at = results(make_kit)
    stranger = Browser(kit)
    (view,) = kit.read(lambda tx: tasks.listed(tx))
    answer = stranger("POST", f"{at}/system", urlencode({"task": view.task.id, "act": "in"}))
    assert answer.status_code == 403
    assert kit.read(lambda tx: tasks.found(tx, view.task.id)) == view
