"""A locked account is opened again without a new password."""

from __future__ import annotations

from collections.abc import Mapping

from keyback.application.ports.connectors import Connector, Means, Outcome, Plan
from keyback.application.ports.storage import Database, Tx
from keyback.application.recovery.evidence import Here
from keyback.application.recovery.remedy import OpenRecovery, close_case, open_recovery
from keyback.application.throttling import password_attempts
from keyback.domain.errors import Refusal
from keyback.domain.people.person import Account

CAN = (Means.NATIVE, Means.COMPOSED)


def unlockable(o: OpenRecovery, connectors: Mapping[str, Connector]) -> tuple[Account, ...]:
    """The accounts that can be unlocked without a new password; the others take one."""
    can = {name for name, c in connectors.items() if c.capabilities.unlock in CAN}
    return tuple(a for a in o.accounts if a.system in can and a.id not in o.shut)


async def unlock(
    db: Database, connectors: Mapping[str, Connector], handle: str, here: Here
) -> list[tuple[Account, Outcome]]:
    """Unlocks every account that can be, in every system, without touching passwords.

    Unlocking twice is the same as once, so a lost answer is no harm: the person presses the button again.

    Returns:
        Each account with the last step's outcome. When one did not work, the recovery stays open for another try.

    Raises:
        Refusal: as `opened`; `no_accounts` where only a new password helps.
    """
    o = await db.read(lambda tx: open_recovery(tx, handle, here, "locked"))
    accounts = unlockable(o, connectors)
    if not accounts:
        raise Refusal("no_accounts")
    allowed = o.case.tier == "privileged"
    results = []
    for a in accounts:
        plan = Plan(f"{o.case.id}/{a.id}"[:44], a.external_id, a.username, None, allow_privileged=allowed)
        results.append((a, (await connectors[a.system].apply(plan))[-1]))
    if all(r.status == "done" for _, r in results):
        await db.write(lambda tx: _unlocked(tx, handle, here))
    return results


def _unlocked(tx: Tx, handle: str, here: Here) -> None:
    o = open_recovery(tx, handle, here, "locked")
    for a in o.accounts:
        if a.id in o.shut:
            continue
        if a.state == "locked":
            tx.people.set_account_state(a.id, "active")
        password_attempts.renewed(tx, a.id, here.origin.source)
    close_case(tx, o, handle, "unlocked", here)
