"""Connecting a system that a person signs in to: what its provider calls them is bound to them, once they signed in.

What is bound is the provider's permanent id for them, never an address: an address can be given to somebody else.
"""

from __future__ import annotations

from typing import Final, Literal

from keyback.application import locking
from keyback.application.challenges.issue import issue
from keyback.application.enrolment.factors import MAX_FACTORS, clean_label
from keyback.application.notifications.account_changes import notify_account_change
from keyback.application.origin import Origin
from keyback.application.ports.enrolment import SignsInElsewhere
from keyback.application.ports.proofs import Enrolments, PendingChallenge, Target
from keyback.application.ports.sign_in import SignedIn
from keyback.application.ports.storage import Session, Tx
from keyback.domain.challenges.challenge import SHORT_LIFE, Challenge, key_purpose
from keyback.domain.errors import Refusal
from keyback.domain.people.factor import COOLING_OFF, Factor, FactorKind
from keyback.domain.people.person import Person
from keyback.domain.policy.rules import PROVIDER_SIGN_IN

KIND: Final[FactorKind] = "provider"


def start(tx: Tx, person: Person, provider: str) -> str:
    """A challenge for a sign-in with this provider; its id. One at a time.

    Raises:
        Refusal: `too_many`.
    """
    tx.people.lock(person.id)
    _room(tx, person.id)
    tx.challenges.end_where("replaced", person_id=person.id, method=PROVIDER_SIGN_IN, purpose="enrol")
    return issue(tx, person, "enrol", PROVIDER_SIGN_IN, SHORT_LIFE, target=provider).id


def open_challenge(tx: Tx, person: Person, challenge_id: str) -> PendingChallenge | None:
    """The challenge, while it waits for its sign-in; its `target` names the provider."""
    c = tx.challenges.get(challenge_id)
    if c is None or c.person_id != person.id or (c.purpose, c.method) != ("enrol", PROVIDER_SIGN_IN):
        return None
    if not c.waits(tx.now) or c.security_version != person.security_version:
        return None
    return PendingChallenge(c, Enrolments(person), Target("", ""), tx.seals.derive(key_purpose(c.method), c.key_id))


def claim(tx: Tx, session: Session, challenge_id: str) -> PendingChallenge:
    """Ends the challenge for the one sign-in that came back: right or wrong, it is over.

    Raises:
        Refusal: `over`.
    """
    asked = open_challenge(tx, locking.own(tx, session), challenge_id)
    if asked is None or not tx.challenges.end(challenge_id, "used"):
        raise Refusal("over")
    return asked


def finish(
    tx: Tx, proof: SignsInElsewhere, session: Session, claimed: Challenge, found: SignedIn, origin: Origin
) -> Literal["added", "known"]:
    """Binds whom the provider vouched for. `known`: it is bound already, to this person or to another.

    Args:
        claimed: the challenge that `claim` ended for it.

    Raises:
        Refusal: `over` when the person changed meanwhile, or `too_many`.
    """
    person = locking.own(tx, session)
    if claimed.person_id != person.id or claimed.security_version != person.security_version:
        raise Refusal("over")
    _room(tx, person.id)
    provider = proof.providers[claimed.target]
    digest = proof.subject_digest(provider.name, found.subject)
    if tx.factors.by_lookup(digest) is not None:
        return "known"
    data = {"provider": provider.name, "issuer": provider.issuer, "subject": digest.hex()}
    label = clean_label(provider.title)
    factor = Factor(
        tx.new_id(), person.id, KIND, label, "active", data, 0, tx.now, tx.now + COOLING_OFF, lookup=digest
    )  # fmt: skip
    tx.factors.add(factor)
    notify_account_change(tx, person.id, "provider_added", origin, detail=label, data={"factor": factor.id})
    return "added"


def _room(tx: Tx, person_id: str) -> None:
    if sum(f.kind == KIND for f in tx.factors.of_person(person_id)) >= MAX_FACTORS[KIND]:
        raise Refusal("too_many")
