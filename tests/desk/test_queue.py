"""The queue: what is late, filters, filters that are kept, tickets, and what is found."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from keyback.application.desk import cases, views, workbench
from keyback.application.ports.desk_storage import QueueQuery
from keyback.domain.errors import Refusal
from keyback.domain.operators.roles import Role
from keyback.domain.operators.service_hours import ServiceHours
from keyback.domain.units import HOUR
from keyback.web.ui.rendering import load_static
from tests.support.console import URL, Console, Staff, staffed, waits
from tests.support.kit import Kit

Make = Callable[..., Kit]
HTMX = "e484d9171a9db30a39c8f16e3d709d4137f3211c659f8e6125816635033d593f"  # htmx.org 4.0.0, dist/htmx.min.js
TICKETS = "https://tickets.example.com/browse/{ticket}"


@pytest.fixture
def staff(make_kit: Make) -> Staff:
    return staffed(make_kit(public_url=URL, help_desk={"ticket_url": TICKETS}))


def shown(browser: Console, words: str = "") -> bool:
    """Whether the one case is on the page of the queue."""
    got = browser.get(f"/console{words}")
    assert got.status_code == 200, got.text
    return "Maya" in got.text


@pytest.mark.both
def test_the_queue_is_filtered(staff: Staff) -> None:
    _, case_id = waits(staff)
    hours = ServiceHours()

    def found(**wanted: object) -> list[str]:
        query = QueueQuery(**wanted)  # type: ignore[arg-type]
        return [x.case.id for x in staff.kit.read(lambda tx: cases.queue(tx, query, hours)).lines]

    now = staff.kit.read(lambda tx: tx.now)
    assert found() == found(tier="privileged") == found(journey="password", tier="privileged") == [case_id]
    assert found(tier="standard") == found(tier="mfa") == found(journey="mailbox") == []
    assert found(until=now) == [case_id]
    assert found(until=now - 30 * 24 * HOUR) == []
    assert found(recommended=True) == []
    agent, kit = staff.actor(Role.AGENT), staff.kit
    case = kit.read(lambda tx: tx.cases.get(case_id))
    kit.write(lambda tx: workbench.claim(tx, agent, case_id))
    told = (case.evidence[0].handle, case.version, "Known to me.", "", kit.services.policy)
    kit.write(lambda tx: workbench.recommend(tx, agent, case_id, *told))
    assert found(recommended=True) == [case_id]
    line = staff.kit.read(lambda tx: cases.queue(tx, QueueQuery(), hours)).lines[0]
    assert (line.due, line.spent) == (line.case.opened_at + HOUR, now - line.case.opened_at)


def test_htmx_is_the_published_one_and_on_the_queue_alone(staff: Staff) -> None:
    static = load_static()["htmx.min.js"]
    assert hashlib.sha256(static.body).hexdigest() == HTMX
    agent = staff.add(Role.AGENT)
    assert static.url in agent.get("/console").text
    assert "htmx" not in agent.get("/console/people").text


def test_a_page_of_the_queue_says_what_is_late(staff: Staff) -> None:
    _, _ = waits(staff)
    agent = staff.add(Role.AGENT)
    staff.kit.clock.forward(minutes=1)
    agent.sign_in("agent@example.com")
    assert "Due " in agent.get("/console").text
    assert not shown(agent, "?late=1")
    staff.kit.clock.forward(minutes=62)
    agent.sign_in("agent@example.com")
    assert "Overdue since" in agent.get("/console?late=1").text
    assert shown(agent, "?tier=privileged&late=1")
    assert not shown(agent, "?tier=standard")
    assert shown(agent, "?tier=moon&journey=moon&tab=moon&late=moon&after=moon"), "what nobody knows filters nothing"


def test_filters_are_kept_by_whoever_chose_them(staff: Staff) -> None:
    waits(staff)
    agent, other = staff.add(Role.AGENT), staff.add(Role.APPROVER)
    assert "Keep these filters" in agent.get("/console?tier=standard").text
    assert "Keep these filters" not in agent.get("/console?tab=mine").text
    got = agent.post("/console/views", name=" Ordinary <b>people</b> ", query="tier=standard&x=1&tab=free")
    assert got.headers["location"] == "/console?tab=free&tier=standard"
    page = agent.get("/console?tab=free&tier=standard").text
    assert "Ordinary &lt;b&gt;people&lt;/b&gt;" in page
    assert "Forget this view" in page
    assert "Ordinary" not in other.get("/console").text
    kept = staff.kit.read(lambda tx: tx.desk.views(staff.made["agent"].id))
    assert [v.query for v in kept] == ["tab=free&tier=standard"]
    other.post(f"/console/views/{kept[0].id}/remove")
    assert staff.kit.read(lambda tx: tx.desk.views(staff.made["agent"].id)) == kept
    agent.post(f"/console/views/{kept[0].id}/remove")
    assert "Ordinary" not in agent.get("/console").text


def test_a_view_needs_a_name_and_a_filter_and_there_are_few(staff: Staff) -> None:
    agent = staff.add(Role.AGENT)
    got = agent.post("/console/views", name=" ", query="tier=standard")
    assert (got.status_code, "Give the view a name" in got.text, 'value="standard" selected' in got.text) == (
        422, True, True,
    )  # fmt: skip
    got = agent.post("/console/views", name="Typed", query="moon=1")
    assert (got.status_code, "Choose a filter first" in got.text) == (422, True)
    actor = staff.actor(Role.AGENT)
    for n in range(views.MAX_VIEWS):
        staff.kit.write(lambda tx, n=n: views.save(tx, actor, f"View {n}", "late=1"))
    staff.kit.write(lambda tx: views.save(tx, actor, "View 3", "tier=mfa"))
    with pytest.raises(Refusal, match="many_views"):
        staff.kit.write(lambda tx: views.save(tx, actor, "One more", "late=1"))


@pytest.mark.both
def test_a_case_is_found_by_its_ticket_and_by_its_beginning(staff: Staff) -> None:
    _, case_id = waits(staff)
    agent = staff.add(Role.AGENT)
    at = f"/console/cases/{case_id}"
    assert agent.post(f"{at}/ticket", ticket="  INC 7/1 ").headers["location"] == f"{at}?done=ticket"
    assert 'href="https://tickets.example.com/browse/INC%207%2F1"' in agent.get(at).text
    for typed in ("INC 7/1", case_id[:8], case_id, "maya@example.com"):
        assert agent.post("/console/find", q=typed).headers["location"] == at, typed
    for typed in ("INC", case_id[:7], "xxxxxxxx", "%%%%%%%%", "________", ""):
        assert agent.post("/console/find", q=typed).status_code == 404, typed
    agent.post(f"{at}/ticket", ticket="")
    assert agent.post("/console/find", q="INC 7/1").status_code == 404
