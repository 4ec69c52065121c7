"""Signing in to the built-in system: throttled, at the same cost for known and unknown names (L10, B7).

Only a sign-in opens a session; a recovery never does (E1).
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass
from typing import Literal

from keyback.application.challenges.issue import draft
from keyback.application.origin import Origin
from keyback.application.ports.hashing import Busy, PasswordHasher
from keyback.application.ports.storage import Database, Tx
from keyback.application.signin import alerts, step_up
from keyback.application.signin.sessions import SYSTEM, Found, SignedIn, new_token, note_of, open_session, usable
from keyback.application.throttling import password_attempts
from keyback.domain.challenges.challenge import SHORT_LIFE
from keyback.domain.errors import BadInput
from keyback.domain.passwords.rules import PRESETS, Rules, Unreadable, normalize
from keyback.domain.people.person import Account, Person, canonicalize
from keyback.domain.people.phone_identifier import NONE_TAKEN, PhoneIdentifiers
from keyback.domain.secret import Secret


@dataclass(frozen=True, slots=True)
class NotSignedIn:
    """`wrong` says nothing about why; `slow_down` comes with seconds to wait, for known and unknown names alike. `off`
    tells the owner's own browser that the password is off after too many wrong ones, until a recovery renews it."""

    reason: Literal["wrong", "slow_down", "off"]
    wait_s: int = 0


@dataclass(frozen=True, slots=True)
class SecondStep:
    """The password was right and opens nothing yet; `token` finds the sign-in that waits (`second_step.take`).

    Args:
        proofs: what may answer, the best first.
    """

    token: str
    proofs: tuple[str, ...]
    expires_at: int


async def sign_in(
    db: Database,
    gate: PasswordHasher,
    identifier: str,
    password: Secret,
    origin: Origin,
    rules: Rules = PRESETS["nist"],
    leaked: Container[str] = (),
    *,
    browser: bool = False,
    numbers: PhoneIdentifiers = NONE_TAKEN,
) -> SignedIn | SecondStep | NotSignedIn:
    """Checks a password of the built-in system and opens a session, or asks for the second step of who has one.

    A password that is too old or in a public leak still opens one, so that nobody stands outside: `must_change` says
    that it is good for choosing a new password only (N-P5).

    Args:
        browser: a browser signs in: it is known from now on, and a session that is good for a new password only is
            not kept, for nothing in the browser is open to it.
        numbers: whether the identifier may be a phone number.

    Raises:
        Busy: the hashing gate is full; answer 503.
        StorageDown: nothing was checked.
    """
    try:
        canonical = numbers.canonicalize(identifier)
    except BadInput:
        canonical = "\1malformed"  # nobody's, and of characters that every database takes
    found = await db.read(lambda tx: _find(tx, canonical))
    who = found[:2] if found else None
    this = await db.write(lambda tx: password_attempts.count_attempt(tx, who, canonical, password, origin, rules))
    if isinstance(this, password_attempts.Wait):
        return NotSignedIn("slow_down", this.seconds)
    phc = found[2] if found and _usable(found) and not this.off else None
    try:
        ok, stale = await _fits(gate, phc, password)
        if not ok or found is None:
            previous = (await _fits(gate, this.replaced, password))[0] if this.looks_back else None
            await db.write(lambda tx: _failed(tx, found, this, previous, origin))
            return NotSignedIn("off" if this.off and this.may_know else "wrong")
        fresh = await gate.hash(password) if stale else None
    except Busy:
        await db.write(lambda tx: password_attempts.roll_back(tx, this, rules))
        raise
    known = normalize(password.reveal()) in leaked
    return await db.write(
        lambda tx: _open(tx, found, this, origin, fresh, rules, known, browser) or NotSignedIn("wrong")
    )


async def _fits(gate: PasswordHasher, phc: str | None, password: Secret) -> tuple[bool, bool]:
    """Whether a password fits, and whether its hash is stale."""
    try:
        checked = await gate.verify(phc, password)
    except Unreadable:
        return False, False
    return checked.ok, checked.needs_rehash


def _failed(tx: Tx, found: Found | None, this: password_attempts.Try, previous: bool | None, origin: Origin) -> None:
    password_attempts.record_failure(tx, this, previous)
    # Of names that nobody has, a keyed digest: as long as an id and as scattered, so that it takes as long (L10).
    stream = found[1].id if found else this.name.removeprefix("pw/")[:22]
    tx.audit.record(stream, [note_of("sign_in_failed", found, origin)])


def _find(tx: Tx, canonical: str) -> Found | None:
    return tx.people.sign_in_rows(SYSTEM, canonical)


def _usable(found: Found) -> bool:
    return usable(found[0], found[1])


def _open(
    tx: Tx,
    found: Found,
    this: password_attempts.Try,
    origin: Origin,
    fresh: str | None,
    rules: Rules,
    known: bool,
    browser: bool,
) -> SignedIn | SecondStep | None:
    tx.people.lock(found[1].id)
    again = _find(tx, canonicalize(found[0].username))
    if again is None or again[2] != found[2] or not _usable(again):
        return None  # it was changed while we hashed
    account, person, before = again
    if fresh and before:
        tx.people.rehash(account.id, before, fresh)
    password_attempts.record_success(tx, this, rules)
    if step_up.has_second_step(tx.factors.of_person(person.id)):
        return _ask_second(tx, account, person, origin, known)
    return open_session(tx, account, person, origin, rules, leaked=known, browser=browser)


def _ask_second(tx: Tx, account: Account, person: Person, origin: Origin, leaked: bool) -> SecondStep:
    """Notes that the password was right, and puts the question to every second factor."""
    token, page = new_token(), tx.new_id()
    proofs = step_up.issue(tx, person, "sign_in", page)
    how = "breached" if leaked else "password"
    waits = draft(tx, person, "sign_in", how, SHORT_LIFE, handle=page, target=account.id)
    tx.challenges.issue([waits], token=token)
    alerts.notify_password_only(tx, account, person, origin, waits)
    tx.audit.record(person.id, [note_of("second_step_asked", (account, person, None), origin)])
    return SecondStep(token, proofs, waits.expires_at)
