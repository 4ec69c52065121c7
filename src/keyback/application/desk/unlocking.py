"""An operator's unlock reaches other systems too, where they let a program do that. No password is touched."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from keyback.application.account.lockdown import SYSTEM
from keyback.application.ports.connectors import Connector, Outcome, Plan, Step
from keyback.application.ports.desk_actions import Action
from keyback.application.ports.storage import Database
from keyback.application.recovery.unlock import CAN
from keyback.domain.people.person import Account
from keyback.domain.recovery.events import Note

log = structlog.get_logger("keyback.desk")


async def unlock_elsewhere(
    db: Database, connectors: Mapping[str, Connector], action: Action
) -> tuple[tuple[str, Outcome], ...]:
    """Unlocks a person's accounts in other systems; each system with what came of it.

    Args:
        action: an unlock that was done; others change nothing.
    """
    if action.kind != "unlock" or action.state != "done":
        return ()
    accounts = await db.read(lambda tx: tx.people.accounts([action.person_id]).get(action.person_id, ()))
    out = []
    for a in accounts:
        c = connectors.get(a.system)
        if c is None or a.system == SYSTEM or a.provider or a.state == "disabled" or c.capabilities.unlock not in CAN:
            continue
        outcome = await _one(c, action, a)
        out.append((a.system, outcome))
        note = Note("desk_unlocked_system", {"action": action.id, "system": a.system, "result": outcome.status})
        await db.write(lambda tx, n=note: tx.audit.record(action.person_id, [n]))  # type: ignore[misc]
    return tuple(out)


async def _one(connector: Connector, action: Action, account: Account) -> Outcome:
    plan = Plan(f"{action.id}/{account.id}"[:44], account.external_id, account.username, None, allow_privileged=True)
    try:
        return (await connector.apply(plan))[-1]
    except Exception as e:  # of a plug-in
        log.error("unlock_failed", system=account.system, error=type(e).__name__)
        return Outcome(Step.UNLOCK, "uncertain", "unavailable")
