"""Somebody has their identity verified by a service that the company chose: consent first, then one answer, which is
compared with the record that was there before.

What is kept of an answer is that there was one, how its name fits, the level, and digests. Where name and record are
the same, nobody else of that name is on record, and the identity was never another person's, the service's word counts
as identity proofing does; anything else waits for two people (`document_review`). No machine says whether two names are
one person's.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from keyback.application.desk.documents import Closed, closed
from keyback.application.desk.notices import tell_officers
from keyback.application.notifications.notify import notify_started
from keyback.application.origin import Origin, where
from keyback.application.ports.documents import Document
from keyback.application.ports.identity import IdentityCheck, Verified
from keyback.application.ports.storage import Intake, Tx
from keyback.application.recovery import evidence
from keyback.application.recovery.evidence import Here
from keyback.domain import digests
from keyback.domain.errors import Refusal
from keyback.domain.operators import identity as di
from keyback.domain.people import names
from keyback.domain.people.person import Person, channel_of
from keyback.domain.policy.rules import IDENTITY_SERVICE, Policy
from keyback.domain.recovery import case as dc
from keyback.domain.recovery.case import Case
from keyback.domain.recovery.events import Note


@dataclass(frozen=True, slots=True)
class Checking:
    """What the page shows. `closed`: why nothing is verified here; `check`: the newest that this page began; `live`:
    its answer may still come."""

    closed: Closed
    check: IdentityCheck | None
    now: int
    live: bool = False


def look(tx: Tx, handle: str, policy: Policy, *, by_phone: bool = True) -> Checking:
    """Reads. `by_phone`: as the service that would be asked."""
    found = tx.identity.of_page(handle)
    live = found is not None and found.state == "consented" and tx.now < found.created_at + di.LIFE
    return Checking(_closed(tx, *_of_page(tx, handle), policy, by_phone), found, tx.now, live)


def _closed(tx: Tx, intake: Intake | None, case: Case | None, policy: Policy, by_phone: bool) -> Closed:
    also = _phones(tx, case.person_id) if case and by_phone else ()
    return closed(tx, intake, case, policy, IDENTITY_SERVICE, also)


def _phones(tx: Tx, person_id: str) -> tuple[str, ...]:
    own = tx.contacts.of_person(person_id)
    return tuple(channel_of(c, own) for c in own if c.channel == "sms" and c.role != "recovery")


def consent(tx: Tx, handle: str, provider: str, policy: Policy, *, by_phone: bool = True) -> IdentityCheck:
    """Records that somebody agreed, separately, to their identity being verified by this service. What the page began
    before gets no answer any more.

    Raises:
        Refusal: `off`, `not_yet`, `no_record`, `no_use`; `sent` while reviewers look at one; `too_many` for today.
    """
    intake, case = _of_page(tx, handle)
    why = _closed(tx, intake, case, policy, by_phone)
    if why or case is None:
        raise Refusal(why or "not_yet")
    before = tx.identity.of_page(handle)
    if before is not None and before.state == "waiting":
        raise Refusal("sent")
    key = f"ask/identity/{handle}"
    if tx.counters.add([key])[key].day > di.A_DAY:
        tx.counters.take_back([key])
        raise Refusal("too_many")
    at = max(tx.now, before.created_at + 1) if before else tx.now  # the newest is the one that counts
    made = IdentityCheck(tx.new_id(), case.id, case.person_id, handle, provider, di.CONSENT, by_phone, created_at=at)
    tx.identity.add(made)
    tx.audit.record(case.id, [Note("identity_consented", {**_about(made), "consent": made.consent})])
    return made


def claim(tx: Tx, check_id: str, policy: Policy) -> IdentityCheck:
    """Takes the one answer that a check may have, before anything is asked of the service: a second one, at the same
    moment or later, finds it taken.

    Raises:
        Refusal: `wrong_state` for one that has its answer, was withdrawn, is not the newest of its page, or is too old;
            as `consent` where the case has no use for it any more.
    """
    c = tx.identity.get(check_id, lock=True)
    newest = tx.identity.of_page(c.handle) if c else None
    if c is None or c.state != "consented" or newest is None or newest.id != c.id or tx.now >= c.created_at + di.LIFE:
        raise Refusal("wrong_state")
    why = _closed(tx, *_of_page(tx, c.handle), policy, c.by_phone)
    if why:
        raise Refusal(why)
    c = replace(c, state="asking")
    tx.identity.save(c)
    return c


def fail(tx: Tx, check_id: str, reason: str) -> None:
    """Notes that a service said no, could not be reached, or sent what cannot be believed. `reason`: a code."""
    c = tx.identity.get(check_id, lock=True)
    if c is None or c.state != "asking":
        return
    c = replace(c, state="failed", reason=reason[:24], answered_at=tx.now)
    tx.identity.save(c)
    tx.audit.record(c.case_id, [Note("identity_failed", {**_about(c), "reason": c.reason})])


def take(tx: Tx, check_id: str, issuer: str, said: Verified, counts: di.Counts, policy: Policy) -> IdentityCheck:
    """Takes what a service verified: evidence, or something for two people to look at. Tells every contact.

    Args:
        issuer: who says it; another one's subject of the same text is somebody else.
        counts: which fit of names counts without reviewers.

    Raises:
        Refusal: `wrong_state` for a check that was not claimed, or was withdrawn meanwhile.
    """
    c = tx.identity.get(check_id, lock=True)
    if c is None or c.state != "asking":
        raise Refusal("wrong_state")
    intake, case = _of_page(tx, c.handle)
    person = tx.people.person(c.person_id)
    if person is None or case is None or intake is None or _closed(tx, intake, case, policy, c.by_phone):
        fail(tx, check_id, "over")
        return replace(c, state="failed", reason="over")
    c = _compared(tx, c, person, issuer, said)
    direct = not c.seen_before and not c.namesake and c.fits in _enough(counts)
    c = replace(c, state="agreed" if direct else "waiting", decided_at=tx.now if direct else 0)
    if not direct:
        c = replace(c, name_digest=digest_of_name(tx, c.id, " ".join(said.names)))
    tx.identity.save(c)
    facts = {"fits": c.fits, "level": c.level, "namesake": c.namesake}
    tx.audit.record(case.id, [Note("identity_answered", {**_about(c), **facts})])
    if c.seen_before:
        tx.audit.record(case.id, [Note("identity_seen_before", _about(c))])
        tell_officers(tx, "identity_seen_before", person.name, "server", case_id=case.id)
    if direct:
        accept(tx, c, policy)
    else:
        sent = dc.SendChallenge(c.id, c.handle, "", **where(intake.source, intake.agent))
        case = tx.cases.act(case, dc.decide(case, sent, tx.now))  # it has time to be looked at
        tx.documents.add(_for_reviewers(c, tx.now))
    notify_started(tx, c.person_id, "identity_answered", case.id, case.expires_at, intake)
    return c


def accept(tx: Tx, c: IdentityCheck, policy: Policy) -> None:
    """Adds it to the case, for the page that asked. In a case that has ended it is nothing any more."""
    intake, case = _of_page(tx, c.handle)
    if intake is None or case is None or case.ended or tx.now >= case.expires_at:
        return
    here, also = Here(Origin(intake.source, intake.agent), policy), _phones(tx, c.person_id) if c.by_phone else ()
    evidence.add(tx, case, IDENTITY_SERVICE, f"identity:{c.provider}", c.id, intake, here, "number", also=also)


def decided(tx: Tx, document: Document, policy: Policy) -> None:
    """Takes what reviewers came to; the digest of the name goes."""
    c = tx.identity.get(document.id, lock=True)
    if c is None or c.state != "waiting":
        return
    agreed = document.state == "agreed"
    c = replace(c, state="agreed" if agreed else "refused", decided_at=tx.now, name_digest=None)
    tx.identity.save(c)
    if agreed:
        accept(tx, c, policy)


def withdraw(tx: Tx, handle: str) -> None:
    """Takes consent back: no answer is taken any more, and nobody looks at one that came.

    Raises:
        Refusal: `not_found` where there is nothing to take back.
    """
    seen = tx.identity.of_page(handle)
    d = tx.documents.get(seen.id, lock=True) if seen else None  # before the check, as reviewers do
    c = tx.identity.get(seen.id, lock=True) if seen else None
    if c is None or c.state not in ("consented", "asking", "waiting"):
        raise Refusal("not_found")
    if d is not None:
        tx.documents.save(replace(d, state="withdrawn", decided_at=tx.now, destroyed_at=tx.now))
    tx.identity.save(replace(c, state="withdrawn", decided_at=tx.now, name_digest=None))
    tx.audit.record(c.case_id, [Note("identity_withdrawn", _about(c))])


def digest_of_name(tx: Tx, check_id: str, name: str) -> bytes:
    """What is kept of a verified name while people look at it: enough to see whether another one is the same."""
    key = tx.seals.derive("identity_name")
    return digests.mac(key, f"{check_id}\0{names.folded(name)}".encode())


def _compared(tx: Tx, c: IdentityCheck, person: Person, issuer: str, said: Verified) -> IdentityCheck:
    subject = digests.mac(tx.seals.derive("identity_subject"), f"{issuer}\0{said.subject}".encode())
    tx.counters.add([f"ask/identity/{subject.hex()[:32]}"])  # a row to wait for: two at once see one another
    return replace(
        c,
        answered_at=tx.now,
        fits=names.compare(said.names, person.name),
        level=said.level,
        seen_before=tx.identity.used_by_another(subject, person.id),
        namesake=tx.identity.has_namesake(person.id, person.name),
        subject=subject,
    )


def _enough(counts: di.Counts) -> frozenset[str]:
    return {"never": frozenset[str](), "exact": frozenset({"exact"}), "relaxed": frozenset({"exact", "relaxed"})}[
        counts
    ]


def _for_reviewers(c: IdentityCheck, now: int) -> Document:
    return Document(
        c.id, c.case_id, c.person_id, c.handle, di.VERIFIED, c.consent, "waiting", c.created_at, now,
        seen_before=c.seen_before,
    )  # fmt: skip


def _of_page(tx: Tx, handle: str) -> tuple[Intake | None, Case | None]:
    intake = tx.intakes.get(handle)
    return intake, tx.cases.get(intake.case_id) if intake and intake.case_id else None


def _about(c: IdentityCheck) -> dict[str, Any]:
    return {"check": c.id, "service": c.provider, "intake_id": c.handle}
