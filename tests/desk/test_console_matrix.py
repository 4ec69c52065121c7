"""Every route of the console for every role and every object: generated from the route table.

A new route without a permission, or one made without the decorator, turns this red.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from starlette.routing import Route

from keyback.application.desk import operators
from keyback.domain.operators.roles import ALLOWED, RANK, Operator, Permission, Role, may_act_on, may_manage
from keyback.web.app import make_app, make_context
from keyback.web.console.app import ROUTES
from keyback.web.console.routes import ConsoleRoute
from tests.support.console import URL, staffed, waits
from tests.support.kit import Kit

Make = Callable[..., Kit]
NOBODY = "x" * 22
FORMS = {
    "/console/find": {"q": "maya"},
    "/console/confirm": {"next": "/console", "code": "000000"},
    "/console/cases/{id:str}/note": {"note": "A note."},
    "/console/cases/{id:str}/ticket": {"ticket": "INC-1"},
    "/console/views": {"name": "Mine", "query": "late=1"},
    "/console/cases/{id:str}/recommend": {"page": "", "version": "1", "reason": "Why.", "ticket": ""},
    "/console/cases/{id:str}/approve": {"page": "", "version": "1", "reason": "Why."},
    "/console/cases/{id:str}/decline": {"page": "", "version": "1", "reason": "Why."},
    "/console/documents/{id:str}/answer": {"verdict": "no", "checks": ""},
    "/console/requests/{id:str}/reply": {"text": "Hello.", "act": "answer"},
    "/console/campaigns": {"name": "All", "reason": "incident"},
    "/console/campaigns/{id:str}/approve": {"version": "1"},
    "/console/calls": {"number": "123456"},
    "/console/calls/{id:str}/number": {"contact": "x", "number": "123456"},
    "/console/cases/{id:str}/call": {"reason": "request"},
    "/console/people/find": {"q": "maya"},
    "/console/people/{id:str}/start": {"reason": "Why.", "journey": "password"},
    "/console/people/{id:str}/hold": {"reason": "Why.", "hours": "24"},
    **{f"/console/people/{{id:str}}/{act}": {"reason": "Why."} for act in ("unlock", "lock", "sessions")},
    "/console/people/{id:str}/cancel": {"reason": "Why.", "case": "x"},
    "/console/new-links": {"operator": "x", "reason": "Why."},
    "/console/approvals/{id:str}/alone": {"reason": "Why."},
    "/console/tasks/{id:str}/done": {"note": ""},
    "/console/tasks/{id:str}/decline": {"reason": "No."},
    "/console/keys": {"name": "Tickets", "days": "9", "scope": "cases.view"},
    "/console/operators": {"name": "Nina", "email": "nina@example.com", "role": "agent"},
}


@pytest.mark.covers("A-8.2.1")
def test_every_route_of_the_console_names_its_permission(make_kit: Make) -> None:
    kit = make_kit(public_url=URL)
    app = make_app(make_context(kit.settings, kit.services))
    mine = [r for r in app._app.routes if isinstance(r, Route) and r.path.startswith("/console")]  # type: ignore[attr-defined]
    assert len(mine) > 20
    assert [r.path for r in mine if not isinstance(r, ConsoleRoute)] == []
    assert {id(r) for r in mine} == {id(r) for r in ROUTES}
    open_ones = {r.path for r in ROUTES if r.permission == Permission.OPEN}
    assert all(p.startswith(("/console/sign-in", "/console/set-up")) for p in open_ones)
    named = {r.permission for r in ROUTES} - {Permission.OPEN, Permission.SIGNED_IN}
    assert named == {p for some in ALLOWED.values() for p in some}, "each is asked for, and held"


@pytest.mark.covers("A-8.2.1")
def test_no_role_holds_what_another_has_to_check() -> None:
    decides = {r for r in Role if Permission.CASES_DECIDE in ALLOWED[r]}
    manages = {r for r in Role if Permission.OPERATORS_MANAGE in ALLOWED[r]}
    assert not decides & manages
    assert not any(p in ALLOWED[Role.AUDITOR] for p in (Permission.CASES_WORK, Permission.CASES_DECIDE))
    assert Permission.CASES_DECIDE not in ALLOWED[Role.AGENT]
    assert set(RANK) == set(Role)


@pytest.mark.covers("A-8.2.2")
def test_nobody_acts_on_themselves_or_on_an_equal_or_higher_role() -> None:
    def one(role: Role, person: str = "") -> Operator:
        return Operator(f"o-{role}-{person}", "N", f"{role}{person}@example.com", role, "active", person)

    for actor in map(one, Role):
        assert may_act_on(one(actor.role, "p1"), "p1", ()) == "yourself"
        assert may_act_on(actor, "p1", (actor,)) == "yourself"
        for other in Role:
            blocked = RANK[other] >= RANK[actor.role]
            assert may_act_on(actor, "p2", (one(other, "p2"),)) == ("rank" if blocked else "")
            assert may_manage(actor, other) == ("rank" if blocked else "")
        assert may_manage(actor, actor.role, actor.id) == "yourself"


@pytest.mark.slow
@pytest.mark.covers("A-8.2.1", "A-8.2.2", "A-8.3.2")
@pytest.mark.parametrize("role", Role)
def test_a_role_reaches_what_the_table_says_and_nothing_else(make_kit: Make, role: Role) -> None:
    kit = make_kit(public_url=URL)
    staff = staffed(kit)
    _, case_id = waits(staff)
    browser = staff.add(role)
    kit.clock.forward(minutes=6)
    for fresh in (False, True):
        if fresh:
            browser.confirm()
        for route in ROUTES:
            if route.permission == Permission.OPEN or route.path == "/console/sign-out":
                continue
            allowed = route.permission == Permission.SIGNED_IN or route.permission in ALLOWED[role]
            for target in (case_id, NOBODY):
                path = route.path.replace("{id:str}", target)
                (method,) = (route.methods or set()) - {"HEAD"}
                form = FORMS.get(route.path, {})
                got = browser.get(path) if method == "GET" else browser.post(path, **form)
                where = got.headers.get("location", "")
                assert got.status_code < 500, (role, path)
                if not allowed:
                    assert got.status_code == 403, (role, path)
                    assert "Not part of your role" in got.text
                elif route.fresh and not fresh:
                    assert where.startswith("/console/confirm?next=/console"), (role, path)
                else:
                    assert "Not part of your role" not in got.text, (role, path)
                    assert not where.startswith("/console/sign-in"), (role, path)
                if target == NOBODY and "{id" in route.path and allowed and (fresh or not route.fresh):
                    assert got.status_code == 404, (role, path)
    case = kit.read(lambda tx: tx.cases.get(case_id))
    assert case.state == "in_review", "wrong versions and pages decide nothing"


@pytest.mark.covers("A-8.3.2", "A-7.4.2")
def test_an_operator_who_is_removed_is_out_at_once(make_kit: Make) -> None:
    kit = make_kit(public_url=URL)
    staff = staffed(kit)
    agent = staff.add(Role.AGENT)
    _, case_id = waits(staff)
    agent.sign_in("agent@example.com")
    agent.post(f"/console/cases/{case_id}/claim")
    assert kit.read(lambda tx: tx.desk.work(case_id)).claimed_by == staff.made["agent"].id
    kit.write(lambda tx: operators.remove(tx, staff.made["agent"].id))
    assert not kit.read(lambda tx: tx.desk.work(case_id)).claimed_by, "and what they claimed is free"
    assert agent.get("/console").headers["location"] == "/console/sign-in"
    assert agent.sign_in("agent@example.com").status_code == 401


@pytest.mark.covers("A-8.2.2")
def test_nobody_works_on_their_own_recovery(make_kit: Make) -> None:
    kit = make_kit(public_url=URL)
    staff = staffed(kit)
    _, case_id = waits(staff)
    me = staff.add(Role.SECURITY_OFFICER, "maya@example.com")
    at = f"/console/cases/{case_id}"
    assert "This is your own recovery" in me.get(at).text
    got = me.post(f"{at}/claim")
    assert got.status_code == 403
    assert "This is your own recovery" in got.text
    agent = staff.add(Role.AGENT)
    assert "same or a higher role" in agent.get(at).text
    assert agent.post(f"{at}/claim").status_code == 403
    assert not kit.read(lambda tx: tx.desk.work(case_id)).claimed_by


@pytest.mark.covers("A-8.2.2", "E11")
def test_a_form_of_another_session_does_nothing(make_kit: Make) -> None:
    kit = make_kit(public_url=URL)
    staff = staffed(kit)
    _, case_id = waits(staff)
    agent = staff.add(Role.AGENT)
    stolen = agent("POST", f"/console/cases/{case_id}/claim", "form_token=" + "A" * 24)
    assert stolen.status_code in (403, 422)
    assert not kit.read(lambda tx: tx.desk.work(case_id)).claimed_by
