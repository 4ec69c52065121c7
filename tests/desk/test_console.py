"""From an operator who is added to a person who gets through: the whole way over pages."""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import urlencode

import pytest

from keyback.application.doctor.diagnosis import NOTE
from keyback.application.doctor.system_factor import ASKED, REFUSED
from keyback.application.recovery import evidence
from keyback.domain.operators.roles import Role
from keyback.domain.recovery.events import Note
from tests.support.browser import Browser
from tests.support.console import PASSWORD, URL, Console, staffed, waits
from tests.support.kit import Kit
from tests.support.steps import case_of, drain

Make = Callable[..., Kit]


def field_of(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found, (name, page)
    return found[1]


@pytest.mark.slow
@pytest.mark.covers("A-8.2.1", "E2")
def test_an_administrator_without_a_passkey_gets_through_by_two_operators(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url, public_url=URL)
    staff = staffed(kit)
    started, case_id = waits(staff)
    agent, approver = staff.add(Role.AGENT), staff.add(Role.APPROVER)
    at = f"/console/cases/{case_id}"
    assert at in agent.get("/console").text
    assert "Claim this case" in agent.get(at).text
    assert agent.post(f"{at}/claim").headers["location"] == f"{at}?done=claimed"
    page = agent.get(at).text
    assert "maya@example.com" not in page, "contacts are masked"
    approver.confirm()
    assert "A colleague has to recommend it first" in approver.get(at).text
    sent = {"page": field_of(page, "page"), "version": field_of(page, "version")}
    done = agent.post(f"{at}/recommend", **sent, reason="Called back, all fits.", ticket="HD-1")
    assert done.headers["location"] == f"{at}?done=recommended"
    page = approver.get(at).text
    assert "Called back, all fits." in page
    done = approver.post(f"{at}/approve", **sent, reason="I agree.")
    assert done.headers["location"] == f"{at}?done=approved"
    case = case_of(kit, started.handle)
    assert case
    assert case.state == "on_hold"
    drain(kit)
    assert list(staff.tray.to("maya@example.com", "hold")), "every contact is told"
    kit.clock.forward(hours=25)
    kit.write(evidence.release)
    browser = Browser(kit, started)
    page = browser("GET", f"/r/{started.handle}").text
    form = {"new_password": PASSWORD}
    form |= {name: field_of(page, name) for name in ("submission", "accounts")}
    assert browser("POST", f"/r/{started.handle}/password", urlencode(form)).status_code == 303
    drain(kit)
    case = case_of(kit, started.handle)
    assert case
    assert case.state == "closed"
    agent.sign_in("agent@example.com")
    page = agent.get(at).text
    for word in (
        "Recommended for approval by",
        "Approved by",
        "The person chose a new password",
        "This case has ended",
    ):
        assert word in page


@pytest.mark.covers("A-6.3.3")
def test_a_link_sets_up_one_sign_in_once(make_kit: Make) -> None:
    kit = make_kit(public_url=URL)
    staff = staffed(kit)
    agent = staff.add(Role.AGENT)
    assert agent.get("/console").status_code == 200
    agent.post("/console/sign-out")
    assert agent.get("/console").headers["location"] == "/console/sign-in"
    other = Console(kit)
    assert other.get("/console/set-up").status_code == 410
    assert other.sign_in("agent@example.com", code="000000").status_code == 401
    other.seed = agent.seed
    assert other.sign_in("agent@example.com", "wrong password 1").status_code == 401
    assert other.sign_in("agent@example.com").headers["location"] == "/console"


def test_an_operator_reads_in_full_what_keeps_somebody_out(make_kit: Make) -> None:
    kit = make_kit(public_url=URL)
    staff = staffed(kit)
    _, case_id = waits(staff, journey="still_locked_out")
    found = {"code": "synced_elsewhere", "detail": "Head office directory", "until": None}
    row = {"account": "a1", "system": "tide", "findings": [found], "fault": ""}
    notes = [
        Note(NOTE, {"accounts": [row, {**row, "system": "ridge", "findings": []}]}),
        Note(ASKED, {"act": "remove", "system": "tide"}),
        Note(
            REFUSED,
            {"step": "factor", "code": "not_permitted", "vendor_text": "", "system": "tide"},
        ),
    ]
    kit.write(lambda tx: tx.audit.record(case_id, notes))
    agent = staff.add(Role.AGENT)
    page = agent.get(f"/console/cases/{case_id}").text
    for word in (
        "Still locked out",
        "Head office directory",
        "nothing found",
        "removes a second step",
        "Keyback has no right to do it there",
    ):
        assert word in page
