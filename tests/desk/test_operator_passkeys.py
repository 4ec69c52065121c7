"""Operators with passkeys: set-up, sign-in and step-up, by an authenticator in software."""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import replace

import httpx2
import pytest

from keyback.application.desk import operators
from keyback.domain.operators.roles import Role
from keyback.testing.authenticator import UP, UV, Authenticator
from tests.support.console import URL, Console, Staff, staffed
from tests.support.kit import Kit

Make = Callable[..., Kit]


def options_of(page: str) -> str:
    found = re.search(r'data-options="([^"]+)"', page)
    assert found, page
    return html.unescape(found[1])


def of(page: str) -> str:
    found = re.search(r'name="of" value="([^"]*)"', page)
    assert found, page
    return found[1]


def new_key() -> Authenticator:
    return Authenticator(URL, "localhost")


def begins(staff: Staff, mail: str, role: Role = Role.AGENT) -> Console:
    """A browser with a set-up link."""
    invited = staff.kit.write(lambda tx: operators.add(tx, mail.split("@")[0], mail, role))
    browser = Console(staff.kit)
    browser.get(f"/console/set-up/{invited.token}")
    return browser


def creates(browser: Console, key: Authenticator) -> httpx2.Response:
    page = browser.get("/console/set-up").text
    return browser.post("/console/set-up/passkey", label="Laptop", assertion=key.create(options_of(page)))


def enters(browser: Console, key: Authenticator) -> httpx2.Response:
    page = browser.get("/console/sign-in").text
    return browser.post("/console/sign-in/passkey", of=of(page), assertion=key.get(options_of(page)))


@pytest.mark.covers("A-6.3.3", "W-1", "N-T8")
def test_a_passkey_sets_up_signs_in_and_confirms(make_kit: Make) -> None:
    staff = staffed(make_kit(public_url=URL))
    kit, key = staff.kit, new_key()
    browser = begins(staff, "ines@example.com", Role.SYSTEM_ADMINISTRATOR)
    done = creates(browser, key)
    assert done.status_code == 200, done.text
    assert "Your sign-in is ready" in done.text
    assert browser.get("/console/set-up").status_code == 410, "the link works once"
    assert enters(browser, key).headers.get("location") == "/console"
    kit.clock.forward(minutes=6)
    adds = {"name": "Nina", "email": "nina@example.com", "role": "agent"}
    assert browser.post("/console/operators", **adds).headers["location"].startswith("/console/confirm?next=")
    page = browser.get("/console/confirm?next=/console/operators").text
    assert "Use a passkey" in page
    assert "six-digit" not in page, "there is no app to ask"
    sent = {"of": of(page), "assertion": key.get(options_of(page)), "next": "/console/operators"}
    assert browser.post("/console/confirm", **sent).headers["location"] == "/console/operators"
    assert "/console/set-up/" in browser.post("/console/operators", **adds).text
    kit.clock.forward(minutes=6)
    again = browser.post("/console/confirm", **sent)
    assert again.status_code != 303 or again.headers["location"] != "/console/operators", "an answer works once"


@pytest.mark.covers("W-1", "M8", "B7")
def test_what_is_no_passkey_of_an_operator_is_refused(make_kit: Make) -> None:
    staff = staffed(make_kit(public_url=URL))
    kit, mine, hers = staff.kit, new_key(), new_key()
    ines, nina = begins(staff, "ines@example.com"), begins(staff, "nina@example.com")
    assert creates(ines, mine).status_code == 200
    same = replace(mine)
    taken = creates(nina, same)
    assert taken.status_code == 422
    assert "already in use" in taken.text
    assert creates(nina, Authenticator("https://elsewhere.example.com", "localhost")).status_code == 422
    assert creates(nina, hers).status_code == 200
    stranger = new_key()
    stranger.user_handle = mine.user_handle
    refused = enters(Console(kit), stranger)
    assert refused.status_code == 401
    assert "isn’t registered for an operator" in refused.text
    unverified = replace(mine, flags=UP)
    assert enters(Console(kit), unverified).status_code == 401, "without its owner's PIN or finger"
    assert mine.flags == UP | UV
    browser = Console(kit)
    page = browser.get("/console/sign-in").text
    sent = {"of": of(page), "assertion": mine.get(options_of(page))}
    kept = dict(browser.cookies)
    assert browser.post("/console/sign-in/passkey", **sent).headers["location"] == "/console"
    thief = Console(kit)
    thief.cookies = kept
    assert thief.post("/console/sign-in/passkey", **sent).headers.get("location") != "/console", "a replay"
    kit.clock.forward(minutes=6)
    page = browser.get("/console/confirm?next=/console").text
    got = browser.post("/console/confirm", of=of(page), assertion=hers.get(options_of(page)), next="/console")
    assert got.status_code == 422
    assert "isn’t registered for you" in got.text
