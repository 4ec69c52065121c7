"""An operator's unlock reaches other systems too, where they let a program do that. No password is touched.

Each account is a job of its own, so that a system which hangs delays nobody: neither the operator nor other systems.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import structlog

from keyback.application.account.lockdown import SYSTEM
from keyback.application.leases import BatchLease, Stopping, steady_clock, write_when_up
from keyback.application.ports.connectors import Connector, Outcome, Plan, Step
from keyback.application.ports.desk_actions import Action
from keyback.application.ports.storage import Database, Job, Tx
from keyback.application.recovery.unlock import CAN
from keyback.domain.people.person import Account
from keyback.domain.recovery.events import Note
from keyback.domain.units import HOUR, MINUTE

log = structlog.get_logger("keyback.desk")
KIND: Final = "unlock"
LIFE = HOUR  # for which a system that is away is tried again
LEASE = MINUTE
BACKOFF = (2_000, 5_000, 15_000, 60_000)
NEWEST = 2**62  # behind every row of the audit log
LOOKED_AT = 200  # events of a person, of which the page shows what came of unlocks
Results = Mapping[str, tuple[tuple[str, str], ...]]
"""By act, each system and what came of it: `done`, `refused`, `retry`, `uncertain`, or `unsupported`."""


def request(tx: Tx, action: Action) -> None:
    """Has a person's accounts in other systems unlocked; those with single sign-on are unlocked where they sign in."""
    for a in tx.people.accounts([action.person_id]).get(action.person_id, ()):
        if a.system != SYSTEM and not a.provider and a.state != "disabled":
            body = {"person": action.person_id, "account": a.id, "action": action.id}
            tx.outbox.put([Job(tx.new_id(), KIND, body, tx.now, tx.now + LIFE)])


def results(tx: Tx, person_id: str) -> Results:
    """What came of unlocks lately."""
    out: dict[str, tuple[tuple[str, str], ...]] = {}
    for h in reversed(tx.audit.of_person(person_id, NEWEST, LOOKED_AT)):
        if h.type == "desk_unlocked_system":
            which = str(h.data.get("action", ""))
            out[which] = (*out.get(which, ()), (str(h.data.get("system", "")), str(h.data.get("result", ""))))
    return out


async def unlock_one(db: Database, connectors: Mapping[str, Connector], job: Job, stopping: Stopping) -> None:
    """Runs one leased job until it is done, to be tried again, or given up."""
    async with BatchLease(steady_clock(), LEASE).kept(db, [job], LEASE):
        account = await db.read(lambda tx: tx.people.account(str(job.body.get("account"))))
        outcome = Outcome(Step.UNLOCK, "refused", "not_found")
        if account is not None:
            outcome = await _asked(connectors.get(account.system), job, account)
        await write_when_up(db, lambda tx: _conclude(tx, job, account, outcome), stopping)


async def _asked(connector: Connector | None, job: Job, account: Account) -> Outcome:
    if connector is None or connector.capabilities.unlock not in CAN or account.state == "disabled":
        return Outcome(Step.UNLOCK, "unsupported")
    which = f"{job.body.get('action')}/{account.id}"[:44]
    plan = Plan(which, account.external_id, account.username, None, allow_privileged=True, attempt=job.attempts)
    try:
        return (await connector.apply(plan))[-1]
    except Exception as e:  # of a plug-in
        log.error("unlock_failed", system=account.system, error=type(e).__name__)
        return Outcome(Step.UNLOCK, "uncertain", "unavailable")


def _conclude(tx: Tx, job: Job, account: Account | None, outcome: Outcome) -> None:
    if not tx.outbox.holds(job):
        return
    again = tx.now + max(outcome.retry_after_ms, BACKOFF[min(job.attempts, len(BACKOFF)) - 1])
    if outcome.status in ("retry", "uncertain") and again < job.expires_at:
        tx.outbox.retry(job, again, outcome.code)
        return
    tx.outbox.done([job])
    if account is not None and outcome.status != "unsupported":
        told = {"action": str(job.body.get("action")), "system": account.system, "result": outcome.status}
        tx.audit.record(account.person_id, [Note("desk_unlocked_system", told)])
