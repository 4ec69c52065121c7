"""The worker applies new passwords, one job for each account, until each is settled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import structlog

from keyback.application.leases import BatchLease, Stopping, steady_clock, write_when_up
from keyback.application.notifications.account_changes import lock_link
from keyback.application.notifications.notify import best_known, contacts_of, notify
from keyback.application.ports.connectors import Connector, Outcome, Plan, Step
from keyback.application.ports.messages import ChangedMessage
from keyback.application.ports.storage import Database, Job, StorageDown, Tx
from keyback.application.ports.tasks import TaskRules
from keyback.application.recovery import aftercare, choose_again
from keyback.application.recovery.new_password import PURPOSE
from keyback.application.tasks import lifecycle as tasks
from keyback.application.throttling import password_attempts
from keyback.application.tracing import span
from keyback.domain.challenges.challenge import EMAIL_LINK
from keyback.domain.errors import Refusal
from keyback.domain.people.person import Account
from keyback.domain.recovery import case as dc
from keyback.domain.recovery import events as ev
from keyback.domain.recovery.case import Case, State
from keyback.domain.recovery.results import SESSIONS_OPEN, TIMED_OUT
from keyback.domain.secret import Secret

log = structlog.get_logger("keyback.reset")
LEASE = 15_000  # renewed while a system is at work: what a worker leaves that was killed is taken up after so long
NO_ADMINISTRATORS = TaskRules()
ENDS_ACCESS = frozenset({Step.REVOKE, Step.GRANTS})
BACKOFF = (2_000, 5_000, 15_000, 30_000, 60_000)


async def apply_one(
    db: Database,
    connectors: Mapping[str, Connector],
    job: Job,
    stopping: Stopping = lambda: False,
    administrators: TaskRules = NO_ADMINISTRATORS,
) -> str:
    """Runs one leased job to its next rest; the result word, for metrics and logs.

    Whatever goes wrong on the way, a job comes to an end with its ten minutes: a case must not hang in applying, where
    its person could not start again. What came of it is written down as soon as the database answers.

    Args:
        stopping: whether the process ends.
        administrators: who is asked for what a system lets no program do.

    Raises:
        StorageDown: the database is away and the process ends.
    """
    with span("keyback.apply") as traced:
        traced.set("keyback.attempt", job.attempts)
        async with BatchLease(steady_clock(), LEASE).kept(db, [job], LEASE):
            outcome = await _apply(db, connectors, job, stopping, administrators)
        traced.set("keyback.outcome", outcome)
        return outcome


async def _apply(
    db: Database, connectors: Mapping[str, Connector], job: Job, stopping: Stopping, administrators: TaskRules
) -> str:
    async def settle(result: ev.Result, code: str, vendor_text: str = "") -> str:
        return await write_when_up(db, lambda tx: _finish(tx, job, result, code, vendor_text, administrators), stopping)

    if not {"case", "account"} <= set(job.body):
        await db.write(lambda tx: tx.outbox.give_up(job, "malformed"))
        return "refused"
    try:
        loaded = await db.read(lambda tx: _load(tx, job))
        if isinstance(loaded, str):
            return await settle("unsure" if job.attempts > 1 else "refused", loaded)
        account, password, allowed = loaded
        connector = connectors.get(account.system)
        if connector is None:
            return await settle("refused", "unavailable")
        plan = Plan(
            job.id, account.external_id, account.username, password, allow_privileged=allowed, attempt=job.attempts
        )
        outcomes = await _ask(connector, plan)
    except StorageDown:  # nothing was done: it is handed back
        await write_when_up(db, lambda tx: tx.outbox.retry(job, tx.now, "unavailable"), stopping)
        return "working"
    except Exception as e:
        log.error("apply_failed", error=type(e).__name__)
        outcomes = [Outcome(Step.SET, "uncertain", "unavailable")]
    result, last = judge(outcomes)
    if result == "working":
        wait = max(last.retry_after_ms, BACKOFF[min(job.attempts, len(BACKOFF)) - 1])
        return await write_when_up(db, lambda tx: _again(tx, job, wait, last), stopping)
    return await settle(result, last.code, last.vendor_text)


async def _ask(connector: Connector, plan: Plan) -> Sequence[Outcome]:
    try:
        with span("keyback.connector") as traced:
            traced.set("keyback.system", connector.name)
            return await connector.apply(plan)
    except StorageDown:  # of a system whose passwords are in our own database: it may have been changed
        return [Outcome(Step.SET, "uncertain", "unavailable")]


def _load(tx: Tx, job: Job) -> tuple[Account, Secret, bool] | str:
    """The account, its new password and whether it may be an administrator's, or the code of what speaks against it."""
    case = tx.cases.get(str(job.body["case"]))
    if case is None or job.sealed is None:
        return "not_found"
    if tx.now >= job.expires_at:
        return TIMED_OUT  # what was sealed is over
    person = tx.people.person(case.person_id)
    accounts = tx.people.accounts([case.person_id]).get(case.person_id, ())
    account = next((a for a in accounts if a.id == job.body["account"]), None)
    if account is None:
        return "not_found"
    if person is None or person.state != "active" or account.state == "disabled":
        return "not_permitted"  # switched off since it was chosen (E16)
    plain = tx.seals.open(job.sealed, f"{PURPOSE}/{case.id}", job.id)
    # A case that was opened for an administrator was approved by what that asks for; any other one never was.
    return account, Secret(plain.decode()), case.tier == "privileged"


def judge(outcomes: Sequence[Outcome]) -> tuple[ev.Result, Outcome]:
    """One result out of the steps of a plan: `working` means again later. Never `done` unless every step was, with one
    exception: a refusal after the set leaves the password set, and nobody is told otherwise (I12)."""
    changed = False
    for o in outcomes:
        changed = changed or (o.step is Step.SET and o.status == "done")
        if o.status == "refused":
            if changed:
                return ("done", replace(o, code=SESSIONS_OPEN)) if o.step in ENDS_ACCESS else ("unsure", o)
            return "refused", o
        if o.status in ("retry", "uncertain"):
            return "working", o
        if o.status == "pending":
            return ("desk" if o.code == "desk" else "yours"), o
    last = outcomes[-1]
    return "done", last


def _again(tx: Tx, job: Job, wait_ms: int, last: Outcome) -> str:
    if tx.now + wait_ms >= job.expires_at:
        if last.step in ENDS_ACCESS:  # it comes after a set that was done
            return _finish(tx, job, "done", SESSIONS_OPEN, "")
        unsure = last.status == "uncertain" or job.attempts > 1 or last.step is Step.MUST_CHANGE
        return _finish(tx, job, "unsure" if unsure else "refused", TIMED_OUT, "")
    if tx.outbox.retry(job, tx.now + wait_ms, last.code):
        _record(tx, job, "working", last.code, "")
    return "working"


def _finish(
    tx: Tx,
    job: Job,
    result: ev.Result,
    code: str,
    vendor_text: str,
    administrators: TaskRules = NO_ADMINISTRATORS,
) -> str:
    """The result and the end of the job in one transaction; nothing when the lease is no longer ours."""
    if not tx.outbox.done([job]):  # the sealed password goes with the row
        return "lost"
    case = _record(tx, job, result, code, vendor_text)
    if case is None:
        return result
    accounts = {a.id: a for a in tx.people.accounts([case.person_id]).get(case.person_id, ())}
    account = accounts.get(str(job.body["account"]))
    if result in ("yours", "desk") and account is not None:
        tasks.open_task(tx, administrators, account, "reset", case, at_once=True if result == "desk" else None)
    if result == "done":
        if account and account.state == "locked":  # a disabled one stays so
            tx.people.set_account_state(account.id, "active")
        mine = str(job.body["account"])
        also = (f"lockdown/{mine}", f"renew/{mine}")
        password_attempts.renewed(tx, mine, str(job.body.get("source", "")), also)
        tx.sessions.end_all(case.person_id)
    if case.settled:
        username = best_known(tuple(accounts.values()))
        told = ChangedMessage(
            username=username,
            at=tx.now,
            systems=tuple(
                (accounts[r.account_id].system, SESSIONS_OPEN if r.sessions_open else r.result)
                for r in case.results
                if r.account_id in accounts
            ),
            case=case.id,
            source=str(job.body.get("source", "")),
            device=str(job.body.get("device", "")),
        )
        person = tx.people.person(case.person_id)
        contacts = contacts_of(tx, case.person_id)
        notify(tx, told, contacts, link_for=lambda c: lock_link(tx, person, c) if person else None)
        aftercare.remind_later(tx, username, contacts)
        choose_again.invite(tx, case, str(job.body.get("handle") or next(reversed(case.approved_for), "")))
    return result


def _record(tx: Tx, job: Job, result: ev.Result, code: str, vendor_text: str) -> Case | None:
    case = tx.cases.get(str(job.body["case"]))
    if case is None:
        return None
    before = next((r.result for r in case.results if r.job_id == job.id), None)
    if before == result == "working":
        return case
    try:
        events = dc.decide(case, dc.Settle(str(job.body["account"]), result, code, vendor_text[:300]), tx.now)
    except Refusal:
        return None  # it was settled by an earlier run of the same job
    return tx.cases.act(case, events)


def give_up(tx: Tx, limit: int = 100) -> int:
    """Ends cases whose time is over; the number of them."""
    n = 0
    for case in tx.cases.overdue(limit):
        command: dc.Command = dc.Close() if case.state == State.RECOVERED else dc.Expire()
        try:
            tx.cases.act(case, dc.decide(case, command, tx.now))
        except Refusal:
            continue
        tx.challenges.end_where("overtaken", case_id=case.id, method=EMAIL_LINK)
        n += 1
    return n
