"""Factors of a signed-in person: added once they are shown to work, removed after a question, told to every contact.

Callers make sure that the person has just shown who they are (`step_up.is_fresh`, A-7.5.1). What is added signs in at
once and may recover after 72 hours (F1).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from keyback.application import locking
from keyback.application.challenges.issue import issue
from keyback.application.notifications.account_changes import notify_account_change
from keyback.application.origin import Origin
from keyback.application.ports.enrolment import EnrolsApp, EnrolsPasskey
from keyback.application.ports.proofs import MakesCodes
from keyback.application.ports.storage import Database, Session, Tx
from keyback.application.showing import Fits, anything
from keyback.domain import digests
from keyback.domain.challenges.challenge import SHORT_LIFE, Challenge, key_purpose
from keyback.domain.characters import is_shown
from keyback.domain.errors import Refusal
from keyback.domain.people.factor import BOUND, CODES, COOLING_OFF, Factor, FactorKind, SavedCode
from keyback.domain.people.person import Person
from keyback.domain.policy.rules import Policy
from keyback.domain.units import MINUTE

SETUP_LIFE = 30 * MINUTE  # for scanning a QR code
MAX_FACTORS: dict[FactorKind, int] = {
    "totp": 5,
    "passkey": 20,
    "recovery_codes": 1,
    "security_questions": 1,
    "provider": 10,
}
SEED_BYTES = 20
TO_ANSWER = 5 * MINUTE  # that a page leaves for a new passkey: as long as the browser waits for it
NAMED: tuple[FactorKind, ...] = ("passkey", "totp")  # whose names are their owner's to choose
MAX_LABEL = 60


def clean_label(typed: str, otherwise: str = "") -> str:
    """A name for something enrolled: printable, one line, at most 60 characters."""
    text = "".join(c for c in " ".join(typed.split()) if is_shown(c))[:MAX_LABEL].strip()
    return text or otherwise[:MAX_LABEL]


def present(factors: Sequence[Factor], kind: FactorKind) -> str:
    """The id of the one factor of a kind that there is one of at most; empty where there is none."""
    return next((f.id for f in factors if f.kind == kind), "")


def _room(tx: Tx, person_id: str, kind: FactorKind) -> None:
    if sum(f.kind == kind for f in tx.factors.of_person(person_id)) >= MAX_FACTORS[kind]:
        raise Refusal("too_many")


# ── authenticator apps ──────────────────────────────────────────────────────


def start_totp(tx: Tx, app: EnrolsApp, person: Person) -> str:
    """A seed that waits for the app to show that it has it; the factor's id. One at a time.

    Raises:
        Refusal: `too_many`.
    """
    tx.people.lock(person.id)
    _room(tx, person.id, "totp")
    for old in tx.factors.of_person(person.id, states=("pending",)):
        if old.kind == "totp":
            tx.factors.turn(old.id, "pending", "removed")
    data = {"seed": app.new_seed(tx.random(SEED_BYTES))}
    factor = Factor(tx.new_id(), person.id, "totp", "", "pending", data, 0, tx.now, tx.now + SETUP_LIFE + COOLING_OFF)
    tx.factors.add(factor)
    return factor.id


def pending_totp(tx: Tx, person_id: str, factor_id: str) -> Factor | None:
    """The seed that waits. Once the app has shown that it has it, nobody sees it again (M5)."""
    f = tx.factors.get(factor_id)
    if f is None or f.person_id != person_id or f.kind != "totp" or f.state != "pending" or "handle" in f.data:
        return None
    return f if tx.now < f.added_at + SETUP_LIFE else None


def finish_totp(tx: Tx, app: EnrolsApp, session: Session, factor_id: str, typed: str, origin: Origin) -> bool:
    """Takes the first code of a new app; False for a wrong one.

    Raises:
        Refusal: `over` when nothing waits any more, or `too_many`.
    """
    locking.own(tx, session)
    f = pending_totp(tx, session.person_id, factor_id)
    if f is None:
        raise Refusal("over")
    step = app.first_step(str(f.data["seed"]), typed, tx.now)
    if step is None:
        return False
    _room(tx, session.person_id, "totp")
    if not tx.factors.turn(f.id, "pending", "active") or not tx.factors.advance(f.id, step):
        raise Refusal("over")
    tx.sessions.prove(session.digest, "totp")
    notify_account_change(tx, session.person_id, "totp_added", origin, data={"factor": f.id})
    return True


# ── passkeys ────────────────────────────────────────────────────────────────


def start_passkey(tx: Tx, person: Person) -> str:
    """A challenge for a new passkey; its id.

    Raises:
        Refusal: `too_many`.
    """
    tx.people.lock(person.id)
    _room(tx, person.id, "passkey")
    tx.challenges.end_where("replaced", person_id=person.id, method="passkey", purpose="enrol")
    return issue(tx, person, "enrol", "passkey", SHORT_LIFE).id


def waiting_passkey(tx: Tx, person: Person) -> str:
    """The id of the challenge that waits, where there is time enough left to answer it; else a new one's.

    Raises:
        Refusal: as `start_passkey`.
    """
    open_ones = tx.challenges.live(person_id=person.id, purpose="enrol", method="passkey")
    newest = open_ones[-1] if open_ones else None
    if newest and newest.expires_at > tx.now + TO_ANSWER and open_passkey(tx, person, newest.id):
        return newest.id
    return start_passkey(tx, person)


def open_passkey(tx: Tx, person: Person, challenge_id: str) -> Challenge | None:
    """The challenge, while it waits for its answer."""
    c = tx.challenges.get(challenge_id)
    if c is None or c.person_id != person.id or (c.purpose, c.method) != ("enrol", "passkey"):
        return None
    return c if c.waits(tx.now) and c.security_version == person.security_version else None


def user_handle(tx: Tx, maker: EnrolsPasskey, asked: Challenge, known: Sequence[Factor]) -> bytes:
    """The person's handle: random for the first passkey (of its challenge's nonce, so that it is the same at the end as
    at the start), that one from then on (W-5)."""
    key = tx.seals.derive(key_purpose(asked.method), asked.key_id)
    fresh = digests.long_mac(key, b"handle\0" + asked.nonce)
    return maker.user_handle(known, fresh)


def finish_passkey(
    tx: Tx, maker: EnrolsPasskey, session: Session, challenge_id: str, typed: str, label: str, origin: Origin
) -> Literal["added", "wrong", "known"]:
    """Takes the browser's answer, once: right or wrong, the challenge is over (W-1).

    Raises:
        Refusal: `over`, or `too_many`.
    """
    person = locking.own(tx, session)
    asked = open_passkey(tx, person, challenge_id)
    if asked is None or not tx.challenges.end(asked.id, "used"):
        raise Refusal("over")
    _room(tx, person.id, "passkey")
    known = tx.factors.of_person(person.id)
    handle = user_handle(tx, maker, asked, known)
    made = maker.verify_registration(typed, asked.nonce, handle)
    if made is None:
        return "wrong"
    if tx.factors.by_lookup(made.lookup) is not None:
        return "known"
    factor = Factor(
        tx.new_id(), person.id, "passkey", label, "active", made.data, made.counter, tx.now, tx.now + COOLING_OFF,
        lookup=made.lookup,
    )  # fmt: skip
    tx.factors.add(factor)
    tx.sessions.prove(session.digest, "passkey")
    notify_account_change(tx, person.id, "passkey_added", origin, detail=label, data={"factor": factor.id})
    return "added"


# ── saved recovery codes ────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class CodeSheet:
    """Ten codes, to be shown once."""

    texts: tuple[str, ...] = field(repr=False)


async def make_codes(
    db: Database, maker: MakesCodes, session: Session, origin: Origin, fits: Fits = anything
) -> CodeSheet:
    """A new set in place of the old one, which is void from now on (N-R2, N-L1).

    Args:
        fits: whether the old set, by its id, is the one that was shown; empty where there is none.

    Raises:
        Busy: the hashing gate is full; nothing was changed.
        Refusal: `over` when the session ended meanwhile, `wrong_state` when another set was made.
    """
    new = maker.new_codes(os.urandom, CODES)
    rows = [SavedCode("", "", c.slot, await maker.hashed(c.secret)) for c in new]
    await db.write(lambda tx: _replace_codes(tx, session, rows, origin, fits))
    return CodeSheet(tuple(c.text for c in new))


def _replace_codes(tx: Tx, session: Session, rows: Sequence[SavedCode], origin: Origin, fits: Fits = anything) -> None:
    pid = locking.own(tx, session).id
    mine = tx.factors.of_person(pid)
    if not fits(present(mine, "recovery_codes")):
        raise Refusal("wrong_state")
    for old in mine:
        if old.kind == "recovery_codes":
            tx.factors.turn(old.id, "active", "removed")
    factor = Factor(tx.new_id(), pid, "recovery_codes", "", "active", {}, 0, tx.now, tx.now + COOLING_OFF)
    tx.factors.add(factor)
    tx.factors.put_codes([replace(r, id=tx.new_id(), factor_id=factor.id, added_at=tx.now) for r in rows])
    notify_account_change(tx, pid, "codes_made", origin, data={"factor": factor.id})


# ── naming ──────────────────────────────────────────────────────────────────


def named(tx: Tx, person_id: str, factor_id: str) -> Factor | None:
    """A passkey or an app of this person, which may be given another name."""
    f = tx.factors.get(factor_id)
    return f if f and f.person_id == person_id and f.state == "active" and f.kind in NAMED else None


def rename(tx: Tx, session: Session, factor_id: str, typed: str) -> None:
    """Gives it the name that its owner typed; an empty one leaves it as it is.

    Raises:
        Refusal: `not_found`.
    """
    factor = named(tx, locking.own(tx, session).id, factor_id)
    if factor is None:
        raise Refusal("not_found")
    tx.factors.rename(factor.id, clean_label(typed, factor.label))


# ── removing ────────────────────────────────────────────────────────────────


def may_remove(tx: Tx, person: Person, factor: Factor, policy: Policy) -> bool:
    """Whether a factor may go: the last second step of somebody who must have one may not (W-7)."""
    if factor.kind not in BOUND:
        return True
    others = [f for f in tx.factors.of_person(person.id) if f.kind in BOUND and f.id != factor.id]
    accounts = tx.people.accounts([person.id]).get(person.id, ())
    privileged = any(a.privileged and a.state != "disabled" for a in accounts)
    return bool(others) or not (privileged or person.tier != "standard" or policy.floor != "standard")


def remove(tx: Tx, person_id: str, factor_id: str, policy: Policy, origin: Origin) -> Factor:
    """Takes a factor away at once (N-T3) and tells every contact.

    Raises:
        Refusal: `not_found`, or `last_one` for the last second step of somebody who must have one.
    """
    person = tx.people.lock(person_id)
    factor = tx.factors.get(factor_id)
    if factor is None or person is None or factor.person_id != person.id or factor.state != "active":
        raise Refusal("not_found")
    if not may_remove(tx, person, factor, policy):
        raise Refusal("last_one")
    if not tx.factors.turn(factor.id, "active", "removed"):
        raise Refusal("not_found")
    tx.challenges.end_where("stopped", target=factor.id)
    what = {
        "totp": "totp_removed",
        "passkey": "passkey_removed",
        "recovery_codes": "codes_removed",
        "provider": "provider_removed",
    }
    code = what.get(factor.kind, "questions_removed")
    notify_account_change(tx, person.id, code, origin, detail=factor.label, data={"factor": factor.id})
    return factor
