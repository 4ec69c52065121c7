"""The emergency stop: somebody says that another person is in their account, and it is stopped by its status.

Where the vendor lets no program do that, or the account is privileged, an administrator is asked at once. In either
case only an administrator turns it on again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from keyback.application.leases import Stopping
from keyback.application.ports.connectors import Connector, Means, Outcome, Step
from keyback.application.ports.storage import Database, Job, Tx
from keyback.application.ports.tasks import TaskRules
from keyback.application.tasks import account_jobs, lifecycle
from keyback.domain.people.person import Account
from keyback.domain.recovery.events import Note

KIND: Final = "stop"
SYSTEM = "builtin"  # which a lockdown locks by itself


def request(tx: Tx, person_id: str) -> None:
    """Has every account of a person in other systems stopped; those with single sign-on are stopped where they sign in.

    Accounts that are stopped already, or that an administrator was asked about, are left as they are.
    """
    for account in tx.people.accounts([person_id]).get(person_id, ()):
        if account.system == SYSTEM or account.provider:
            continue
        if any(t.kind in ("stop", "turn_on") for t in tx.tasks.open_of(account.id)):
            continue
        account_jobs.put(tx, KIND, account)


async def stop_one(
    db: Database, connectors: Mapping[str, Connector], rules: TaskRules, job: Job, stopping: Stopping
) -> None:
    """Runs one leased job until it is done, to be tried again, or handed to an administrator."""

    def conclude(tx: Tx, account: Account | None, outcome: Outcome) -> None:
        if account is not None:
            _conclude(tx, rules, account, outcome)

    await account_jobs.run_one(db, connectors, job, Step.STOP, _ask, conclude, stopping)


async def _ask(connector: Connector | None, account: Account) -> Outcome:
    if connector is None or connector.capabilities.stop is Means.NONE:
        return Outcome(Step.STOP, "unsupported")
    return await connector.stop(account.external_id)


def _conclude(tx: Tx, rules: TaskRules, account: Account, outcome: Outcome) -> None:
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
