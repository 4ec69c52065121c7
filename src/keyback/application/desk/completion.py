"""Tasks of administrators in the console: done or declined by an operator, by two where the tier wants four eyes.

What they do here is what `keyback task` does on the server, with who did it, and within what an operator may.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from keyback.application.desk.cases import obstacle
from keyback.application.desk.digest import count
from keyback.application.desk.notices import tell_officers
from keyback.application.desk.sessions import Actor, must_be_fresh
from keyback.application.desk.workbench import one_line
from keyback.application.enrolment.tier import tier_of
from keyback.application.ports.storage import Tx
from keyback.application.ports.tasks import Task
from keyback.application.tasks import lifecycle
from keyback.application.tasks.lifecycle import TaskView
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators.approvals import EYES, obstacle_to_completion
from keyback.domain.operators.roles import Obstacle, Operator
from keyback.domain.people.person import Person, Tier
from keyback.domain.policy.rules import Policy

MAX_REASON = 200
PAGE = 50
Outcome = Literal["done", "first"]


@dataclass(frozen=True, slots=True)
class TaskList:
    """One page. `more`: where the next one begins; None at the end."""

    lines: tuple[TaskView, ...]
    more: tuple[int, str] | None
    now: int


@dataclass(frozen=True, slots=True)
class OpenedTask:
    """A task on its page. `obstacle`: what keeps this operator from acting on its person at all."""

    view: TaskView
    tier: Tier
    four_eyes: bool
    obstacle: Obstacle
    operators: Mapping[str, Operator]
    case_known: bool


def task_list(tx: Tx, *, waiting: bool, after: tuple[int, str] = (0, "")) -> TaskList:
    """Open tasks, the oldest first; or all, the newest first."""
    found = list(tx.tasks.page(waiting=waiting, after=after, limit=PAGE + 1))
    shown = found[:PAGE]
    last = shown[-1] if len(found) > PAGE else None
    return TaskList(tuple(views(tx, shown)), (last.opened_at, last.id) if last else None, tx.now)


def views(tx: Tx, tasks: Sequence[Task]) -> list[TaskView]:
    """Tasks with the names of their people and accounts, looked up together."""
    ids = list(dict.fromkeys(t.person_id for t in tasks))
    people, accounts = tx.people.people(ids), tx.people.accounts(ids)
    out = []
    for t in tasks:
        account = next((a for a in accounts.get(t.person_id, ()) if a.id == t.account_id), None)
        name = people[t.person_id].name if t.person_id in people else ""
        out.append(TaskView(t, name, account.username if account else "", account.external_id if account else ""))
    return out


def open_task(tx: Tx, actor: Actor, task_id: str, policy: Policy) -> OpenedTask:
    """A task with what it rests on.

    Raises:
        Refusal: `not_found`.
    """
    view = lifecycle.found(tx, task_id)
    person = tx.people.person(view.task.person_id)
    if person is None:
        raise Refusal("not_found")
    tier = _tier(tx, person, policy)
    names = tx.operators.many([i for i in (view.task.first_by, view.task.operator_id) if i])
    known = bool(view.task.case_id) and tx.cases.get(view.task.case_id) is not None
    return OpenedTask(view, tier, EYES[tier] == 4, obstacle(tx, actor.operator, person), names, known)


def complete(tx: Tx, actor: Actor, task_id: str, note: str, policy: Policy) -> Outcome:
    """An operator says that a task is done. Where two have to, the first one's word waits for the second one's.

    Args:
        note: for colleagues and the audit log; may be empty.

    Raises:
        Refusal: `not_found`, `yourself`, `rank`; `wrong_state` when it is closed; `step_up` without a second factor
            just now; `own_work` for whoever said it first.
        BadInput: the note is `too_long`.
    """
    note = _line(note)
    person = _lock(tx, actor, task_id)
    task = tx.tasks.get(task_id)
    if task is None or task.state != "open":
        raise Refusal("wrong_state", state=task.state if task else "over")
    me = actor.operator
    tier = _tier(tx, person, policy)
    stopped = obstacle_to_completion(me, tier, task.first_by)
    if stopped == "own_work":
        raise Refusal(stopped)
    if stopped == "second_needed":
        lifecycle.say_first(tx, task_id, me.id, note)
        return "first"
    lifecycle.done(tx, task_id, note or task.note, me.id)
    _tell_officers(tx, actor, person, tier, task, "task_done")
    return "done"


def decline(tx: Tx, actor: Actor, task_id: str, reason: str, policy: Policy) -> None:
    """An operator won't do it; the person reads the reason.

    Raises:
        Refusal: as `complete`, but for `own_work`.
        BadInput: `empty` or `too_long`.
    """
    reason = _line(reason)
    if not reason:
        raise BadInput("empty")
    person = _lock(tx, actor, task_id)
    task = lifecycle.decline(tx, task_id, reason, actor.operator.id)
    _tell_officers(tx, actor, person, _tier(tx, person, policy), task, "task_declined")


def _lock(tx: Tx, actor: Actor, task_id: str) -> Person:
    """The person of a task, locked before the task is, once it is certain that this operator may act on them."""
    task = tx.tasks.get(task_id, lock=False)
    person = tx.people.lock(task.person_id) if task else None
    if task is None or person is None:
        raise Refusal("not_found")
    stopped = obstacle(tx, actor.operator, person)
    if stopped:
        raise Refusal(stopped)
    must_be_fresh(tx, actor)
    return person


def _tier(tx: Tx, person: Person, policy: Policy) -> Tier:
    return tier_of(tx, person, tx.people.accounts([person.id]).get(person.id, ()), policy)


def _line(text: str) -> str:
    text = one_line(text)
    if len(text) > MAX_REASON:
        raise BadInput("too_long")
    return text


def _tell_officers(tx: Tx, actor: Actor, person: Person, tier: Tier, task: Task, what: str) -> None:
    count(tx, what)
    if tier == "privileged":
        tell_officers(tx, what, person.name, actor.operator.name, case_id=task.case_id)
