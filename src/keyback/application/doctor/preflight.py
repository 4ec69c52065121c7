"""Before a new password is set: which accounts it would be refused in, or would open nothing in (N18)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from keyback.application.doctor import diagnosis
from keyback.application.doctor.diagnosis import ELSEWHERE, Diagnosis, Patient
from keyback.application.ports.connectors import Finding
from keyback.application.ports.storage import Tx
from keyback.application.recovery.evidence import Here
from keyback.application.services import Services
from keyback.application.throttling.password_attempts import SYSTEM as BUILT_IN
from keyback.domain.errors import Refusal
from keyback.domain.people.person import Account

PATIENCE_S = 1.5  # a system that is slower says it when the password is set there
IN_VAIN = ELSEWHERE | {"not_found", "wrong_host", "inactive", "frozen", "minimum_age"}
"""With one of these a new password would be refused, or would let nobody in."""


@dataclass(frozen=True, slots=True)
class Preflight:
    """What is known before anything is sent.

    Args:
        accounts: everything that was found, for accounts that may get the new password, for those kept elsewhere and
            for those that are disabled.
        in_vain: by account id, why a new password must not be set there.
    """

    accounts: Sequence[Diagnosis] = ()
    in_vain: Mapping[str, Finding] = field(default_factory=dict)

    def findings(self, account_id: str) -> tuple[Finding, ...]:
        return next((d.findings for d in self.accounts if d.account.id == account_id), ())

    def homes(self, system: str) -> frozenset[str]:
        """Ids of the accounts whose passwords open those of a system."""
        return frozenset(d.home.id for d in self.accounts if d.account.system == system and d.home is not None)

    def sensible(self, accounts: Sequence[Account]) -> tuple[Account, ...]:
        """Those where a new password makes sense."""
        return tuple(a for a in accounts if a.id not in self.in_vain)


async def preflight(
    s: Services, handle: str, here: Here, accounts: Sequence[Account], *, aside: bool = False
) -> Preflight:
    """Asks the systems of these accounts, all at once and for a moment only; nothing is changed.

    Where nothing can be found out, nothing is held back: the connector looks once more before it sets anything.

    Args:
        aside: also what is known of accounts that get no new password, for whoever shows them.
    """
    if not aside and all(_ours(a) for a in accounts):
        return Preflight()
    wanted = {a.id for a in accounts}

    def begin(tx: Tx) -> Patient | None:
        of = diagnosis.patient(tx, handle, here, s.rules)
        return of if diagnosis.count(tx, of.person.id) else None

    try:
        of = await s.db.write(begin)
    except Refusal:
        return Preflight()
    if of is None:
        return Preflight()
    asked = tuple(a for a in of.accounts if a.id in wanted or a.provider or a.state == "disabled")
    found = await diagnosis.diagnose(s, replace(of, accounts=asked), PATIENCE_S, history=False)
    vain = {d.account.id: why for d in found if (why := in_vain(d, privileged=of.case.tier == "privileged"))}
    if vain:
        await s.db.write(lambda tx: diagnosis.record(tx, of.case, found))
    return Preflight(found, vain)


def _ours(a: Account) -> bool:
    """Whether it is an account of our own, of which there is nothing to find out: no system has to be asked for it."""
    return a.system == BUILT_IN and a.state != "disabled" and not a.privileged and not a.provider


def in_vain(found: Diagnosis, *, privileged: bool) -> Finding | None:
    """Why a new password must not be set in an account; None where it may.

    Args:
        privileged: the recovery was approved as an administrator's.
    """
    return next((f for f in found.findings if f.code in IN_VAIN or (f.code == "privileged" and not privileged)), None)
