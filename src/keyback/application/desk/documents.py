"""Somebody sends an identity document from the page of their recovery: consent first, then the picture, what is covered
of it, and at last the sending. Nothing is collected that could not help: only where the company takes documents, the
person was on record before, and what this page has shown would be enough together with one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from keyback.application.desk.notices import tell_officers
from keyback.application.enrolment.tier import tier_of
from keyback.application.notifications.notify import notify_started
from keyback.application.origin import where
from keyback.application.ports.documents import Document
from keyback.application.ports.images import CleanImage
from keyback.application.ports.storage import Database, Intake, Tx
from keyback.application.recovery import evidence
from keyback.domain import digests
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators import documents as dd
from keyback.domain.operators.picture_looks import any_alike
from keyback.domain.policy.rules import TIERS, Evidence, Policy, Risk, rule
from keyback.domain.recovery import case as dc
from keyback.domain.recovery.case import Case
from keyback.domain.recovery.events import Note
from keyback.domain.units import MINUTE

A_DAY = 3  # documents that one page may begin
MOST_LOOKS = 2000  # of earlier documents that a new one is compared with, the newest
MOST_LATELY = 200  # of those that were sent meanwhile
CLOCKS = 2 * MINUTE  # what is committed may be dated this long ago
Closed = Literal["", "off", "not_yet", "no_record", "no_use"]


@dataclass(frozen=True, slots=True)
class Copies:
    """Whether a picture is a copy of one that was sent up to `until` (ms)."""

    found: bool
    until: int


@dataclass(frozen=True, slots=True)
class Sending:
    """What the page shows. `closed`: why no document is taken here; `document`: the newest that this page began."""

    closed: Closed
    document: Document | None
    name: str
    now: int
    may_appeal: bool = False


def look(tx: Tx, handle: str, policy: Policy) -> Sending:
    """Reads."""
    intake = tx.intakes.get(handle)
    case = tx.cases.get(intake.case_id) if intake and intake.case_id else None
    found = tx.documents.of_page(handle)
    person = tx.people.person(case.person_id) if case else None
    why = closed(tx, intake, case, policy)
    appeal = found is not None and found.state == "refused" and not found.appealed and not found.destroyed_at
    return Sending(why, found, person.name if person else "", tx.now, appeal and not why)


def closed(
    tx: Tx, intake: Intake | None, case: Case | None, policy: Policy, proof: str = dd.PROOF, also: tuple[str, ...] = ()
) -> Closed:
    """Why a page takes no document, or no other proofing of an identity; empty where it does. `also`: channels whose
    holder could show it."""
    if not policy.takes(proof):
        return "off"
    if intake is None or case is None or case.state not in dc.JOINABLE or tx.now >= case.expires_at:
        return "not_yet"
    person = tx.people.person(case.person_id)
    if person is None or case.open_to(intake.handle):
        return "not_yet"
    if tx.documents.on_record_since(person.id) >= case.opened_at:
        return "no_record"  # there is nothing that a document could be compared with (N-R9)
    tier = max(
        case.tier, tier_of(tx, person, tx.people.accounts([person.id]).get(person.id, ()), policy), key=TIERS.index
    )
    shown = evidence.still_holds(tx, case, intake.handle)
    more = Evidence(proof, "proofing", f"desk:{proof}", tx.now, intake.handle, also=also)
    now = rule(shown, tier, Risk(), policy, intake.journey)
    then = rule([*shown, more], tier, Risk(), policy, intake.journey)
    return "" if now.kind == "more" and then.kind != "more" else "no_use"


def consent(tx: Tx, handle: str, kind: str, policy: Policy) -> Document:
    """Records that somebody agreed, separately, to their document being looked at.

    Raises:
        BadInput: `kind`. Refusal: `off`, `not_yet`, `no_record`, `no_use`; `too_many` for this page today.
    """
    if kind not in dd.KINDS:
        raise BadInput("kind")
    intake = tx.intakes.get(handle)
    case = tx.cases.get(intake.case_id) if intake and intake.case_id else None
    why = closed(tx, intake, case, policy)
    if why or case is None:
        raise Refusal(why or "not_yet")
    before = tx.documents.of_page(handle)
    if before is not None and before.state in ("waiting", "third"):
        raise Refusal("sent")
    key = f"ask/doc/{handle}"
    if tx.counters.add([key])[key].day > A_DAY:
        tx.counters.take_back([key])
        raise Refusal("too_many")
    made = Document(tx.new_id(), case.id, case.person_id, handle, kind, dd.CONSENT, created_at=tx.now)
    tx.documents.add(made)
    tx.audit.record(case.id, [Note("document_consented", {**_about(made), "consent": made.consent, "kind": kind})])
    return made


def keep(tx: Tx, handle: str, picture: CleanImage, *, covered: bool = False) -> None:
    """Keeps the picture, sealed, until it is sent; one before it is forgotten.

    Args:
        covered: it is the one that was there, with parts of it covered.

    Raises:
        Refusal: `not_found` where nobody agreed, or it was sent already.
    """
    d = _mine(tx, handle, "draft") if covered else _mine(tx, handle, "consented", "draft")
    tx.documents.seal(d.id, picture.jpeg)
    digest = d.digest if covered else digests.mac(tx.seals.derive("pixels"), picture.digest)
    if picture.look and not covered:
        tx.documents.put_look(d.id, picture.look)
    tx.documents.save(replace(d, state="draft", digest=digest))


async def copies(db: Database, handle: str) -> Copies:
    """Whether the picture of this page is one of another recovery's, saved again, made smaller or cut a little. Looked
    at beside the transaction that sends it, since it takes a while."""
    look, others, now = await db.read(lambda tx: _looks(tx, handle, 0, MOST_LOOKS))
    return Copies(await asyncio.to_thread(any_alike, look, others), now)


def _looks(tx: Tx, handle: str, since: int, limit: int) -> tuple[bytes, Sequence[bytes], int]:
    d = tx.documents.of_page(handle)
    if d is None or d.state != "draft":
        return b"", (), tx.now
    return tx.documents.look(d.id), tx.documents.looks(d.case_id, since, limit), tx.now


def picture(tx: Tx, handle: str) -> bytes | None:
    """The picture, for whoever is about to send it; None once it was sent."""
    d = tx.documents.of_page(handle)
    return tx.documents.picture(d.id) if d is not None and d.state == "draft" else None


def send(tx: Tx, handle: str, policy: Policy, seen: Copies | None = None) -> None:
    """Puts the document before reviewers, and tells every contact of the person, who can cancel.

    Args:
        seen: what `copies` found; those sent since then are looked at here.

    Raises:
        Refusal: as `consent`; `not_found` where there is no picture.
    """
    d = _mine(tx, handle, "draft")
    intake = tx.intakes.get(handle)
    case = tx.cases.get(d.case_id)
    why = closed(tx, intake, case, policy)
    if why or case is None or intake is None or d.digest is None:
        raise Refusal(why or "not_found")
    again = tx.documents.same_pixels(d.digest, d.id)
    if seen is not None and not again:
        look, lately, _ = _looks(tx, handle, seen.until - CLOCKS, MOST_LATELY)
        again = seen.found or any_alike(look, lately)
    tx.documents.save(replace(d, state="waiting", sent_at=tx.now, seen_before=again))
    sent = dc.SendChallenge(d.id, handle, "", **where(intake.source, intake.agent))
    case = tx.cases.act(case, dc.decide(case, sent, tx.now))  # it has time to be looked at
    notes = [Note("document_sent", _about(d))]
    if again:
        notes.append(Note("document_seen_before", _about(d)))
        person = tx.people.person(d.person_id)
        tell_officers(tx, "document_seen_before", person.name if person else "", "server", case_id=case.id)
    tx.audit.record(case.id, notes)
    notify_started(tx, case.person_id, "document_sent", case.id, case.expires_at, intake)


def withdraw(tx: Tx, handle: str) -> None:
    """Takes consent back: the picture is destroyed at once, decided or not.

    Raises:
        Refusal: `not_found` where there is none.
    """
    seen = tx.documents.of_page(handle)
    d = tx.documents.get(seen.id, lock=True) if seen else None
    if d is None or d.destroyed_at:
        raise Refusal("not_found")
    open_still = d.state in ("consented", "draft", "waiting", "third")
    decided = {"state": "withdrawn", "decided_at": tx.now} if open_still else {}
    d = replace(d, **decided)  # type: ignore[arg-type]
    tx.audit.record(d.case_id, [Note("document_withdrawn", _about(d))])
    destroy(tx, d)


def appeal(tx: Tx, handle: str, policy: Policy) -> None:
    """Asks for another look, once: by somebody who has not seen it.

    Raises:
        Refusal: `over` where there is nothing to appeal against, or it was destroyed.
    """
    if not look(tx, handle, policy).may_appeal:
        raise Refusal("over")
    d = _mine(tx, handle, "refused")
    tx.documents.save(replace(d, state="third", appealed=True, sent_at=tx.now, decided_at=0))
    tx.audit.record(d.case_id, [Note("document_appealed", _about(d))])


def destroy(tx: Tx, d: Document) -> None:
    """Forgets the key of a picture, which nobody can open from then on."""
    if tx.documents.destroy(d.id) or not d.destroyed_at:
        tx.documents.save(replace(d, destroyed_at=tx.now))
        tx.audit.record(d.case_id, [Note("document_destroyed", _about(d))])


def destroy_due(tx: Tx, limit: int = 100) -> int:
    """Destroys the pictures whose time is over: drafts, what nobody looked at, what was decided, and what belongs to a
    recovery that has ended; and what is left of verified names. How many they were."""
    due = tx.documents.due(
        drafts_before=tx.now - dd.KEEP_DRAFT,
        waiting_before=tx.now - dd.KEEP_WAITING,
        decided_before=tx.now - dd.KEEP_DECIDED,
        limit=limit,
    )
    for d in due:
        destroy(tx, d)
    return len(due) + tx.identity.forget_names(tx.now - dd.KEEP_WAITING)


def _mine(tx: Tx, handle: str, *states: str) -> Document:
    seen = tx.documents.of_page(handle)
    d = tx.documents.get(seen.id, lock=True) if seen else None
    if d is None or d.state not in states:
        raise Refusal("not_found")
    return d


def _about(d: Document) -> dict[str, Any]:
    return {"document": d.id, "intake_id": d.handle}
