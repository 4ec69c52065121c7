"""Operators sign in with a password and an authenticator app, or with a passkey; always with two factors.

Both answers to the first form are judged together and at the same cost for known and unknown names, so that nobody
learns which was wrong. Tries are counted and committed before anything is compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from keyback.application.desk import sessions
from keyback.application.desk.operators import STREAM
from keyback.application.desk.sessions import SignedIn
from keyback.application.handles import subject_of
from keyback.application.origin import Origin, network_of
from keyback.application.ports.enrolment import FindsPasskey
from keyback.application.ports.hashing import Busy, PasswordHasher
from keyback.application.ports.proofs import Enrolments, PendingChallenge, Proof, Target, Verdict
from keyback.application.ports.storage import Database, Tx
from keyback.application.signin import passkey as tickets
from keyback.domain import digests
from keyback.domain.challenges.challenge import SHORT_LIFE, Challenge
from keyback.domain.errors import BadInput
from keyback.domain.operators.roles import Operator
from keyback.domain.passwords.rules import Unreadable
from keyback.domain.people.factor import Factor, FactorKind
from keyback.domain.people.person import Person, canonicalize
from keyback.domain.recovery.events import Note
from keyback.domain.secret import Secret
from keyback.domain.throttling.limits import WINDOW_TRIES

FROM_ANYWHERE = 60  # wrong tries in a day at one operator's password, from all networks together
WAIT_S = 600


@dataclass(frozen=True, slots=True)
class NotSignedIn:
    """`wrong` says nothing about why; `slow_down` is the same for known and unknown names."""

    reason: Literal["wrong", "slow_down"]


@dataclass(frozen=True, slots=True)
class _Try:
    """A try that was counted. `operator` is None for a name that nobody has."""

    operator: Operator | None
    keys: tuple[str, ...]
    allowed: bool
    phc: str | None = field(repr=False)
    asked: list[PendingChallenge] = field(repr=False)
    now: int


async def by_password(
    db: Database, gate: PasswordHasher, app: Proof, mail: str, password: Secret, code: str, origin: Origin
) -> SignedIn | NotSignedIn:
    """Checks password and code of the authenticator app, and opens a session when both are right.

    Raises:
        Busy: the hashing gate is full; nothing was compared, and the try is not counted.
        StorageDown: nothing was compared.
    """
    try:
        canonical = canonicalize(mail)
    except BadInput:
        canonical = "\1malformed"
    this = await db.write(lambda tx: _count(tx, canonical, origin))
    if not this.allowed:
        await db.write(lambda tx: tx.counters.take_back(this.keys))
        return NotSignedIn("slow_down")
    try:
        checked = await gate.verify(this.phc, password)
        ok, stale = checked.ok, checked.needs_rehash
        fresh = await gate.hash(password) if stale else None
    except Unreadable:
        ok, fresh = False, None
    except Busy:
        await db.write(lambda tx: tx.counters.take_back(this.keys))
        raise
    verdict = await app.verify(this.asked, code, this.now)
    return await db.write(lambda tx: _finish(tx, this, ok, fresh, verdict, "password", origin))


def _count(tx: Tx, canonical: str, origin: Origin) -> _Try:
    operator = tx.operators.by_mail(canonical)
    name = operator.id if operator else subject_of(tx.seals, canonical).hex()[:22]
    keys = _keys(name, origin)
    counts = tx.counters.add(keys)
    allowed = counts[keys[0]].hour <= WINDOW_TRIES and counts[keys[1]].day <= FROM_ANYWHERE
    usable = operator if operator and operator.state == "active" else None
    phc = tx.operators.credential(operator.id) if operator else tx.operators.credential("")
    factors = tx.operators.factors(operator.id if operator else "")
    asked = pending(tx, usable, factors, "totp") if usable else []
    return _Try(operator, keys, allowed, phc if usable else None, asked, tx.now)


def _keys(name: str, origin: Origin) -> tuple[str, str]:
    network = digests.digest(network_of(origin.source).encode()).hex()[:16]
    return f"op/g/{name}/{network}", f"op/g/{name}"


def pending(tx: Tx, operator: Operator, factors: object, kind: FactorKind) -> list[PendingChallenge]:
    """A question to each of an operator's factors of a kind, as the proofs on the shelf judge it; none is stored."""
    mine = [f for f in tx.operators.factors(operator.id) if f.kind == kind]
    return [put(tx, operator, f, tx.random(32)) for f in mine]


def put(tx: Tx, operator: Operator, factor: Factor, nonce: bytes, made_at: int = 0) -> PendingChallenge:
    """One question to one factor of an operator. The proof sees the operator as a person, who is in no other table."""
    who = Person(operator.id, operator.name, "en", "standard", "active", operator.security_version)
    at = made_at or tx.now
    asked = Challenge(
        "", "sign_in", factor.kind, who.id, nonce, who.security_version, at, at + SHORT_LIFE, target=factor.id
    )
    return PendingChallenge(asked, Enrolments(who, (), (factor,)), Target(factor.id, ""), b"")


def _finish(
    tx: Tx, this: _Try, ok: bool, fresh: str | None, verdict: Verdict, method: str, origin: Origin
) -> SignedIn | NotSignedIn:
    operator = tx.operators.get(this.operator.id, lock=True) if this.operator else None
    same = operator is not None and this.operator is not None
    same = same and operator.state == "active" and operator.security_version == this.operator.security_version  # type: ignore[union-attr]
    if operator is None or not same or not ok or not use(tx, verdict):
        about = {"operator": this.operator.id} if this.operator else {}
        where = {"source": origin.source[:45], "device": origin.agent, "method": method}
        tx.audit.record(STREAM, [Note("operator_sign_in_failed", {**about, **where})])
        return NotSignedIn("wrong")
    if fresh and this.phc:
        tx.operators.rehash(operator.id, this.phc, fresh)
    tx.counters.take_back(this.keys)  # only wrong ones count
    return sessions.open_session(tx, operator, method, origin)


def use(tx: Tx, verdict: Verdict) -> bool:
    """Uses a right answer up: a step or a signature count is taken once."""
    if verdict.right is None:
        return False
    target = verdict.right.challenge.target
    if verdict.counter is None:
        return tx.operators.touch_factor(target)
    return tx.operators.advance(target, verdict.counter)


async def by_passkey(db: Database, proof: Proof, ticket: str, typed: str, origin: Origin) -> SignedIn | NotSignedIn:
    """Signs in whichever operator's passkey answers the challenge of the sign-in page.

    Args:
        ticket: of the page, from its cookie; it is used up.
    """
    lookup = proof.lookup(typed) if isinstance(proof, FindsPasskey) else None
    this = await db.write(lambda tx: _meant(tx, ticket, lookup, origin))
    if not this.allowed:
        return NotSignedIn("slow_down")
    verdict = await proof.verify(this.asked, typed[:8192], this.now)
    return await db.write(lambda tx: _finish(tx, this, True, None, verdict, "passkey", origin))


def _meant(tx: Tx, ticket: str, lookup: bytes | None, origin: Origin) -> _Try:
    once = f"op/g/ticket/{digests.digest(ticket.encode()).hex()[:32]}"
    unused = tx.counters.add([once])[once].total == 1 and tickets.is_fresh(tx.now, ticket)
    factor = tx.operators.factor_by_lookup(lookup) if lookup else None
    operator = tx.operators.get(factor.person_id) if factor else None
    if factor is None or operator is None or operator.state != "active" or not unused:
        return _Try(None, (), True, None, [], tx.now)
    # A signature is no secret that tries could guess: what is counted is what one network sends (ADR 22).
    keys = _keys(f"{operator.id}/p", origin)[:1]
    allowed = tx.counters.add(keys)[keys[0]].hour <= WINDOW_TRIES
    nonce, made_at = tickets.challenge_of(tx.seals, ticket), tickets.made_at(ticket)
    return _Try(operator, keys, allowed, None, [put(tx, operator, factor, nonce, made_at)], tx.now)
