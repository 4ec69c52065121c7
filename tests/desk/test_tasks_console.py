"""Tasks of administrators in the console: who may close one, how many have to, and what the person hears."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from keyback.application.desk import completion, operators
from keyback.application.desk.sessions import Actor
from keyback.application.ports.storage import ImportedAccount
from keyback.application.ports.tasks import Task
from keyback.application.tasks import lifecycle
from keyback.domain.operators.roles import Role
from tests.support.console import Staff
from tests.support.guided import news, recovered, task_of
from tests.support.kit import Kit, person
from tests.support.races import all_at_once
from tests.support.steps import drain

Make = Callable[..., Kit]
BURST = 50


def staffed(make_kit: Make, **over: Any) -> tuple[Staff, Task]:
    kit, tray, _, task = recovered(make_kit, **over)
    return Staff(kit, tray), task


def privileged(staff: Staff) -> None:
    """From now on Maya administers something."""
    maya = person("maya", tier="privileged")
    maya = replace(maya, accounts=(*maya.accounts, ImportedAccount("partner", "p-maya", "maya")))
    staff.kit.write(lambda tx: tx.people.save_imported([maya]))


@pytest.mark.covers("A-8.2.1")
def test_an_agent_closes_a_task_and_the_person_sees_it(make_kit: Make) -> None:
    staff, task = staffed(make_kit)
    agent, at = staff.add(Role.AGENT), f"/console/tasks/{task.id}"
    listed = agent.get("/console/tasks").text
    assert at in listed
    assert "Maya" in listed
    page = agent.get(at).text
    for said in ("Reset the password", "Partner desk", "Verified", "p-maya", "Not seen yet", f"{at}/done"):
        assert said in page, said
    assert f'href="{at}"' in agent.get(f"/console/cases/{task.case_id}").text
    staff.kit.clock.forward(minutes=6)
    assert agent.post(f"{at}/done", note="By hand").headers["location"] == f"/console/confirm?next={at}"
    assert task_of(staff.kit, task).state == "open"
    agent.confirm()
    assert agent.post(f"{at}/done", note="x" * 201).status_code == 422
    assert agent.post(f"{at}/done", note="By hand").headers["location"] == f"{at}?done=done"
    closed = task_of(staff.kit, task)
    assert (closed.state, closed.closed_by, closed.note) == ("done", "administrator", "By hand")
    assert closed.operator_id == staff.made["agent"].id
    drain(staff.kit)
    assert news(staff.tray) == ["done"]
    assert "Task done (" in agent.get(f"/console/cases/{task.case_id}").text
    assert "This task is closed" in agent.get(at).text
    again = agent.post(f"{at}/done", note="Once more")
    assert again.status_code == 409
    assert "closed already" in again.text
    assert at not in agent.get("/console/tasks").text
    assert at in agent.get("/console/tasks?tab=all").text


def test_a_declined_task_tells_the_person_why_and_keeps_what_was_typed(make_kit: Make) -> None:
    staff, task = staffed(make_kit)
    agent, at = staff.add(Role.APPROVER), f"/console/tasks/{task.id}"
    assert agent.post(f"{at}/decline", reason=" ").status_code == 422
    long = agent.post(f"{at}/decline", reason="Left in May. " * 20)
    assert long.status_code == 422
    assert "Left in May." in long.text
    assert agent.post(f"{at}/decline", reason="Left in May").headers["location"] == f"{at}?done=declined"
    drain(staff.kit)
    (told,) = [x.content for x in staff.tray.messages if x.kind == "system"]
    assert (told.what, told.detail) == ("declined", "Left in May")  # type: ignore[attr-defined]


@pytest.mark.slow
@pytest.mark.covers("A-8.2.1", "A-8.2.2")
def test_two_operators_close_the_task_of_somebody_privileged(make_kit: Make) -> None:
    staff, task = staffed(make_kit)
    privileged(staff)
    agent, second = staff.add(Role.AGENT), staff.add(Role.APPROVER)
    staff.add(Role.SECURITY_OFFICER)
    at = f"/console/tasks/{task.id}"
    agent.confirm()
    assert "Four eyes" in agent.get(at).text
    assert agent.post(f"{at}/done", note="Reset").headers["location"] == f"{at}?done=first"
    drain(staff.kit)
    assert news(staff.tray) == [], "nobody is told before the second one"
    assert task_of(staff.kit, task).state == "open"
    got = agent.post(f"{at}/done", note="Once more")
    assert got.status_code == 403
    assert "You said so first" in got.text
    second.confirm()
    assert "Confirm that it’s done" in second.get(at).text
    assert second.post(f"{at}/done", note="").headers["location"] == f"{at}?done=done"
    drain(staff.kit)
    closed = task_of(staff.kit, task)
    assert (closed.state, closed.first_by, closed.operator_id, closed.note) == (
        "done",
        staff.made["agent"].id,
        staff.made["approver"].id,
        "Reset",
    )
    assert news(staff.tray) == ["done"]
    desk = [m.content.what for m in staff.tray.messages if m.kind == "desk"]  # type: ignore[attr-defined]
    assert "task_done" in desk, "the security officer hears of it"


def test_a_task_that_is_asked_for_again_has_no_first_word_any_more(make_kit: Make) -> None:
    staff, task = staffed(make_kit)
    privileged(staff)
    kit, policy = staff.kit, staff.kit.services.policy
    for role in (Role.AGENT, Role.APPROVER):
        actor = staff.actor(role)
        kit.write(lambda tx, a=actor: completion.complete(tx, a, task.id, "", policy))
    assert task_of(kit, task).state == "done"
    kit.clock.forward(hours=2)
    assert kit.write(lambda tx: lifecycle.ask_again(tx, kit.services.tasks, task.id, task.case_id))
    again = task_of(kit, task)
    assert (again.state, again.first_by, again.operator_id) == ("open", "", "")


@pytest.mark.slow
@pytest.mark.covers("A-8.2.2")
def test_nobody_closes_a_task_of_their_own_or_of_a_higher_role(make_kit: Make) -> None:
    staff, task = staffed(make_kit)
    at = f"/console/tasks/{task.id}"
    me, agent = staff.add(Role.APPROVER, "maya@example.com"), staff.add(Role.AGENT)
    for browser, said in ((me, "your own account"), (agent, "same or a higher role")):
        browser.confirm()
        assert said in browser.get(at).text
        for act in ("done", "decline"):
            got = browser.post(f"{at}/{act}", **({"note": ""} if act == "done" else {"reason": "No"}))
            assert (got.status_code, said in got.text) == (403, True)
    assert task_of(staff.kit, task).state == "open"


def test_pages_of_tasks_go_on_where_the_last_one_ended(make_kit: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    staff, task = staffed(make_kit)
    for n in range(5):
        staff.kit.write(lambda tx, n=n: tx.tasks.add(replace(task, id=tx.new_id(), opened_at=task.opened_at + n // 2)))
    monkeypatch.setattr(completion, "PAGE", 2)
    for waiting in (True, False):
        seen: list[Task] = []
        after: tuple[int, str] | None = (0, "")
        while after:
            found = staff.kit.read(lambda tx, a=after, w=waiting: completion.task_list(tx, waiting=w, after=a))
            seen += [v.task for v in found.lines]
            after = found.more
        assert len({t.id for t in seen}) == len(seen) == 6
        assert [t.opened_at for t in seen] == sorted((t.opened_at for t in seen), reverse=not waiting)


@pytest.mark.slow
@pytest.mark.both
@pytest.mark.covers("F10")
def test_fifty_operators_at_once_close_a_task_once(make_kit: Make, database_url: str) -> None:
    staff, task = staffed(make_kit, url=database_url)
    kit, policy = staff.kit, staff.kit.services.policy
    actors = [staff.actor(Role.AGENT, f"agent{n}") for n in range(BURST)]

    def close(n: int, actor: Actor) -> Callable[[Any], Any]:
        if n % 2:
            return lambda tx: completion.decline(tx, actor, task.id, "No.", policy)
        return lambda tx: completion.complete(tx, actor, task.id, "", policy)

    outcome = all_at_once(kit, [close(n, a) for n, a in enumerate(actors)])
    assert outcome == Counter({"done": 1, "wrong_state": BURST - 1})
    drain(kit)
    assert len(news(staff.tray)) == 1


@pytest.mark.slow
@pytest.mark.both
@pytest.mark.covers("F10", "A-8.2.1")
def test_of_fifty_at_once_two_are_four_eyes(make_kit: Make, database_url: str) -> None:
    staff, task = staffed(make_kit, url=database_url)
    privileged(staff)
    kit, policy = staff.kit, staff.kit.services.policy
    actors = [staff.actor(Role.AGENT, f"agent{n % 25}") for n in range(BURST)]

    def close(actor: Actor) -> Callable[[Any], Any]:
        return lambda tx: completion.complete(tx, actor, task.id, "", policy)

    outcome = all_at_once(kit, list(map(close, actors)))
    assert outcome["done"] == 2
    closed = task_of(kit, task)
    assert closed.first_by
    assert closed.operator_id not in ("", closed.first_by)
    drain(kit)
    assert news(staff.tray) == ["done"]


def test_an_operator_who_was_removed_meanwhile_closes_nothing(make_kit: Make) -> None:
    staff, task = staffed(make_kit)
    kit, agent = staff.kit, staff.actor(Role.AGENT)
    kit.write(lambda tx: operators.remove(tx, agent.operator.id))
    outcome = all_at_once(kit, [lambda tx: completion.complete(tx, agent, task.id, "", kit.services.policy)])
    assert outcome == {"over": 1}
