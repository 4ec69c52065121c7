"""Signing in with a passkey alone."""

from __future__ import annotations

import base64
import os

from keyback.application import known_devices
from keyback.application.challenges import issue
from keyback.application.origin import Origin, network_of
from keyback.application.ports.proofs import Enrolments, PendingChallenge, Proof, Target, Verdict
from keyback.application.ports.storage import Database, Seals, Tx
from keyback.application.signin import sessions
from keyback.application.signin.sessions import SYSTEM, SignedIn
from keyback.application.signin.sign_in import NotSignedIn
from keyback.application.throttling import proof_attempts
from keyback.domain import digests
from keyback.domain.challenges.challenge import SHORT_LIFE, Challenge, key_purpose
from keyback.domain.passwords.rules import PRESETS, Rules
from keyback.domain.recovery.events import Note
from keyback.domain.throttling.limits import HARD_CAP, WINDOW_TRIES

TOKEN_BYTES = 16


def new_ticket(now: int) -> str:
    """What a browser keeps of a challenge that was put to nobody in particular: when, and 128 random bits."""
    return base64.urlsafe_b64encode(now.to_bytes(8, "big") + os.urandom(TOKEN_BYTES)).decode()


def challenge_of(seals: Seals, ticket: str) -> bytes:
    """The challenge that goes with a ticket. Nothing is stored for a page that anybody may load; that a ticket was
    used is (W-1)."""
    return digests.mac(seals.derive(key_purpose("passkey")), b"passkey\0" + ticket.encode())


def stand_in(seals: Seals, ticket: str) -> PendingChallenge:
    """The question of the sign-in page, which is put to nobody (W-6)."""
    now = made_at(ticket)
    return issue.stand_in(seals, "passkey", challenge_of(seals, ticket), now, now + SHORT_LIFE)


def made_at(ticket: str) -> int:
    """When a ticket was made (ms); 0 for none."""
    try:
        raw = base64.urlsafe_b64decode(ticket.encode())
    except ValueError:
        return 0
    return int.from_bytes(raw[:8], "big") if len(raw) == 8 + TOKEN_BYTES else 0


async def by_passkey(
    db: Database,
    proof: Proof,
    ticket: str,
    lookup: bytes | None,
    typed: str,
    origin: Origin,
    rules: Rules = PRESETS["nist"],
    *,
    browser: bool = False,
) -> SignedIn | NotSignedIn:
    """Signs in whoever's passkey answers the challenge of the sign-in page.

    Args:
        ticket: of the page, from its cookie.
        lookup: digest of the credential that answers; None where the answer cannot be read.
        browser: as for `sign_in.sign_in`.
    """
    live, counted = await db.write(lambda tx: _meant(tx, ticket, lookup, origin))
    now = await db.read(lambda tx: tx.now)
    verdict = await proof.verify(live, typed[:8192], now)
    admit = lambda tx: _admit(tx, ticket, live, verdict, counted, origin, rules, browser)  # noqa: E731
    return await db.write(admit) or NotSignedIn("wrong")


def _tries(tx: Tx, person_id: str, origin: Origin) -> str:
    """The counter of tries at a person's passkeys from one network, or from one browser that they signed in with.

    A signature is no secret that many tries could guess, so a count over all networks would protect nothing and let
    whoever knows the id of a credential, which is none, switch its owner's sign-in off (INV-I9, ADR 22).
    """
    own = known_devices.standing(tx, person_id, origin).device
    place = origin.device if own else network_of(origin.source)
    return f"pw/p/{person_id}/{digests.digest(place.encode()).hex()[:16]}"  # purged like those of passwords


def _meant(tx: Tx, ticket: str, lookup: bytes | None, origin: Origin) -> tuple[list[PendingChallenge], str]:
    """Counts a try at the passkey that is named (N-T4); with the name of what counted it."""
    if not is_fresh(tx.now, ticket):
        return [], ""
    used, at = tx.counters.get(_used(ticket)).total, made_at(ticket)
    factor = tx.factors.by_lookup(lookup) if lookup else None
    tries = _tries(tx, factor.person_id, origin) if factor else ""
    counts = tx.counters.add([tries] if tries else [])
    if used and tries:
        tx.counters.take_back([tries])  # the same ticket again: nothing is compared, so it is no try
    if used or factor is None or factor.state != "active":
        return [], tries
    if counts[tries].total > HARD_CAP or counts[tries].hour > WINDOW_TRIES:
        tx.counters.take_back([tries])  # not compared, so no try
        return [], tries
    person = tx.people.person(factor.person_id)
    if person is None or person.state != "active":
        return [], tries
    nonce = challenge_of(tx.seals, ticket)
    shown = Challenge(
        "", "sign_in", "passkey", person.id, nonce, person.security_version, at, at + SHORT_LIFE,
        target=factor.id,
    )  # fmt: skip
    return [PendingChallenge(shown, Enrolments(person, (), (factor,)), Target(factor.id, ""), b"")], tries


def is_fresh(now: int, ticket: str) -> bool:
    """Whether a ticket's challenge may still be answered at `now` (ms)."""
    at = made_at(ticket)
    return 0 < at <= now < at + SHORT_LIFE


def _used(ticket: str) -> str:
    return f"pw/k/{digests.digest(ticket.encode()).hex()[:32]}"


def _admit(
    tx: Tx,
    ticket: str,
    live: list[PendingChallenge],
    verdict: Verdict,
    counted: str,
    origin: Origin,
    rules: Rules,
    browser: bool,
) -> SignedIn | None:
    """Uses the ticket up, whatever comes of it (M8), and opens the session with it."""
    fresh = tx.people.lock(live[0].holder.person.id if live else "")
    again = is_fresh(tx.now, ticket) and tx.counters.add([_used(ticket)])[_used(ticket)].total > 1
    if again and live:
        tx.counters.take_back([counted])  # another node took the same answer just before: no try
    if again or not live:
        return None
    person = live[0].holder.person
    where = {"proof": "passkey", "source": origin.source[:45], "device": origin.agent}
    if verdict.suspicious:
        tx.audit.record(person.id, [Note("proof_suspicious", {**where, "reason": verdict.suspicious})])
    right = verdict.right
    accounts = tx.people.accounts([person.id]).get(person.id, ())
    account = next((a for a in accounts if a.system == SYSTEM and sessions.usable(a, person)), None)
    if right is None or account is None or fresh is None or fresh.security_version != person.security_version:
        tx.audit.record(person.id, [Note("second_step_refused", {**where, "reason": verdict.code})])
        return None
    factor_id = right.challenge.target
    taken = tx.factors.touch(factor_id) if verdict.counter is None else tx.factors.advance(factor_id, verdict.counter)
    if not taken:
        return None
    tx.counters.take_back([counted])  # only wrong ones count
    tx.counters.reset(counted)
    proof_attempts.reset(tx, "passkey", person.id)  # who can use it need not renew it
    return sessions.open_session(tx, account, fresh, origin, rules, proven="passkey", browser=browser)
