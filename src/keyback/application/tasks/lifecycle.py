"""What only an administrator of a system can do: asked for with the evidence, done or declined, and told to the person.

A task never holds a secret: who, which account, what they were verified by and when. The same functions serve the
command line and any console.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from keyback.application.notifications.notify import contacts_of, notify, notify_administrators
from keyback.application.ports.messages import SystemMessage, TaskMessage
from keyback.application.ports.storage import Tx
from keyback.application.ports.tasks import Task, TaskKind, TaskRules
from keyback.domain.errors import Refusal
from keyback.domain.people.person import Account
from keyback.domain.recovery.case import Case
from keyback.domain.recovery.events import Note
from keyback.domain.units import HOUR, MINUTE

MAX_NOTE = 300
ASK_AGAIN_AFTER = HOUR  # so that an impatient person doesn't fill administrators' mailboxes
MAX_ASKS = 5
FIRST_LOOK = 2 * MINUTE
By = Literal["administrator", "person", "watch", "overtaken"]


@dataclass(frozen=True, slots=True)
class TaskView:
    """A task with the names that an administrator knows its person and account by."""

    task: Task
    person_name: str = ""
    username: str = ""
    external_id: str = field(default="", repr=False)


def open_task(
    tx: Tx, rules: TaskRules, account: Account, kind: TaskKind, case: Case | None = None, *, at_once: bool | None = None
) -> Task:
    """Opens a task for one account in place of an open one of the same kind, and mails the administrators.

    Args:
        case: the recovery that verified the person; its evidence goes with the task.
        at_once: whether they are mailed now; None: as the rules say.
    """
    for older in tx.tasks.open_of(account.id):
        if older.kind == kind:
            _end(tx, older, "over", "overtaken")
    watched = kind == "reset"
    task = Task(
        tx.new_id(),
        kind,
        account.person_id,
        account.id,
        account.system,
        tx.now,
        case_id=case.id if case else "",
        verified=_evidence(case) if case else (),
        watch="looking" if watched else "",
        watch_from=tx.now,
        look_at=tx.now + FIRST_LOOK if watched else 0,
    )
    tx.tasks.add(task)
    _record(tx, task, Note("task_opened", {"kind": kind, "system": account.system}))
    return ask_now(tx, rules, task) if (rules.at_once if at_once is None else at_once) else task


def _evidence(case: Case) -> tuple[tuple[str, int], ...]:
    """What was shown on the pages that were allowed to go on."""
    return tuple((e.proof, e.accepted_at) for e in case.evidence if e.handle in case.approved_for)


def ask_now(tx: Tx, rules: TaskRules, task: Task) -> Task:
    """Mails the administrators about a task; as it is then."""
    view = view_of(tx, task)
    told = TaskMessage(
        task=task.id,
        what=task.kind,
        again=task.asks > 0,
        person_name=view.person_name,
        username=view.username,
        system=task.system,
        verified=tuple((method, str(at)) for method, at in task.verified),
        at=task.opened_at,
    )
    sent = notify_administrators(tx, told, rules.administrators, rules.locale)
    if not sent:
        return task
    _record(tx, task, Note("administrators_asked", {"count": sent}))
    return tx.tasks.save(replace(task, asked_at=tx.now, asks=task.asks + 1))


def done(tx: Tx, task_id: str, note: str = "", operator: str = "") -> Task:
    """An administrator did it: the person is told, and the watch begins anew, since only now they can get in.

    Args:
        note: for the log alone.
        operator: id of the one who says so in the console.

    Raises:
        Refusal: `not_found`, `wrong_state`.
    """
    task = replace(_open(tx, task_id), note=note[:MAX_NOTE], operator_id=operator)
    if task.kind == "reset":
        task = replace(task, watch="looking", watch_from=tx.now, looks=0, reminded=False, look_at=tx.now + FIRST_LOOK)
    task = _end(tx, task, "done", "administrator")
    tell(tx, task, "stopped" if task.kind == "stop" else "turned_on" if task.kind == "turn_on" else "done")
    return task


def decline(tx: Tx, task_id: str, reason: str, operator: str = "") -> Task:
    """An administrator won't do it; the person is told why.

    Args:
        operator: as for `done`.

    Raises:
        Refusal: `not_found`, `wrong_state`.
    """
    task = replace(_open(tx, task_id), note=reason[:MAX_NOTE], operator_id=operator)
    task = _end(tx, task, "declined", "administrator")
    tell(tx, task, "declined", detail=task.note)
    return task


def say_first(tx: Tx, task_id: str, operator: str, note: str) -> Task:
    """The first of two operators says that it is done; nobody is told before the second one says so too.

    Raises:
        Refusal: `not_found`, `wrong_state`.
    """
    task = replace(_open(tx, task_id), note=note[:MAX_NOTE], first_by=operator, first_at=tx.now)
    task = tx.tasks.save(task)
    _record(tx, task, Note("task_done_first", {"operator": operator}))
    return task


def ask_again(tx: Tx, rules: TaskRules, task_id: str, case_id: str) -> bool:
    """The person asks for an administrator; whether one was mailed. One that was done before is open again.

    Args:
        case_id: the recovery whose page it is; tasks of others are not found.
    """
    task = tx.tasks.get(task_id)
    if task is None or task.case_id != case_id or task.kind != "reset" or not may_ask(task, tx.now):
        return False
    again = replace(task, state="open", closed_at=0, closed_by="", operator_id="", first_by="", first_at=0)
    if again.watch not in ("looking", "blind"):
        again = replace(again, watch="looking", looks=0, reminded=False, look_at=tx.now + FIRST_LOOK)
    asked = ask_now(tx, rules, again)
    return asked.asks > task.asks


def may_ask(task: Task, now: int) -> bool:
    """Whether the person may ask for an administrator (again)."""
    if task.state in ("declined", "over") or task.watch == "seen" or task.asks >= MAX_ASKS:
        return False
    return task.asked_at + ASK_AGAIN_AFTER <= now


def say_in(tx: Tx, task_id: str, case_id: str) -> bool:
    """The person says that they're in: nobody is asked or reminded any more. It counts for less than being seen."""
    task = tx.tasks.get(task_id)
    if task is None or task.case_id != case_id or task.kind != "reset" or task.watch in ("", "seen", "said"):
        return False
    said = replace(task, watch="said", look_at=0)
    if task.state == "open":
        _end(tx, said, "done", "person")
    else:
        _record(tx, tx.tasks.save(said), Note("task_said_in"))
    return True


def listed(tx: Tx, *, state: str | None = "open", limit: int = 50) -> Sequence[TaskView]:
    """Tasks with the names of their people, the newest first; of every state for None."""
    return [view_of(tx, t) for t in tx.tasks.listed(state=state, limit=limit)]


def found(tx: Tx, task_id: str) -> TaskView:
    """One task. Raises Refusal `not_found`."""
    task = tx.tasks.get(task_id)
    if task is None:
        raise Refusal("not_found")
    return view_of(tx, task)


def view_of(tx: Tx, task: Task) -> TaskView:
    """A task with what its person and account are called."""
    person, account = tx.people.person(task.person_id), tx.people.account(task.account_id)
    return TaskView(
        task,
        person.name if person else "",
        account.username if account else "",
        account.external_id if account else "",
    )


def tell(tx: Tx, task: Task, what: str, *, detail: str = "") -> None:
    """Mails the person, at every mailbox of theirs, what became of a system."""
    view = view_of(tx, task)
    told = SystemMessage(username=view.username, system=task.system, what=what, at=tx.now, detail=detail)
    notify(tx, told, [c for c in contacts_of(tx, task.person_id) if c.channel == "mail" and c.role != "recovery"])


def record_end(tx: Tx, task: Task) -> None:
    """Notes that a watch ended without anybody seen."""
    _record(tx, task, Note("task_unseen", {"looks": task.looks}))


def of_case(tx: Tx, case_id: str) -> Sequence[Task]:
    """Tasks of a recovery, the newest of each account."""
    return list({t.account_id: t for t in tx.tasks.of_case(case_id) if t.state != "over"}.values())


def end_by_watch(tx: Tx, task: Task) -> Task:
    """The person was seen to get in: an open task is done."""
    if task.state == "open":
        return _end(tx, task, "done", "watch")
    return tx.tasks.save(task)


def _open(tx: Tx, task_id: str) -> Task:
    task = tx.tasks.get(task_id)
    if task is None:
        raise Refusal("not_found")
    if task.state != "open":
        raise Refusal("wrong_state", state=task.state)
    return task


def _end(tx: Tx, task: Task, state: Literal["done", "declined", "over"], by: By) -> Task:
    if state == "over":
        task = replace(task, look_at=0)
    ended = tx.tasks.save(replace(task, state=state, closed_at=tx.now, closed_by=by))
    what = "task_done" if state == "done" else "task_declined" if state == "declined" else "task_over"
    said = {"by": by, "note": ended.note, "operator": ended.operator_id if by == "administrator" else ""}
    _record(tx, ended, Note(what, {k: v for k, v in said.items() if v}))
    return ended


def _record(tx: Tx, task: Task, note: Note) -> None:
    named = {"task": task.id, "account_id": task.account_id, **note.data}
    tx.audit.record(task.case_id or task.person_id, [replace(note, data=named)])
