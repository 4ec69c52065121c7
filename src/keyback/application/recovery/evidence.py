"""From an accepted answer to what it means for the case: the person's tier, the risk of this browser, the ruling."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from keyback.application import known_devices
from keyback.application.enrolment.tier import tier_of
from keyback.application.notifications import returned_mail
from keyback.application.notifications.notify import notify_contacts, notify_started, username_of
from keyback.application.origin import Origin, where
from keyback.application.ports.messages import HoldMessage
from keyback.application.ports.storage import Intake, Tx
from keyback.domain.errors import Refusal
from keyback.domain.people.ages import age_of
from keyback.domain.people.factor import Factor
from keyback.domain.people.person import Account, Contact, Person, Tier, only_address
from keyback.domain.policy.rules import (
    MAY_COUNT_AS,
    PROVIDER_SIGN_IN,
    Evidence,
    Policy,
    ProofClass,
    Risk,
    required_tier,
    suffices,
)
from keyback.domain.recovery import case as dc
from keyback.domain.recovery import events as ev
from keyback.domain.recovery.case import Case

SILENT = frozenset({"saved", "bound", "contact", "knowledge"})  # no message to the owner came before these
SILENT_PROOFS = frozenset({PROVIDER_SIGN_IN})


@dataclass(frozen=True, slots=True)
class Here:
    """Where an answer came from, and the rules that it is weighed by."""

    origin: Origin
    policy: Policy


def add(
    tx: Tx,
    case: Case,
    proof: str,
    channel: str,
    challenge_id: str,
    intake: Intake,
    here: Here,
    how: str = "",
    contact: Contact | None = None,
    *,
    counts_as: ProofClass | None = None,
    system: str = "",
    target: str = "",
    also: tuple[str, ...] = (),
) -> Case:
    """Adds one proof to a case, for the page `intake`; tells everybody when a hold begins.

    Args:
        how: `number` says that another browser answered: its being known says nothing about the one that asked.
        contact: the one that was asked, if any. Answering confirms it, unless it is aged: only its owner knows whether
            it is still theirs, and whoever answers may be its next one.

        counts_as, system: as in `ports.proofs.Verdict`.
        target, also: as in `domain.policy.rules.Evidence`.

    Raises:
        Refusal: `wrong_state`, `expired`; or `wrong_state` for a proof that the policy does not take.
    """
    person, kind = tx.people.person(case.person_id), here.policy.class_of(proof)
    if person is None or kind is None or not here.policy.takes(proof):
        raise Refusal("wrong_state")
    if counts_as is not None and MAY_COUNT_AS.get(proof) == counts_as:
        kind = counts_as
    age = age_of(contact, tx.now, here.policy.ages) if contact else "fresh"
    if contact is not None:
        returned_mail.note_reached(tx, contact)
    if contact is not None and contact.role != "primary" and age == "fresh":
        tx.contacts.renew(contact.id)
    asker = Origin(intake.source, intake.agent) if how == "number" else here.origin
    command = dc.AcceptProof(
        proof,
        kind,
        channel,
        challenge_id,
        intake.handle,
        how,
        tier_of(tx, person, tx.people.accounts([person.id]).get(person.id, ()), here.policy),
        intake.journey,
        risk_of(tx, person.id, asker, here.policy),
        here.policy,
        age != "fresh",
        system,
        target,
        also,
    )
    happened = dc.decide(case, command, tx.now)
    case = tx.cases.act(case, happened)
    tx.intakes.bind(intake.handle, case.id)
    for e in happened:
        if isinstance(e, ev.HoldStarted):
            tell_hold(tx, case, e.until, intake, over=False)
        if isinstance(e, ev.ProofAccepted) and not e.sufficient and (kind in SILENT or proof in SILENT_PROOFS):
            notify_started(tx, person.id, "part_shown", case.id, case.expires_at, intake)
    return case


def release(tx: Tx, limit: int = 500) -> int:
    """Lets go on what has waited long enough, and tells everybody once more; the number of cases."""
    n = 0
    for case in tx.cases.holding(limit):
        over = [(h, until) for h, until in case.waiting if until <= tx.now]
        if not over or tx.now >= case.expires_at:
            continue
        case = tx.cases.act(case, dc.decide(case, dc.Release(), tx.now))
        n += 1
        for handle, until in over:
            intake = tx.intakes.get(handle)
            if intake is not None:
                tell_hold(tx, case, until, intake, over=True)
    return n


def tell_hold(tx: Tx, case: Case, until: int, intake: Intake, *, over: bool) -> None:
    """Tells every contact of a hold that begins, or is over."""
    told = HoldMessage(
        username=username_of(tx, case.person_id),
        at=intake.asked_at,
        until=until,
        over=over,
        **where(intake.source, intake.agent),
    )
    notify_contacts(tx, case.person_id, told, cancels=case.id, until=until + dc.AFTER_HOLD)


def risk_of(tx: Tx, person_id: str, origin: Origin, policy: Policy) -> Risk:
    """Whether a person signed in with this browser, or from this network, before; and whom else one could tell."""
    standing = known_devices.standing(tx, person_id, origin, policy.known_networks)
    told = tx.people.contacts([person_id]).get(person_id, ())
    return Risk(standing.device, standing.network, only_address(told, tx.now))


def shown(tx: Tx, intake: Intake, proof: str) -> int:
    """How often a page has shown a proof. Costs nothing where it has shown none at all."""
    case = tx.cases.get(intake.case_id) if intake.case_id else None
    return sum(e.proof == proof for e in case.shown_by(intake.handle)) if case else 0


def live_of(contacts: Iterable[Contact], factors: Iterable[Factor]) -> frozenset[str]:
    """Ids of what a person has now, of all their contacts and factors."""
    return frozenset([c.id for c in contacts] + [f.id for f in factors if f.state == "active"])


def still_holds(tx: Tx, case: Case, handle: str, live: Collection[str] | None = None) -> list[Evidence]:
    """What a page proved and what is still true: a mailbox, phone or factor that was taken away is no evidence, even
    where another one has the same channel. A sign-in that does not name what was bound is none either.

    Args:
        live: `live_of` the person, where that was read already.
    """
    if live is None:
        live = live_of(tx.contacts.of_person(case.person_id), tx.factors.of_person(case.person_id))
    proofing = (e for e in case.shown_by(handle) if e.kind == "proofing" and e.proof != "caller_check")
    known = [e for e in case.shown_by(handle) if _rests_on(e) in live]
    return [*known, *(e for e in proofing if e not in known)]


def _rests_on(e: Evidence) -> str:
    """Id of the contact or factor; nodes of the version before name it in the channel alone."""
    return e.target or ("" if e.proof == PROVIDER_SIGN_IN else e.channel.partition(":")[2])


def enough(
    tx: Tx,
    case: Case,
    handle: str,
    person: Person,
    accounts: Sequence[Account],
    policy: Policy,
    *,
    only: str = "",
    tier: Tier | None = None,
    live: Collection[str] | None = None,
) -> bool:
    """Whether a page that may go on still may: asked again at the moment of the remedy.

    Args:
        only: a channel; whether what came by it would do on its own.
        tier: the person's, where it is known already.
        live: as in `still_holds`.
    """
    return case.open_to(handle) and still_enough(
        tx, case, handle, person, accounts, policy, only=only, tier=tier, live=live
    )


def still_enough(
    tx: Tx, case: Case, handle: str, person: Person, accounts: Sequence[Account], policy: Policy, *, only: str = "",
    system: str = "", tier: Tier | None = None, live: Collection[str] | None = None,
) -> bool:  # fmt: skip
    """Whether what a page proved, as far as it is still true, would do for what it asks for; `only`, `tier`, `live`
    as in `enough`.

    Args:
        system: asks for an account there alone: a sign-in to that very system is no evidence for it.
    """
    intake = tx.intakes.get(handle)
    if intake is None:
        return False
    asks = required_tier(tier or tier_of(tx, person, accounts, policy), intake.journey)
    holds = [
        e for e in still_holds(tx, case, handle, live) if policy.takes(e.proof, asks) and only in ("", *e.channels)
    ]
    if system:
        holds = [e for e in holds if e.system != system]
    return suffices(holds, asks, policy.loose)


def only_its_own(
    tx: Tx, case: Case, handle: str, person: Person, accounts: Sequence[Account], policy: Policy
) -> frozenset[str]:
    """Systems for whose accounts a page has not shown enough, since what it showed was a sign-in to them: who is
    signed in somewhere, perhaps with a session that is not theirs, must not turn that into its password."""
    named = {e.system for e in case.shown_by(handle)} - {""}
    return frozenset(
        n for n in named if not still_enough(tx, case, handle, person, accounts, policy, system=n)
    )  # fmt: skip
