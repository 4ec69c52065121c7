"""A recovery contact vouches for somebody: reached by mail, sure by voice (NIST SP 800-63B-4 section 4.2.1.3, N-R8).

The page of whoever asks shows four digits; the contact types them after talking to them. So a contact who only clicks
what arrives by mail vouches for nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from keyback.application.notifications.link_endings import Ended, why_case_over
from keyback.application.origin import device_words
from keyback.application.ports.proofs import Proof
from keyback.application.ports.storage import Database, Tx
from keyback.application.recovery import methods
from keyback.application.recovery.evidence import Here
from keyback.domain.challenges.challenge import Challenge
from keyback.domain.recovery.events import Note
from keyback.domain.throttling.limits import TRIES_SHOWN

PROOF = "recovery_contact"
STATEMENT = 1  # version of what they say by going on; goes up with the text of the page


@dataclass(frozen=True, slots=True)
class ConfirmationRequest:
    """What the contact may see of whoever asks. `problem` is None while they can vouch; `given`: they have."""

    problem: Ended | Literal["given"] | None
    person: str = ""
    asked_at: int = 0
    source: str = ""
    device: str = ""
    handle: str = ""
    challenge_id: str = ""


def look(tx: Tx, token: str) -> ConfirmationRequest:
    """Reads; changes nothing, however often it is called (C5)."""
    asked = _asked(tx, token)
    if asked is None:
        return ConfirmationRequest("unknown")
    problem = _problem(tx, asked)
    if problem == "given":
        return ConfirmationRequest("given", given(tx, token))
    if problem is not None:
        return ConfirmationRequest(problem)
    intake, person = tx.intakes.get(asked.handle), tx.people.person(asked.person_id)
    if intake is None or person is None:
        return ConfirmationRequest("over")
    device = device_words(intake.agent)
    return ConfirmationRequest(None, person.name, intake.asked_at, intake.source, device, asked.handle, asked.id)


def _problem(tx: Tx, asked: Challenge) -> Ended | Literal["given"] | None:
    """To whom it was sent, `used` is what their word was; whoever got back in without it has ended it, too."""
    if _counted(tx, asked):
        return "given"
    contact = tx.contacts.many([asked.target]).get(asked.target)
    if asked.ended in (None, "stopped") and (contact is None or contact.state != "confirmed"):
        return "gone"
    found = why_case_over(tx, asked)
    if found is not None:
        return "overtaken" if found in ("used", "finished") else "changed" if found == "off" else found
    intake = tx.intakes.get(asked.handle)
    if intake is None or intake.state == "stopped":
        return "stopped"
    tries = next((w.tries for w in tx.challenges.requested(asked.handle) if w.method == PROOF), 0)
    return "spent" if tries >= TRIES_SHOWN else None


def _counted(tx: Tx, asked: Challenge) -> bool:
    """Whether the contact's word was taken. A case that is over for another reason ends its challenges as used, too."""
    case = tx.cases.get(asked.case_id) if asked.ended == "used" else None
    mine = (asked.handle, f"contact:{asked.target}")
    return case is not None and mine in {(e.handle, e.channel) for e in case.evidence}


def given(tx: Tx, token: str) -> str:
    """The name of whom this link vouched for already; empty where it did not."""
    asked = _asked(tx, token)
    person = tx.people.person(asked.person_id) if asked is not None and _counted(tx, asked) else None
    return person.name if person else ""


def _asked(tx: Tx, token: str) -> Challenge | None:
    return tx.challenges.behind(token, "recovery", PROOF)


async def confirm(db: Database, proof: Proof, token: str, digits: str, here: Here) -> tuple[methods.MethodAnswer, int]:
    """Takes the contact's word, once, if the digits are those of the page that asks.

    Raises:
        Refusal: `not_found` when the request is over.
    """
    plea, name = await db.read(lambda tx: (look(tx, token), given(tx, token)))
    if plea.problem:
        return "done" if name else "wrong", 0
    code, left, _ = await methods.answer(
        db, proof, plea.handle, f"confirm:{STATEMENT}:{digits[:16]}", here, only=plea.challenge_id
    )
    return code, left


def refuse(tx: Tx, token: str) -> bool:
    """The contact does not vouch; True if there was still something to refuse."""
    asked = _asked(tx, token)
    if asked is None or not tx.challenges.end(asked.id, "refused"):
        return False
    data = {"proof": PROOF, "reason": "contact_refused", "contact": asked.target}
    tx.audit.record(asked.case_id, [Note("proof_refused", data)])
    return True
