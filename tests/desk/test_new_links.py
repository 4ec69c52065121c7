"""An operator who lost what they sign in with: two others who outrank them, or the server with an alarm and a hold."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from keyback.application.desk import new_links, operators, set_up
from keyback.application.desk.sessions import Actor
from keyback.domain.operators.roles import Role
from tests.support.console import URL, Console, Staff, staffed
from tests.support.kit import Kit
from tests.support.races import all_at_once
from tests.support.steps import drain, types

Make = Callable[..., Kit]
BURST = 50


def staff_of(make_kit: Make, url: str | None = None) -> Staff:
    return staffed(make_kit(url=url, public_url=URL))


def told(staff: Staff) -> list[tuple[str, str]]:
    drain(staff.kit)
    return [(m.to, m.content.what) for m in staff.tray.messages if m.kind == "desk"]  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.covers("A-6.4.4", "A-8.2.2")
def test_two_who_outrank_an_operator_give_them_a_new_link(make_kit: Make) -> None:
    staff = staff_of(make_kit)
    agent, first, second = staff.add(Role.AGENT), staff.add(Role.APPROVER), staff.add(Role.SECURITY_OFFICER)
    lost = staff.made["agent"]
    first.confirm()
    assert "Someone lost their passkey and phone" in first.get("/console/operators").text
    sent = {"operator": lost.id, "reason": "Phone stolen, seen on video"}
    done = first.post("/console/new-links", **sent)
    assert done.headers["location"] == "/console/operators?done=asked"
    assert agent.get("/console").status_code == 200, "nothing changed yet"
    assert first.post("/console/new-links", **sent).status_code == 409
    (asked,) = staff.kit.read(lambda tx: tx.actions.of_person(lost.id, 9))
    assert first.post(f"/console/new-links/{asked.id}/approve").status_code == 403, "not by whoever asked"
    assert agent.post(f"/console/new-links/{asked.id}/approve").status_code == 403
    second.confirm()
    assert "Phone stolen, seen on video" in second.get("/console/operators").text
    page = second.post(f"/console/new-links/{asked.id}/approve").text
    link = re.search(rf"{URL}/console/set-up/[A-Za-z0-9_-]{{22}}", page)
    assert link
    assert link[0] not in second.get("/console/operators").text, "shown once"
    assert agent.get("/console").headers["location"] == "/console/sign-in", "what they had before has ended"
    assert ("agent@example.com", "your_link_asked") in told(staff)
    assert ("agent@example.com", "your_link_given") in told(staff)
    assert ("security_officer@example.com", "operator_link_given") in told(staff)
    again = Console(staff.kit)
    assert again.set_up(link[0]).status_code == 200
    assert again.sign_in("agent@example.com").headers["location"] == "/console"
    assert {"operator_link_asked", "operator_link_approved"} <= set(types(staff.kit))


@pytest.mark.covers("A-8.2.2")
def test_nobody_gives_a_link_to_themselves_or_to_an_equal_or_higher_role(make_kit: Make) -> None:
    staff = staff_of(make_kit)
    actors = {r: staff.actor(r) for r in Role}
    staff.actor(Role.APPROVER, "second")
    staff.actor(Role.SECURITY_OFFICER, "third")
    ask = _asks

    for role, actor in actors.items():
        assert all_at_once(staff.kit, [ask(actor, actor.operator.id)]) == {"yourself": 1}, role
    low, high = actors[Role.APPROVER], actors[Role.SECURITY_OFFICER]
    assert all_at_once(staff.kit, [ask(low, high.operator.id)]) == {"rank": 1}
    assert all_at_once(staff.kit, [ask(low, "x" * 22)]) == {"not_found": 1}
    third = staff.kit.read(lambda tx: tx.operators.by_mail("third@example.com"))
    assert all_at_once(staff.kit, [ask(high, third.id)]) == {"rank": 1}, "the highest role is renewed on the server"


def _asks(actor: Actor, operator_id: str) -> Callable[[Any], Any]:
    return lambda tx: new_links.ask(tx, actor, operator_id, "Lost")


def test_where_no_two_others_are_left_it_is_done_on_the_server(make_kit: Make) -> None:
    staff = staff_of(make_kit)
    agent, approver = staff.actor(Role.AGENT), staff.actor(Role.APPROVER)
    assert all_at_once(staff.kit, [_asks(approver, agent.operator.id)]) == {"server": 1}


@pytest.mark.covers("A-6.4.4", "I15")
def test_a_link_of_the_server_alarms_everybody_and_waits(make_kit: Make) -> None:
    staff = staff_of(make_kit)
    kit = staff.kit
    officer = staff.add(Role.SECURITY_OFFICER)
    staff.actor(Role.AGENT)
    invited = kit.write(lambda tx: operators.invite_again(tx, "security_officer@example.com"))
    assert officer.get("/console").headers["location"] == "/console/sign-in"
    assert {to for to, what in told(staff) if what in ("operator_invited", "your_link_given")} == {
        "agent@example.com",
        "security_officer@example.com",
    }
    assert kit.read(lambda tx: set_up.look(tx, invited.token)) is None, "on hold"
    kit.clock.forward(minutes=61)
    assert kit.read(lambda tx: set_up.look(tx, invited.token)) is not None
    kit.clock.forward(hours=25)
    assert kit.read(lambda tx: set_up.look(tx, invited.token)) is None


def test_whoever_never_had_a_sign_in_need_not_wait(make_kit: Make) -> None:
    staff = staff_of(make_kit)
    kit = staff.kit
    kit.write(lambda tx: operators.add(tx, "Nina", "nina@example.com", Role.AGENT))
    invited = kit.write(lambda tx: operators.invite_again(tx, "nina@example.com"))
    assert kit.read(lambda tx: set_up.look(tx, invited.token)) is not None


@pytest.mark.slow
@pytest.mark.both
@pytest.mark.covers("F10", "A-6.4.4")
def test_of_fifty_approvals_at_once_one_makes_a_link(make_kit: Make, database_url: str) -> None:
    staff = staff_of(make_kit, database_url)
    kit, lost = staff.kit, staff.actor(Role.AGENT)
    actors = [staff.actor(Role.APPROVER, f"approver{n}") for n in range(BURST)]
    outcome = all_at_once(kit, [_asks(a, lost.operator.id) for a in actors])
    assert outcome == Counter({"done": 1, "asked_already": BURST - 1})
    (asked,) = kit.read(lambda tx: tx.actions.of_person(lost.operator.id, 9))

    def approve(actor: Actor) -> Callable[[Any], Any]:
        return lambda tx: new_links.approve(tx, actor, asked.id)

    outcome = all_at_once(kit, list(map(approve, actors)))
    assert outcome["done"] == 1
    assert outcome["done"] + outcome["wrong_state"] + outcome["own_work"] == BURST
    made = [e for e in types(kit) if e == "operator_link_approved"]
    assert len(made) == 1
