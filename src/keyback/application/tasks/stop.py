"""The emergency stop: somebody says that another person is in their account, and it is stopped by its status.

Where the vendor lets no program do that, or the account is privileged, an administrator is asked at once. In either
case only an administrator turns it on again.
"""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from keyback.application.leases import BatchLease, Stopping, steady_clock, write_when_up
from keyback.application.ports.connectors import Connector, Means, Outcome, Step
from keyback.application.ports.storage import Database, Job, Tx
from keyback.application.ports.tasks import TaskRules
from keyback.application.tasks import lifecycle
from keyback.domain.people.person import Account
from keyback.domain.recovery.events import Note
from keyback.domain.units import HOUR, MINUTE

log = structlog.get_logger("keyback.stop")
SYSTEM = "builtin"  # which a lockdown locks by itself
LIFE = HOUR  # for which a system that is away is tried again; then an administrator is asked
LEASE = MINUTE
BACKOFF = (2_000, 5_000, 15_000, 60_000)


def request(tx: Tx, person_id: str) -> None:
    """Has every account of a person in other systems stopped; those with single sign-on are stopped where they sign in.

    Accounts that are stopped already, or that an administrator was asked about, are left as they are.
    """
    for account in tx.people.accounts([person_id]).get(person_id, ()):
        if account.system == SYSTEM or account.provider:
            continue
        if any(t.kind in ("stop", "turn_on") for t in tx.tasks.open_of(account.id)):
            continue
        body = {"person": person_id, "account": account.id}
        tx.outbox.put([Job(tx.new_id(), "stop", body, tx.now, tx.now + LIFE)])


async def stop_one(
    db: Database, connectors: Mapping[str, Connector], rules: TaskRules, job: Job, stopping: Stopping
) -> None:
    """Runs one leased job until it is done, to be tried again, or handed to an administrator."""
    async with BatchLease(steady_clock(), LEASE).kept(db, [job], LEASE):
        account = await db.read(lambda tx: tx.people.account(str(job.body.get("account"))))
        outcome = Outcome(Step.STOP, "refused", "not_found")
        if account is not None:
            outcome = await _asked(connectors.get(account.system), account)
        await write_when_up(db, lambda tx: _conclude(tx, rules, job, account, outcome), stopping)


async def _asked(connector: Connector | None, account: Account) -> Outcome:
    if connector is None or connector.capabilities.stop is Means.NONE:
        return Outcome(Step.STOP, "unsupported")
    try:
        return await connector.stop(account.external_id)
    except Exception as e:  # of a plug-in
        log.error("stop_failed", system=account.system, error=type(e).__name__)
        return Outcome(Step.STOP, "uncertain", "unavailable")


def _conclude(tx: Tx, rules: TaskRules, job: Job, account: Account | None, outcome: Outcome) -> None:
    if not tx.outbox.holds(job):
        return
    again = tx.now + max(outcome.retry_after_ms, BACKOFF[min(job.attempts, len(BACKOFF)) - 1])
    if outcome.status in ("retry", "uncertain") and again < job.expires_at:
        tx.outbox.retry(job, again, outcome.code)
        return
    tx.outbox.done([job])
    if account is None:
        return
    open_kinds = {t.kind for t in tx.tasks.open_of(account.id)}
    told = {"account_id": account.id, "system": account.system, "code": outcome.code}
    if outcome.status == "done":
        tx.audit.record(account.person_id, [Note("account_stopped", told)])
        if "turn_on" not in open_kinds:
            lifecycle.tell(tx, lifecycle.open_task(tx, rules, account, "turn_on", at_once=True), "stopped")
        return
    tx.audit.record(account.person_id, [Note("account_not_stopped", told)])
    if "stop" not in open_kinds:
        lifecycle.open_task(tx, rules, account, "stop", at_once=True)
