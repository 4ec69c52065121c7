"""Nothing ends at one touch: what ends a recovery, a sign-in or a colleague's part is on a page that asks, whose GET
changes nothing (and so does no link scanner)."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

import keyback.web
from tests.support.forms import actions
from tests.support.live import live

ROOMS = Path(keyback.web.__file__).parent
FORM = re.compile(r'<form [^>]*method="post" action="(.+?)"(?=[ >])(.*?)</form>', re.S)
ASKS = {  # what ends something, and the one page that asks first
    "/r/*/cancel": "portal/cancel.html",
    "/link/stop": "portal/stop.html",
    "/stop": "portal/stop.html",
    "/vouch/refuse": "portal/vouch_refuse.html",
    "/wasnt-me": "account/lock.html",
    "/account/lock": "account/lock.html",
    "/account/devices": "account/end_device.html",
    "/account/systems/end": "account/end_access.html",
    "/account/remove/*": "account/remove.html",
    "/new-address": "account/new_address.html",
    "/console/approvals/*/approve": "console/approvals.html",  # says what for whom; its other button declines it
    "/console/approvals/*/alone": "console/approvals.html",  # which says who is told, and asks why
    "/console/new-links/*/approve": "console/operators.html",  # says for whom and why; its other button declines it
    "/console/people/*/lock": "console/person.html",  # says what ends, and asks why
    "/account/callers/*/refuse": "account/callers.html",  # which says about whom, and that their contacts are told
    "/console/campaigns/*/stop": "console/campaign.html",  # which says how many are not asked then, and that it ends
    "/console/calls/*/refuse": "console/refuse.html",
    "/console/cases/*/approve": "console/case.html",  # whose other button declines, with a reason and a step-up
}


@pytest.mark.covers("C5")
def test_every_form_that_ends_something_is_on_a_page_that_asks() -> None:
    found = defaultdict(set)
    for path in ROOMS.rglob("*.html"):
        text = path.read_text("utf-8")
        for action, inside in FORM.findall(text):
            for address in actions(text, action):
                found[address].add(str(path.relative_to(ROOMS)).replace("/templates", ""))
                if "button-stop" in inside:
                    assert address in ASKS, f"{path.name}: a red button that acts, on a page that is not known to ask"
    assert {a: found[a] for a in ASKS} == {a: {page} for a, page in ASKS.items()}


@pytest.mark.slow
@pytest.mark.covers("C5", "A1")
def test_asking_changes_nothing_and_is_the_same_for_everybody(sqlite_url: str, tmp_path: Path) -> None:
    pages = []
    with live(sqlite_url, tmp_path) as at, at.client(**{"accept-language": "en"}) as browser:
        for who in ("maya", "nobody-of-this-name"):
            form = {"identifier": who, "system": "", "journey": "password"}
            path = browser.post("/forgot", data=form).headers["location"]
            for _ in range(3):
                asked = browser.get(f"{path}/cancel")
            assert "Cancel this request?" in asked.text
            pages.append(asked.text.replace(path, ""))
            assert "Check your email" in browser.get(path).text, "it is still open"
            assert browser.post(f"{path}/cancel").headers["location"] == path
            assert "This recovery is canceled" in browser.get(path).text
            assert browser.get(f"{path}/cancel").headers["location"] == path, "and then there is nothing to ask"
    assert pages[0] == pages[1]


def test_a_browser_that_does_not_hold_it_is_asked_nothing(sqlite_url: str, tmp_path: Path) -> None:
    with live(sqlite_url, tmp_path) as at, at.client() as browser:
        for handle in ("A" * 22, "x"):
            assert browser.get(f"/r/{handle}/cancel").status_code == 403
        assert browser.get("/link/stop").status_code == 410
        assert browser.get("/vouch/refuse").status_code == 404
        for path in ("/account/devices/end?session=others", "/account/devices/end?device=" + "a" * 32):
            assert browser.get(path).headers["location"] == "/sign-in"
