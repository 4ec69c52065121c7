"""Linking a work chat by signing in there: what the service calls a person becomes a contact of theirs.

State and verifier are derived from a challenge and the session that it was put in, so a sign-in that another browser,
another session or an earlier try began comes to nothing (RFC 6749 section 10.12, RFC 7636).
"""

from __future__ import annotations

import base64
from typing import Final, Literal

from keyback.application import locking
from keyback.application.challenges.issue import issue
from keyback.application.enrolment.contacts import check_room, kind_of
from keyback.application.notifications.account_changes import masked, notify_account_change
from keyback.application.origin import Origin
from keyback.application.ports.storage import Session, Tx
from keyback.domain import digests, tokens
from keyback.domain.challenges.challenge import SHORT_LIFE, Challenge, key_purpose
from keyback.domain.errors import Refusal
from keyback.domain.people.factor import COOLING_OFF
from keyback.domain.people.person import Contact, Person

METHOD: Final = "im_message"
TARGET: Final = "sign_in"  # where a challenge of the same method names the contact whose code it is
_ID_BYTES: Final = 16


def start(tx: Tx, person: Person) -> str:
    """A challenge for one sign-in there; its id. One at a time.

    Raises:
        Refusal: `too_many`.
    """
    tx.people.lock(person.id)
    check_room(tx.contacts.of_person(person.id), "im")
    tx.challenges.end_where("replaced", person_id=person.id, method=METHOD, purpose="enrol", target=TARGET)
    return issue(tx, person, "enrol", METHOD, SHORT_LIFE, target=TARGET).id


def open_challenge(tx: Tx, person: Person, challenge_id: str) -> Challenge | None:
    """The challenge, while it waits for its sign-in."""
    c = tx.challenges.get(challenge_id)
    if c is None or c.person_id != person.id or (c.purpose, c.method, c.target) != ("enrol", METHOD, TARGET):
        return None
    return c if c.waits(tx.now) and c.security_version == person.security_version else None


def state_of(tx: Tx, c: Challenge, session: Session) -> str:
    """Names the challenge, and shows that this session put it. Letters and digits alone: WeCom takes no others."""
    return _bytes_of(c.id).hex() + _derived(tx, c, session, "state").hex()


def verifier_of(tx: Tx, c: Challenge, session: Session) -> str:
    return base64.urlsafe_b64encode(_derived(tx, c, session, "verifier")).rstrip(b"=").decode()


def challenge_in(state: str) -> str:
    """The id of the challenge that a state names; empty for what is no state of ours."""
    if len(state) < 2 * _ID_BYTES or not state.isascii() or not state.isalnum():
        return ""
    try:
        raw = bytes.fromhex(state[: 2 * _ID_BYTES])
    except ValueError:
        return ""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def claim(tx: Tx, session: Session, state: str) -> tuple[Challenge, str]:
    """Ends the challenge for the one sign-in that came back, right or wrong; with the verifier.

    Raises:
        Refusal: `over`, also for a state of another session.
    """
    found = open_challenge(tx, locking.own(tx, session), challenge_in(state))
    if found is None or not tokens.same(state_of(tx, found, session), state):
        raise Refusal("over")
    if not tx.challenges.end(found.id, "used"):
        raise Refusal("over")
    return found, verifier_of(tx, found, session)


def finish(tx: Tx, session: Session, claimed: Challenge, address: str, origin: Origin) -> Literal["linked", "known"]:
    """Adds whom the service named, under the rules of every new contact: told at once, good for a recovery after 72
    hours. IDs that were typed and never confirmed go.

    Raises:
        Refusal: `over` when the person changed meanwhile, or `too_many`.
    """
    person = locking.own(tx, session)
    if claimed.person_id != person.id or claimed.security_version != person.security_version:
        raise Refusal("over")
    mine = tx.contacts.of_person(person.id, states=("confirmed", "pending"))
    chats = [c for c in mine if kind_of(c) == "im"]
    for c in chats:
        if c.state == "pending":
            tx.contacts.remove(c.id)
            tx.challenges.end_where("stopped", target=c.id)
    same = next((c for c in chats if c.address == address and c.state == "confirmed"), None)
    if same is not None:
        tx.contacts.renew(same.id)
        return "known"
    check_room(mine, "im")
    contact = Contact(
        tx.new_id(), person.id, "im", address, "backup", "confirmed", "person", "", tx.now, tx.now + COOLING_OFF,
        confirmed_at=tx.now,
    )  # fmt: skip
    if not tx.contacts.add(contact):
        raise Refusal("over")
    detail = masked(contact)
    notify_account_change(
        tx, person.id, "im_added", origin, detail=detail, but=contact.id, data={"contact": contact.id}
    )  # fmt: skip
    return "linked"


def _bytes_of(challenge_id: str) -> bytes:
    return base64.urlsafe_b64decode(challenge_id + "==")


def _derived(tx: Tx, c: Challenge, session: Session, what: str) -> bytes:
    key = tx.seals.derive(key_purpose(METHOD), c.key_id)
    return digests.mac(key, b"\0".join((b"chat", what.encode(), c.nonce, session.digest)))
