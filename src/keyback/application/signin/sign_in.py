"""Signing in to the built-in system: throttled, at the same cost for known and unknown names (L10, B7).

Only a sign-in opens a session; a recovery never does (E1).
"""

from __future__ import annotations

import base64
import os
from collections.abc import Container
from dataclasses import dataclass, field
from typing import Literal

from keyback.application import known_devices, throttle
from keyback.application.origin import Origin
from keyback.application.ports.hashing import Busy, PasswordHasher
from keyback.application.ports.storage import Database, MustChange, Session, Tx
from keyback.application.signin import alerts, step_up
from keyback.domain import challenge as ch
from keyback.domain.errors import BadInput
from keyback.domain.events import Note
from keyback.domain.password import DAY, PRESETS, Rules, Unreadable, normalize
from keyback.domain.person import Account, Person, canonicalize
from keyback.domain.prompt import SHORT_LIFE, Prompt
from keyback.domain.secret import Secret

SYSTEM = throttle.SYSTEM
SESSION_LIFE = 12 * ch.HOUR


@dataclass(frozen=True, slots=True)
class SignedIn:
    """`token` is the session's secret; the database keeps its digest.

    Args:
        password_due_in_days: whole days that begin until the password must be replaced; None where age is no reason.
        must_change: why this session is good for nothing but choosing a new password; empty for a full one.
        new_code: takes the place of the saved code that was the second step, to be shown once.
        device: value of the cookie by which the browser is known again; empty where none was asked for.
    """

    token: str
    person: Person
    account: Account
    expires_at: int
    password_due_in_days: int | None = None
    must_change: MustChange = ""
    new_code: Secret | None = field(default=None, repr=False)
    device: str = field(default="", repr=False)


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
) -> SignedIn | SecondStep | NotSignedIn:
    """Checks a password of the built-in system and opens a session, or asks for the second step of who has one.

    A password that is too old or in a public leak still opens one, so that nobody stands outside: `must_change` says
    that it is good for choosing a new password only (N-P5).

    Args:
        browser: a browser signs in: it is known from now on, and a session that is good for a new password only is
            not kept, for nothing in the browser is open to it.

    Raises:
        Busy: the hashing gate is full; answer 503.
        StorageDown: nothing was checked.
    """
    try:
        canonical = canonicalize(identifier)
    except BadInput:
        canonical = "\1malformed"  # nobody's, and of characters that every database takes
    found = await db.read(lambda tx: _find(tx, canonical))
    who = found[:2] if found else None
    this = await db.write(lambda tx: throttle.begin(tx, who, canonical, password, origin, rules))
    if isinstance(this, throttle.Wait):
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
        await db.write(lambda tx: throttle.undo(tx, this, rules))
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


def _failed(tx: Tx, found: Found | None, this: throttle.Try, previous: bool | None, origin: Origin) -> None:
    throttle.wrong(tx, this, previous)
    # Of names that nobody has, a keyed digest: as long as an id and as scattered, so that it takes as long (L10).
    stream = found[1].id if found else this.name.removeprefix("pw/")[:22]
    tx.audit.record(stream, [_note("sign_in_failed", found, origin)])


Found = tuple[Account, Person, str | None]


def _find(tx: Tx, canonical: str) -> Found | None:
    return tx.people.sign_in_rows(SYSTEM, canonical)


def _usable(found: Found) -> bool:
    return usable(found[0], found[1])


def usable(account: Account, person: Person) -> bool:
    """Whether anybody may sign in with this account at all."""
    return person.state == "active" and account.state == "active" and not account.provider


def _open(
    tx: Tx,
    found: Found,
    this: throttle.Try,
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
    throttle.right(tx, this, rules)
    if step_up.has_second_step(tx.factors.of_person(person.id)):
        return _ask_second(tx, account, person, origin, known)
    return open_session(tx, account, person, origin, rules, leaked=known, browser=browser)


def _ask_second(tx: Tx, account: Account, person: Person, origin: Origin, leaked: bool) -> SecondStep:
    """Notes that the password was right, and puts the question to every second factor."""
    token, page = _token(), tx.new_id()
    proofs = step_up.put(tx, person, "sign_in", page)
    waits = Prompt(
        tx.new_id(), "sign_in", "breached" if leaked else "password", person.id, tx.random(32), person.security_version,
        tx.now, tx.now + SHORT_LIFE, handle=page, target=account.id,
    )  # fmt: skip
    tx.prompts.add(waits, ch.token_digest(token))
    alerts.half_way(tx, account, person, origin, waits)
    tx.audit.record(person.id, [_note("second_step_asked", (account, person, None), origin)])
    return SecondStep(token, proofs, waits.expires_at)


def _token() -> str:
    return base64.urlsafe_b64encode(os.urandom(32)).rstrip(b"=").decode()


def open_session(
    tx: Tx,
    account: Account,
    person: Person,
    origin: Origin,
    rules: Rules,
    *,
    leaked: bool = False,
    proven: str = "",
    browser: bool = False,
) -> SignedIn:
    """Opens a session for somebody who has shown enough. Callers have locked the person.

    Args:
        leaked: the password is in a public leak.
        proven: the second step that was taken.
        browser: as for `sign_in`.
    """
    token = _token()
    source, device = origin.source[:45], origin.agent
    due_at = rules.due_at(tx.people.changed_at(account.id) or tx.now)
    days = None if due_at is None else max(0, -(-(due_at - tx.now) // DAY))
    must_change: MustChange = "breached" if leaked else "due" if days == 0 else ""
    if not must_change:
        tx.people.bump_security(person.id)  # who can sign in needs no pending link any more (C17)
    expires_at = tx.now + SESSION_LIFE
    digest, at = ch.token_digest(token), tx.now if proven else 0
    tx.sessions.add(
        Session(digest, person.id, account.id, tx.now, tx.now, expires_at, source, device, must_change, proven, at)
    )
    alerts.signed_in(tx, account, person, origin)
    tx.audit.record(person.id, [_note("signed_in", (account, person, None), origin, proven)])
    cookie = ""
    if browser and must_change:
        sign_out(tx, token)
    elif browser:
        cookie = known_devices.remember(tx, person.id, origin)
    return SignedIn(token, person, account, expires_at, days, must_change, device=cookie)


def _note(kind: str, found: Found | None, origin: Origin, proof: str = "") -> Note:
    who = {"account": found[0].id, "person": found[1].id} if found else {}
    if proof:
        who["proof"] = proof
    return Note(kind, {**who, "source": origin.source[:45], "device": origin.agent})


def session_of(tx: Tx, token: str, *, limited: bool = False) -> tuple[Session, Person, Account] | None:
    """The live session behind a cookie or bearer token.

    Args:
        limited: take one that is good for choosing a new password only, too. Nothing but that may follow then.
    """
    session = tx.sessions.get(ch.token_digest(token))
    if session is not None and session.must_change and not limited:
        return None
    person = tx.people.person(session.person_id) if session else None
    if session is None or person is None or person.state != "active":
        return None
    account = next((a for a in tx.people.accounts([person.id]).get(person.id, ()) if a.id == session.account_id), None)
    if account is None or account.state != "active":  # a lockdown on another node may have missed the newest session
        return None
    return session, person, account


def sign_out(tx: Tx, token: str) -> None:
    """Ends the session; ending one that is over is no fault."""
    ended = tx.sessions.end(ch.token_digest(token))
    if ended:
        who = {"person": ended.person_id, "account": ended.account_id}
        tx.audit.record(ended.person_id, [Note("signed_out", who)])
