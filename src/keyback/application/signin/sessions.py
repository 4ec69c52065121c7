"""Sessions: opened, found, ended; of one person or of everybody (OWASP ASVS 5.0 7.4.5)."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from keyback.application import known_devices
from keyback.application.origin import Origin
from keyback.application.ports.storage import Database, MustChange, Session, Tx
from keyback.application.signin import alerts
from keyback.application.throttling import password_attempts
from keyback.domain import tokens
from keyback.domain.errors import BadInput
from keyback.domain.passwords.rules import DAY, Rules
from keyback.domain.people.person import Account, Person, canonicalize
from keyback.domain.recovery.events import Note
from keyback.domain.secret import Secret
from keyback.domain.units import HOUR, MINUTE

PORTION = 500  # people in one transaction
SYSTEM = password_attempts.SYSTEM
SESSION_LIFE = 12 * HOUR
SEEN_EVERY = MINUTE
T = TypeVar("T")
Found = tuple[Account, Person, str | None]


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


def usable(account: Account, person: Person) -> bool:
    """Whether anybody may sign in with this account at all."""
    return person.state == "active" and account.state == "active" and not account.provider


def new_token() -> str:
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
    token = new_token()
    source, device = origin.source[:45], origin.agent
    due_at = rules.due_at(tx.people.changed_at(account.id) or tx.now)
    days = None if due_at is None else max(0, -(-(due_at - tx.now) // DAY))
    must_change: MustChange = (
        "breached" if leaked else "due" if days == 0 or tx.counters.get(f"renew/{account.id}").total else ""
    )
    if not must_change:
        tx.people.bump_security(person.id)  # who can sign in needs no pending link any more (C17)
    expires_at = tx.now + SESSION_LIFE
    digest, at = tokens.token_digest(token), tx.now if proven else 0
    tx.sessions.add(
        Session(digest, person.id, account.id, tx.now, tx.now, expires_at, source, device, must_change, proven, at)
    )
    alerts.signed_in(tx, account, person, origin)
    tx.audit.record(person.id, [note_of("signed_in", (account, person, None), origin, proven)])
    cookie = ""
    if browser and must_change:
        sign_out(tx, token)
    elif browser:
        cookie = known_devices.remember(tx, person.id, origin)
    return SignedIn(token, person, account, expires_at, days, must_change, device=cookie)


def note_of(kind: str, found: Found | None, origin: Origin, proof: str = "") -> Note:
    who = {"account": found[0].id, "person": found[1].id} if found else {}
    if proof:
        who["proof"] = proof
    return Note(kind, {**who, "source": origin.source[:45], "device": origin.agent})


def session_of(tx: Tx, token: str, *, limited: bool = False) -> tuple[Session, Person, Account] | None:
    """The live session behind a cookie or bearer token.

    Args:
        limited: take one that is good for choosing a new password only, too. Nothing but that may follow then.
    """
    session = tx.sessions.get(tokens.token_digest(token))
    if session is not None and session.must_change and not limited:
        return None
    person = tx.people.person(session.person_id) if session else None
    if session is None or person is None or person.state != "active":
        return None
    account = next((a for a in tx.people.accounts([person.id]).get(person.id, ()) if a.id == session.account_id), None)
    if account is None or account.state != "active":  # a lockdown on another node may have missed the newest session
        return None
    return session, person, account


async def look(
    db: Database, token: str, found: Callable[[Tx, Session, Person, Account], T], *, limited: bool = False
) -> T | None:
    """What `found` has to say of the live session behind a token; None where there is none.

    That it was used is written down once a minute: a page costs half as much without a commit.

    Args:
        limited: as in `session_of`.
    """

    def read(tx: Tx) -> tuple[T, Session, int] | None:
        live = session_of(tx, token, limited=limited)
        return (found(tx, *live), live[0], tx.now) if live is not None else None

    read_now = await db.read(read)
    if read_now is None:
        return None
    out, session, now = read_now
    if now - session.seen_at >= SEEN_EVERY:
        await db.write(lambda tx: tx.sessions.touch(session.digest))
    return out


def sign_out(tx: Tx, token: str) -> None:
    """Ends the session; ending one that is over is no fault."""
    ended = tx.sessions.end(tokens.token_digest(token))
    if ended:
        who = {"person": ended.person_id, "account": ended.account_id}
        tx.audit.record(ended.person_id, [Note("signed_out", who)])


@dataclass(frozen=True, slots=True)
class SignedOut:
    """How many sessions ended, of how many people."""

    people: int = 0
    sessions: int = 0


def people_named(tx: Tx, name: str) -> tuple[Person, ...]:
    """The people with this user name, mail address or id; several may share an address."""
    person = tx.people.person(name)
    if person is not None:
        return (person,)
    try:
        canonical = canonicalize(name)
    except BadInput:
        return ()
    return tuple(m.person for m in tx.people.match([canonical]).get(canonical, ()))


def revoke_all(tx: Tx, person_id: str, reason: str) -> int:
    """Ends a person's sessions, and sign-ins of theirs that wait for the second step; how many sessions there were.

    Browsers stay known: this is no lock. Whoever knows the password can sign in anew.
    """
    ended = tx.sessions.end_all(person_id)
    for purpose in ("sign_in", "step_up"):
        tx.challenges.end_where("stopped", person_id=person_id, purpose=purpose)
    tx.audit.record(person_id, [Note("sessions_ended", {"count": ended, "by": "operator", "reason": reason})])
    return ended


async def revoke_everybody(db: Database, reason: str, progress: Callable[[int, int], None]) -> SignedOut:
    """Ends every session, a few hundred people at a time.

    Args:
        progress: told (done, of) after each portion.
    """
    people, after, done, sessions = await db.read(lambda tx: tx.sessions.people()), "", 0, 0
    await db.write(lambda tx: _end_waiting(tx, people, reason))
    while True:
        ids, ended = await db.write(partial(_portion, after=after, reason=reason))
        done, sessions = done + len(ids), sessions + ended
        progress(done, max(people, done))
        if len(ids) < PORTION:
            return SignedOut(done, sessions)
        after = ids[-1]


def _end_waiting(tx: Tx, people: int, reason: str) -> None:
    waiting = tx.challenges.end_where("stopped", purpose="sign_in")
    told = {"people": people, "waiting": waiting, "by": "operator", "reason": reason}
    tx.audit.record("sessions", [Note("everybody_signed_out", told)])


def _portion(tx: Tx, after: str, reason: str) -> tuple[list[str], int]:
    ids = list(tx.sessions.next_people(after, PORTION))
    return ids, sum(revoke_all(tx, pid, reason) for pid in ids)
