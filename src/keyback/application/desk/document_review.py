"""Two operators look at an identity document, neither knowing what the other found; where they differ, or the person
appeals, a security officer decides who has not seen it. What they agree on is evidence of the case, never a machine's.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass, replace

from keyback.application.desk import identity, photos
from keyback.application.desk.cases import obstacle
from keyback.application.desk.sessions import Actor
from keyback.application.notifications.notify import username_of
from keyback.application.origin import Origin
from keyback.application.ports.documents import Document
from keyback.application.ports.identity import IdentityCheck
from keyback.application.ports.storage import Tx
from keyback.application.recovery import evidence
from keyback.application.recovery.evidence import Here
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators import documents as dd
from keyback.domain.operators import identity as di
from keyback.domain.operators.documents import Review
from keyback.domain.operators.roles import Obstacle, Role
from keyback.domain.people.names import MAX_VERIFIED
from keyback.domain.people.person import Person
from keyback.domain.policy.rules import Policy
from keyback.domain.recovery.events import Note

LISTED = 200
NAMES_A_DAY = 5  # that one reviewer may try on one answer


@dataclass(frozen=True, slots=True)
class OpenDocument:
    """A document as one reviewer sees it: nothing of what another one found.

    Args:
        mine: this operator's own review; None before they have taken it.
        since: when the person became known here (ms).
        may_take: whether they may take it on now.
        check: what a service answered, where that is what they look at; None for a picture.
        photo: what HR has to compare it with, for one who looks at it; `photo_since`: when that came on record (ms).
    """

    document: Document
    person: Person
    username: str
    since: int
    mine: Review | None
    may_take: bool
    obstacle: Obstacle
    now: int
    check: IdentityCheck | None = None
    photo: photos.Beside = "none"
    photo_since: int = 0


def listing(tx: Tx, actor: Actor) -> Sequence[OpenDocument]:
    """Documents that wait and that this operator may look at, or is looking at; oldest first."""
    found = (_opened(tx, actor, d) for d in tx.documents.open(LISTED))
    return [o for o in found if o is not None and (o.may_take or (o.mine and not o.mine.verdict))]


def open_document(tx: Tx, actor: Actor, document_id: str) -> OpenDocument:
    """One document that this operator has taken, or may take.

    Raises:
        Refusal: `not_found`, also for one that is nothing to them.
    """
    d = tx.documents.get(document_id)
    opened = _opened(tx, actor, d) if d else None
    if opened is None or not (opened.may_take or opened.mine or opened.obstacle):
        raise Refusal("not_found")
    return opened


def _opened(tx: Tx, actor: Actor, d: Document) -> OpenDocument | None:
    person = tx.people.person(d.person_id)
    if person is None or not d.sent_at:
        return None
    mine = next((r for r in d.reviews if r.operator_id == actor.operator.id), None)
    stopped = obstacle(tx, actor.operator, person)
    takes = not stopped and mine is None and _free(actor, d)
    since = tx.documents.on_record_since(person.id)
    check = tx.identity.get(d.id) if d.kind == di.VERIFIED else None
    case = tx.cases.get(d.case_id) if mine and not mine.verdict and check is None else None
    photo, photo_since = photos.beside(tx, case) if case else ("none", 0)
    return OpenDocument(
        d, person, username_of(tx, person.id), since, mine, takes, stopped, tx.now, check, photo, photo_since
    )


def _free(actor: Actor, d: Document) -> bool:
    """Whether one more reviewer is wanted, of this operator's role."""
    if d.state == "waiting":
        return sum(not r.third for r in d.reviews) < 2
    taken = any(r.third and not r.verdict for r in d.reviews)
    return d.state == "third" and actor.operator.role == Role.SECURITY_OFFICER and not taken


def take(tx: Tx, actor: Actor, document_id: str) -> None:
    """Takes a document on. Whoever looks at one does not approve its case.

    Raises:
        Refusal: `not_found`; `yourself`, `rank`; `taken` when nobody more is wanted.
    """
    d, opened = _lock(tx, actor, document_id)
    if opened.mine is not None:
        return
    if not opened.may_take:
        raise Refusal("taken")
    me = actor.operator.id
    tx.documents.review(d.id, Review(me, tx.now, third=d.state == "third"))
    work = tx.desk.work(d.case_id)
    tx.desk.save(replace(work, worked_by=work.worked_by | {me}))
    tx.audit.record(
        d.case_id, [Note("identity_taken" if d.kind == di.VERIFIED else "document_taken", _about(actor, d))]
    )


def view(tx: Tx, actor: Actor, document_id: str) -> bytes:
    """The picture, for one who has taken it and not yet answered; every view is in the audit log.

    Raises:
        Refusal: `not_found`.
    """
    d, _ = _seen(tx, actor, document_id)
    found = tx.documents.picture(d.id)
    if found is None:
        raise Refusal("not_found")
    tx.audit.record(d.case_id, [Note("document_viewed", _about(actor, d))])
    return found


def view_photo(tx: Tx, actor: Actor, document_id: str) -> bytes:
    """HR's photo of the person, under the same conditions; every view is in the audit log, too.

    Raises:
        Refusal: `not_found`, also for one that came on record too late.
    """
    d, opened = _seen(tx, actor, document_id)
    found = tx.photos.jpeg(d.person_id) if opened.photo == "shown" else None
    if found is None:
        raise Refusal("not_found")
    tx.audit.record(d.case_id, [Note("photo_viewed", _about(actor, d))])
    return found


def _seen(tx: Tx, actor: Actor, document_id: str) -> tuple[Document, OpenDocument]:
    d = tx.documents.get(document_id)
    opened = _opened(tx, actor, d) if d else None
    if d is None or opened is None or opened.obstacle or opened.mine is None or opened.mine.verdict:
        raise Refusal("not_found")
    if d.state not in ("waiting", "third"):
        raise Refusal("not_found")
    return d, opened


def answer(tx: Tx, actor: Actor, document_id: str, verdict: str, checks: Sequence[str], policy: Policy) -> Document:
    """Takes what a reviewer found. With the second one, or the deciding third, the document is decided.

    Raises:
        BadInput: `verdict`; `checks` for a yes without every item of the list.
        Refusal: `not_found`, `yourself`, `rank`; `answered` for a second answer; `over` once it is decided.
    """
    if verdict not in ("yes", "no"):
        raise BadInput("verdict")
    d, opened = _lock(tx, actor, document_id)
    asked = checks_of(d)
    ticked = tuple(c for c in asked if c in checks)
    if verdict == "yes" and ticked != asked:
        raise BadInput("checks")
    if opened.mine is None:
        raise Refusal("not_found")
    if opened.mine.verdict:
        raise Refusal("answered")
    if d.state not in ("waiting", "third"):
        raise Refusal("over")
    tx.documents.review(d.id, replace(opened.mine, verdict=verdict, checks=ticked, at=tx.now))  # type: ignore[arg-type]
    tx.audit.record(
        d.case_id, [Note("identity_reviewed" if d.kind == di.VERIFIED else "document_reviewed", _about(actor, d))]
    )
    now = tx.documents.get(d.id)
    assert now is not None
    came_to = dd.outcome(now.reviews)
    if came_to == "waits" or (came_to == "third" and d.state == "third"):
        return now
    if came_to == "third":
        tx.documents.save(replace(now, state="third"))
        return replace(now, state="third")
    decided = replace(now, state=came_to, decided_at=tx.now)
    tx.documents.save(decided)
    said = {r.operator_id: r.verdict for r in now.reviews}
    tx.audit.record(
        d.case_id,
        [
            Note(
                "identity_decided" if d.kind == di.VERIFIED else "document_decided",
                {"document": d.id, "outcome": came_to, "reviews": said},
            )
        ],
    )
    if d.kind == di.VERIFIED:
        identity.decided(tx, decided, policy)
    elif came_to == "agreed":
        _accept(tx, decided, policy)
    return decided


def try_name(tx: Tx, actor: Actor, document_id: str, name: str) -> bool:
    """Whether a name that a reviewer has from another record of the company is the verified one, which nobody keeps.

    Raises:
        BadInput: `name`. Refusal: `not_found`; `too_many` tries, or they would find it out letter by letter.
    """
    if not 0 < len(name.strip()) <= MAX_VERIFIED:
        raise BadInput("name")
    d = tx.documents.get(document_id)
    opened = _opened(tx, actor, d) if d else None
    if d is None or opened is None or opened.obstacle or opened.mine is None or opened.mine.verdict:
        raise Refusal("not_found")
    c = tx.identity.get(d.id)
    if c is None or c.name_digest is None:
        raise Refusal("not_found")
    key = f"ask/name/{d.id}/{actor.operator.id}"
    if tx.counters.add([key])[key].day > NAMES_A_DAY:
        tx.counters.take_back([key])
        raise Refusal("too_many")
    same = hmac.compare_digest(identity.digest_of_name(tx, c.id, name), c.name_digest)
    tx.audit.record(d.case_id, [Note("identity_name_tried", {**_about(actor, d), "matched": same})])
    return same


def checks_of(d: Document) -> tuple[str, ...]:
    """What has to be ticked before a yes."""
    return di.CHECKS if d.kind == di.VERIFIED else dd.CHECKS


def _accept(tx: Tx, d: Document, policy: Policy) -> None:
    """Adds it to the case, for the page that sent it. In a case that has ended it is nothing any more."""
    intake, case = tx.intakes.get(d.handle), tx.cases.get(d.case_id)
    if intake is None or case is None or case.ended or tx.now >= case.expires_at:
        return
    here = Here(Origin(intake.source, intake.agent), policy)
    evidence.add(tx, case, dd.PROOF, f"desk:{d.id}", d.id, intake, here, "number")


def _lock(tx: Tx, actor: Actor, document_id: str) -> tuple[Document, OpenDocument]:
    seen = tx.documents.get(document_id)
    person = tx.people.lock(seen.person_id) if seen else None
    d = tx.documents.get(document_id, lock=True) if person else None
    opened = _opened(tx, actor, d) if d else None
    if d is None or opened is None:
        raise Refusal("not_found")
    if opened.obstacle:
        raise Refusal(opened.obstacle)
    return d, opened


def _about(actor: Actor, d: Document) -> dict[str, str]:
    return {"operator": actor.operator.id, "document": d.id}
