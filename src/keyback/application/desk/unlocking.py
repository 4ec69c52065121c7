"""An operator's unlock reaches other systems too, where they let a program do that. No password is touched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from keyback.application.account.lockdown import SYSTEM
from keyback.application.leases import Stopping
from keyback.application.ports.connectors import Connector, Outcome, Plan, Step
from keyback.application.ports.desk_actions import Action
from keyback.application.ports.storage import Database, Job, Tx
from keyback.application.recovery.unlock import CAN
from keyback.application.tasks import account_jobs
from keyback.domain.people.person import Account
from keyback.domain.recovery.events import Note

KIND: Final = "unlock"
NEWEST = 2**62  # behind every row of the audit log
LOOKED_AT = 200  # events of a person, of which the page shows what came of unlocks
Results = Mapping[str, tuple[tuple[str, str], ...]]
"""By act, each system and what came of it: `done`, `refused`, `retry`, `uncertain`, or `unsupported`."""


def request(tx: Tx, action: Action) -> None:
    """Has a person's accounts in other systems unlocked; those with single sign-on are unlocked where they sign in."""
    for a in tx.people.accounts([action.person_id]).get(action.person_id, ()):
        if a.system != SYSTEM and not a.provider and a.state != "disabled":
            account_jobs.put(tx, KIND, a, action=action.id)


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

    async def ask(connector: Connector | None, account: Account) -> Outcome:
        if connector is None or connector.capabilities.unlock not in CAN or account.state == "disabled":
            return Outcome(Step.UNLOCK, "unsupported")
        which = f"{job.body.get('action')}/{account.id}"[:44]
        plan = Plan(which, account.external_id, account.username, None, allow_privileged=True, attempt=job.attempts)
        return (await connector.apply(plan))[-1]

    def conclude(tx: Tx, account: Account | None, outcome: Outcome) -> None:
        if account is not None and outcome.status != "unsupported":
            told = {"action": str(job.body.get("action")), "system": account.system, "result": outcome.status}
            tx.audit.record(account.person_id, [Note("desk_unlocked_system", told)])

    await account_jobs.run_one(db, connectors, job, Step.UNLOCK, ask, conclude, stopping)
