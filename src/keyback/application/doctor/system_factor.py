"""A second step that was lost in a system of its own: removed there, or bridged by a temporary pass.

It takes what replacing Keyback's own second step takes (`rules.required_tier`), the wait included. Whoever is verified
for less goes on from a page of its own: what was shown counts there again, and the rules for it are asked afresh.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from keyback.application.asking import ask_each
from keyback.application.challenges.count import allowed
from keyback.application.doctor.diagnosis import PATIENCE_S, READS, record_lost, sees_to_factors
from keyback.application.handles import new_handle
from keyback.application.notifications.account_changes import notify_account_change
from keyback.application.ports.connectors import (
    Connector,
    Outcome,
    Step,
    SystemFactor,
    TemporaryPass,
    Unavailable,
)
from keyback.application.ports.storage import Tx
from keyback.application.recovery import evidence
from keyback.application.recovery.evidence import Here
from keyback.application.recovery.remedy import OpenRecovery, open_recovery
from keyback.application.recovery.start import INTAKE_LIFE, Started
from keyback.application.services import Services
from keyback.domain.challenges import challenge as ch
from keyback.domain.errors import Refusal
from keyback.domain.people.person import Account
from keyback.domain.recovery.events import Note
from keyback.domain.units import MINUTE

PASS_LIFE = 60 * MINUTE
PER_HOUR = 6  # removals and passes of one person together
ASKED, REFUSED = "system_factor_asked", "system_factor_refused"
GONE = "gone"  # code of a factor that the system no longer lists
CARRIED = "carried"  # how evidence came to a page that goes on from another one


@dataclass(frozen=True, slots=True)
class FactorsOf:
    """What somebody has in one system as a second step.

    Args:
        factors: None where the system did not say.
        gives_pass: it can give a pass for one sign-in.
    """

    account: Account
    factors: tuple[SystemFactor, ...] | None
    gives_pass: bool


def go_on(tx: Tx, handle: str, account_id: str, here: Here) -> Started:
    """A page of the journey `second_factor` for one system, from a page that verified for something else.

    Raises:
        Refusal: as `open_recovery`; `not_found` for an account that is not the person's or that nothing can be done
            about, `too_many` over the limit.
    """
    o = open_recovery(tx, handle, here)
    account, old = _mine(o, account_id), tx.intakes.get(handle)
    if old is None:
        raise Refusal("not_found")
    _counted(tx, o)
    record_lost(tx, o.case, account)
    new = replace(
        old,
        handle=new_handle(),
        journey="second_factor",
        system=account.system,
        asked_at=tx.now,
        expires_at=tx.now + INTAKE_LIFE,
        state="done",
        tries=0,
        sends=1,
        case_id=None,
        fetched_for=None,
    )
    tx.intakes.add([new])
    case = o.case
    for e in evidence.still_holds(tx, case, handle):
        contact_id = e.target or e.channel.partition(":")[2]
        contact = tx.contacts.many([contact_id]).get(contact_id)
        case = evidence.add(
            tx, case, e.proof, e.channel, "", new, here, CARRIED, contact,
            counts_as=e.kind, system=e.system, target=e.target, also=e.also,
        )  # fmt: skip
    return Started(new.handle, ch.holder_secret(tx.seals.derive("holder"), new.handle), new.expires_at)


async def factors_of(s: Services, handle: str, here: Here) -> tuple[FactorsOf, ...]:
    """Second steps in every system that lets Keyback see to them; all systems are asked at once.

    Raises:
        Refusal: as `open_recovery`.
    """
    o = await s.db.read(lambda tx: open_recovery(tx, handle, here, "second_factor"))
    mine = [a for a in (*o.accounts, *o.elsewhere) if not a.privileged and sees_to_factors(s.connectors.get(a.system))]
    said = await ask_each(s.connectors, mine, lambda c, a: c.factors(a.external_id), PATIENCE_S)
    return tuple(
        FactorsOf(x.account, None if x.value is None else tuple(x.value), _gives(s.connectors[x.account.system]))
        for x in said
    )


async def remove(s: Services, handle: str, account_id: str, factor_id: str, here: Here) -> Outcome:
    """Removes one second step in a system, so that its owner sets up another at the next sign-in there.

    Raises:
        Refusal: as `open_recovery`; `not_found`, `privileged_target` or `too_many`.
    """
    o, account, connector = await _begin(s, handle, account_id, here, "remove")
    try:
        known = next((f for f in await connector.factors(account.external_id) if f.id == factor_id), None)
        if known is None:
            outcome = Outcome(Step.FACTOR, "refused", GONE)  # the form was sent twice, or another page was faster
        elif not known.removable:
            outcome = Outcome(Step.FACTOR, "pending", "desk")
        else:
            outcome = await connector.reset_factor(account.external_id, factor_id)
    except Unavailable as e:
        outcome = Outcome(Step.FACTOR, "retry", e.code)
    await s.db.write(lambda tx: _removed(tx, s, o, account, outcome, here))
    return outcome


async def temporary_pass(s: Services, handle: str, account_id: str, here: Here) -> TemporaryPass | Outcome:
    """A pass for one sign-in. What it returns is shown once, and kept nowhere.

    Raises:
        Refusal: as `remove`.
    """
    o, account, connector = await _begin(s, handle, account_id, here, "temporary_pass")
    try:
        given = await connector.temporary_pass(account.external_id, PASS_LIFE // MINUTE)
    except Unavailable as e:
        given = Outcome(Step.TEMPORARY, "retry", e.code)
    await s.db.write(lambda tx: _given(tx, s, o, account, given, here))
    return given


async def _begin(
    s: Services, handle: str, account_id: str, here: Here, act: str
) -> tuple[OpenRecovery, Account, Connector]:
    """Asks for everything once more and writes down what is about to be done, before it is."""

    def begin(tx: Tx) -> tuple[OpenRecovery, Account]:
        o = open_recovery(tx, handle, here, "second_factor")
        account = _mine(o, account_id)
        if account.privileged:
            raise Refusal("privileged_target")
        if not sees_to_factors(s.connectors.get(account.system)):
            raise Refusal("not_found")
        _counted(tx, o)
        tx.audit.record(o.case.id, [Note(ASKED, {"act": act, **_where(account, here)})])
        return o, account

    o, account = await s.db.write(begin)
    return o, account, s.connectors[account.system]


def _mine(o: OpenRecovery, account_id: str) -> Account:
    found = next((a for a in (*o.accounts, *o.elsewhere) if a.id == account_id), None)
    if found is None:
        raise Refusal("not_found")
    return found


def _counted(tx: Tx, o: OpenRecovery) -> None:
    if not allowed(tx, f"system_factor/{o.person.id}", hour=PER_HOUR):
        raise Refusal("too_many")


def _where(account: Account, here: Here) -> dict[str, object]:
    return {"system": account.system, "account": account.id, **here.origin.where}


def _removed(tx: Tx, s: Services, o: OpenRecovery, account: Account, outcome: Outcome, here: Here) -> None:
    title, data = s.titles.get(account.system, account.system), {"case": o.case.id, "account": account.id}
    if outcome.status in ("done", "uncertain"):
        data["status"] = outcome.status
        notify_account_change(tx, o.person.id, "system_factor_removed", here.origin, detail=title, data=dict(data))
    else:
        _refused(tx, o, account, outcome, here)


def _given(tx: Tx, s: Services, o: OpenRecovery, account: Account, given: TemporaryPass | Outcome, here: Here) -> None:
    title, data = s.titles.get(account.system, account.system), {"case": o.case.id, "account": account.id}
    if isinstance(given, TemporaryPass) or given.status == "uncertain":
        notify_account_change(tx, o.person.id, "temporary_pass_given", here.origin, detail=title, data=dict(data))
    else:
        _refused(tx, o, account, given, here)


def _refused(tx: Tx, o: OpenRecovery, account: Account, outcome: Outcome, here: Here) -> None:
    said = {"step": outcome.step, "code": outcome.code or outcome.status, "vendor_text": outcome.vendor_text[:200]}
    tx.audit.record(o.case.id, [Note(REFUSED, {**said, **_where(account, here)})])


def _gives(connector: Connector) -> bool:
    return connector.capabilities.temporary_pass in READS
