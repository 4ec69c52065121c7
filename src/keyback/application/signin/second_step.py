"""From a right password to a session, where the person has a second step; and signing in by passkey alone.

Between the two a sign-in is nothing but a challenge that its own cookie finds: it opens no page and ends after ten
minutes. A passkey that verifies its user is both at once (NIST SP 800-63B-4 section 3.1.7), so it signs in by itself.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from keyback.application.origin import Origin
from keyback.application.ports.proofs import Proof
from keyback.application.ports.storage import Database, Tx
from keyback.application.showing import Fits, anything
from keyback.application.signin import sessions, step_up
from keyback.application.signin.sessions import SignedIn
from keyback.application.signin.sign_in import SecondStep
from keyback.application.signin.step_up import StepResult
from keyback.domain import tokens
from keyback.domain.errors import Refusal
from keyback.domain.passwords.rules import PRESETS, Rules
from keyback.domain.people.person import Account, Person


@dataclass(frozen=True, slots=True)
class Pending:
    """A sign-in that waits for its second step. `proofs` may answer, the best first."""

    page: str
    person: Person
    account: Account
    proofs: tuple[str, ...]
    leaked: bool


def look(tx: Tx, token: str) -> Pending | None:
    """Reads; None when there is none, or it is over."""
    root = tx.challenges.by_link(tokens.token_digest(token)) if token else None
    if root is None or root.purpose != "sign_in" or not root.waits(tx.now):
        return None
    person, account = tx.people.person(root.person_id), tx.people.account(root.target)
    if person is None or account is None or person.security_version != root.security_version:
        return None
    if not sessions.usable(account, person):
        return None
    kinds = {f.kind for f in tx.factors.of_person(person.id)}
    proofs = tuple(proof for kind, proof in step_up.PROOF_OF.items() if kind in kinds)
    return Pending(root.handle, person, account, proofs, root.method == "breached")


async def take(
    db: Database,
    proof: Proof,
    token: str,
    typed: str,
    origin: Origin,
    rules: Rules = PRESETS["nist"],
    *,
    browser: bool = False,
    fits: Fits = anything,
) -> SignedIn | StepResult:
    """Takes the second step and opens the session: what was shown is used up with the session that it opens, and what
    takes its place is kept with it, or nothing of all that happens (M14).

    Args:
        browser: as for `sign_in.sign_in`.
        fits: as for `step_up.answer`.

    Raises:
        Busy: the hashing gate is full.
        StorageDown: nothing was compared, or nothing came of it.
    """
    pending, taken = await db.read(lambda tx: (look(tx, token), _taken(tx, token)))
    if pending is None:
        return StepResult("done" if taken else "over")
    try:
        finish = lambda tx, step: _finish(tx, token, step, origin, rules, browser)  # noqa: E731
        return await step_up.answer(db, proof, pending.page, typed, origin, finish, fits)
    except Refusal as e:
        if e.code != "over":
            raise
        return StepResult("over")


def _taken(tx: Tx, token: str) -> bool:
    """Whether a sign-in has had its second step."""
    root = tx.challenges.by_link(tokens.token_digest(token)) if token else None
    return root is not None and (root.purpose, root.ended) == ("sign_in", "used")


def _finish(tx: Tx, token: str, step: StepResult, origin: Origin, rules: Rules, browser: bool) -> SignedIn:
    pending = look(tx, token)
    root = tx.challenges.by_link(tokens.token_digest(token), lock=True)
    if pending is None or root is None or pending.person.id != step.person_id or not tx.challenges.end(root.id, "used"):
        raise Refusal("over")
    entered = sessions.open_session(
        tx, pending.account, pending.person, origin, rules, leaked=pending.leaked, proven=step.proof, browser=browser
    )
    return replace(entered, new_code=step.new_code)


# ── a passkey alone ─────────────────────────────────────────────────────────


__all__ = ["Pending", "SecondStep", "look", "take"]
