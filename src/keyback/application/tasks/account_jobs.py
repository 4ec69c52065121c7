"""What is asked of another system about one account is a job: tried again for an hour while the system is away.

Each account is a job of its own, so that a system which hangs delays nobody.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal

import structlog

from keyback.application.leases import BatchLease, Stopping, steady_clock, write_when_up
from keyback.application.ports.connectors import Connector, Outcome, Step
from keyback.application.ports.storage import Database, Job, Tx
from keyback.domain.people.person import Account
from keyback.domain.units import HOUR, MINUTE

log = structlog.get_logger("keyback.account_jobs")
LIFE = HOUR
LEASE = MINUTE
BACKOFF = (2_000, 5_000, 15_000, 60_000)
Ask = Callable[[Connector | None, Account], Awaitable[Outcome]]
Conclude = Callable[[Tx, Account | None, Outcome], None]


def put(tx: Tx, kind: Literal["stop", "unlock"], account: Account, **more: Any) -> None:
    """Has the worker ask about an account; `more` stands in the job's body."""
    body = {"person": account.person_id, "account": account.id, **more}
    tx.outbox.put([Job(tx.new_id(), kind, body, tx.now, tx.now + LIFE)])


async def run_one(
    db: Database, connectors: Mapping[str, Connector], job: Job, step: Step, ask: Ask, conclude: Conclude,
    stopping: Stopping,
) -> None:  # fmt: skip
    """Runs one leased job until it is done, to be tried again, or over.

    Args:
        step: what is asked for, in outcomes that no system gave.
        ask: asks the system, None where no connector is configured for it.
        conclude: writes what came of it, in the transaction that ends the job; the account is None if it is gone.
    """
    async with BatchLease(steady_clock(), LEASE).kept(db, [job], LEASE):
        account = await db.read(lambda tx: tx.people.account(str(job.body.get("account"))))
        outcome = Outcome(step, "refused", "not_found")
        if account is not None:
            outcome = await _asked(connectors, account, step, ask)

        def end(tx: Tx) -> None:
            if tx.outbox.holds(job) and not _again(tx, job, outcome):
                tx.outbox.done([job])
                conclude(tx, account, outcome)

        await write_when_up(db, end, stopping)


async def _asked(connectors: Mapping[str, Connector], account: Account, step: Step, ask: Ask) -> Outcome:
    try:
        return await ask(connectors.get(account.system), account)
    except Exception as e:  # of a plug-in
        log.error("account_job_failed", step=step.value, system=account.system, error=type(e).__name__)
        return Outcome(step, "uncertain", "unavailable")


def _again(tx: Tx, job: Job, outcome: Outcome) -> bool:
    """Whether it is tried once more, which is put down."""
    at = tx.now + max(outcome.retry_after_ms, BACKOFF[min(job.attempts, len(BACKOFF)) - 1])
    if outcome.status not in ("retry", "uncertain") or at >= job.expires_at:
        return False
    tx.outbox.retry(job, at, outcome.code)
    return True
