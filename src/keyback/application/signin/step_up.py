"""The second step: after a right password, and once more before contacts and factors change.

A question is put to every second factor of the person; what is answered first counts. Mail is never one (N-O1). Tries
are counted and committed before anything is compared, per person and factor (N-T4, D1); a right answer clears those of
the factor that was used and of no other (N-T6).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, Literal, TypeVar

from keyback.application import showing
from keyback.application.challenges import verify
from keyback.application.challenges.consume import consume
from keyback.application.challenges.count import Counted, allowed
from keyback.application.challenges.issue import draft
from keyback.application.challenges.verify import FreshCode
from keyback.application.notifications.account_changes import send_notice
from keyback.application.origin import Origin
from keyback.application.ports.hashing import Busy, PasswordHasher
from keyback.application.ports.proofs import Enrolments, PendingChallenge, Proof, Verdict
from keyback.application.ports.storage import Database, Session, Tx
from keyback.application.showing import Fits, anything
from keyback.application.throttling import password_attempts, proof_attempts
from keyback.domain.challenges.challenge import SHORT_LIFE, Purpose
from keyback.domain.people.factor import BOUND, Factor, FactorKind
from keyback.domain.people.person import Person
from keyback.domain.recovery.events import Note
from keyback.domain.secret import Secret
from keyback.domain.throttling.limits import HARD_CAP
from keyback.domain.units import MINUTE

T = TypeVar("T")
FRESH = 10 * MINUTE  # how long a second step, or the password of somebody without one, lets things be changed
PROOF_OF: dict[FactorKind, str] = {"passkey": "passkey", "totp": "totp", "recovery_codes": "recovery_code"}
"""Factors that can be a second step, the strongest first, with the proof that judges each."""
CAP = HARD_CAP // 2  # the other half is for recoveries: `proof_attempts`
FEW = 3  # saved codes left, from which on the owner is told
StepAnswer = Literal["accepted", "done", "wrong", "not_a_code", "replayed", "no_tries", "over", "stale"]
Fault = Literal["", "wrong", "no_tries"]
STEP_ANSWERS: dict[str, StepAnswer] = {"not_a_code": "not_a_code", "replayed": "replayed", "spent": "replayed"}


@dataclass(frozen=True, slots=True)
class StepResult:
    """What an answer came to. `person_id` and `proof` of the one who answered rightly; `new_code` takes the place of
    the saved code that was used, to be shown once. `done`: the same was accepted just before. `stale`: another
    question waits than the one that was shown. Neither of these counts for anything."""

    code: StepAnswer
    person_id: str = ""
    proof: str = ""
    new_code: Secret | None = field(default=None, repr=False)


def has_second_step(factors: Sequence[Factor]) -> bool:
    """Whether a password alone signs nobody in; saved codes stand in for a lost factor and ask for nothing."""
    return any(f.kind in BOUND for f in factors)


def page_of(session: Session) -> str:
    """The name under which a session's questions are kept; nobody can get from it to the session."""
    return base64.urlsafe_b64encode(session.digest[:16])[:22].decode()


def is_fresh(session: Session, second_step: bool, now: int) -> bool:
    """Whether whoever sits there has just shown who they are: by a second step where the person has one, else by the
    password (A-7.5.1)."""
    if second_step:
        return bool(session.proven) and now - session.proven_at < FRESH
    return now - max(session.proven_at, session.created_at) < FRESH


def issue(tx: Tx, person: Person, purpose: Purpose, page: str) -> tuple[str, ...]:
    """Puts the question to every factor, in place of those that the page still had; the proofs that may answer.

    All share one nonce: a page has one WebAuthn challenge for whichever passkey answers.
    """
    tx.challenges.end_where("replaced", handle=page)
    nonce = tx.random(32)
    new = [
        draft(tx, person, purpose, PROOF_OF[f.kind], SHORT_LIFE, handle=page, target=f.id, nonce=nonce)
        for f in tx.factors.of_person(person.id)
        if f.kind in PROOF_OF
    ]
    tx.challenges.issue(new)
    names = {c.method for c in new}
    return tuple(n for n in PROOF_OF.values() if n in names)


def asked(tx: Tx, page: str, proof: Proof) -> list[PendingChallenge]:
    """The open questions of a page that this proof may answer, each with what its answer is judged by."""
    return verify.pending(tx, tx.challenges.issued(page, proof.name), proof.targets, _held_by)


def _held_by(tx: Tx, ids: Sequence[str]) -> Mapping[str, Enrolments]:
    people, factors = tx.people.people(ids), tx.factors.of_people(ids)  # new ones sign in, whatever they may recover
    codes = tx.factors.codes([f.id for mine in factors.values() for f in mine])
    held = {}
    for i, person in people.items():
        mine = tuple(factors.get(i, ()))
        held[i] = Enrolments(person, (), mine, tuple(c for c in codes if c.factor_id in {f.id for f in mine}))
    return held


async def answer(
    db: Database,
    proof: Proof,
    page: str,
    typed: str,
    origin: Origin,
    then: Callable[[Tx, StepResult], T] | None = None,
    fits: Fits = anything,
) -> T | StepResult:
    """Takes an answer to a page's question, once.

    Args:
        then: what a right answer brings about, in the commit that uses it up (M14).
        fits: whether the question that waits (`showing.question`) is the one that was shown.

    Returns:
        What `then` made of a right answer, else what the answer came to.

    Raises:
        Busy, StorageDown: as `challenges.verify.answer`.
    """
    found, again = await verify.answer(db, proof, _Page(proof, page, origin, then, fits), typed)
    if again:
        return replace(found, code="done") if isinstance(found, StepResult) else StepResult("done")
    return found


async def once_more(
    db: Database, proof: Proof, session: Session, typed: str, origin: Origin, fits: Fits = anything
) -> StepResult:
    """Takes the second step once more in a session; what it opens, it opens with what was used up.

    Raises:
        As `answer`.
    """

    def prove(tx: Tx, step: StepResult) -> StepResult:
        tx.sessions.prove(session.digest, step.proof)
        return step

    return await answer(db, proof, page_of(session), typed, origin, prove, fits)


@dataclass(frozen=True, slots=True)
class _Page(Generic[T]):
    """A page of a sign-in or a session."""

    proof: Proof
    page: str
    origin: Origin
    then: Callable[[Tx, StepResult], T] | None
    fits: Fits

    @property
    def names(self) -> tuple[str, ...]:
        return "step", self.proof.name, self.page

    def is_right(self, found: T | StepResult) -> bool:
        return not isinstance(found, StepResult) or found.code == "accepted"

    def count(self, tx: Tx) -> Counted | T | StepResult:
        live = asked(tx, self.page, self.proof)
        if not live:
            return StepResult("done" if _answered(tx, self.page, self.proof) else "over")
        if not self.fits(showing.question(self.proof, live)):
            return StepResult("stale")
        if not allowed(tx, *_keys(self.proof, live[0].challenge.person_id), total=CAP):
            return StepResult("no_tries")
        return Counted(live, tx.now)

    def take(self, tx: Tx, counted: Counted, verdict: Verdict, fresh: FreshCode | None) -> T | StepResult:
        code = self._take(tx, counted.live, verdict, fresh)
        if code != "accepted":
            return StepResult(code)
        person_id = counted.live[0].challenge.person_id
        step = StepResult(code, person_id, self.proof.name, fresh.text if fresh else None)
        return self.then(tx, step) if self.then else step

    def _take(self, tx: Tx, live: Sequence[PendingChallenge], verdict: Verdict, fresh: FreshCode | None) -> StepAnswer:
        proof, page, meant, right = self.proof, self.page, live[0].challenge, verdict.right
        person = tx.people.lock(meant.person_id)
        where = {"proof": proof.name, "source": self.origin.source[:45], "device": self.origin.agent}
        if verdict.suspicious:
            tx.audit.record(meant.person_id, [Note("proof_suspicious", {**where, "reason": verdict.suspicious})])
        if right is None:
            self._refuse(tx, live, {**where, "reason": verdict.code})
            return STEP_ANSWERS.get(verdict.code, "wrong")
        void = person is None or person.state != "active" or person.security_version != meant.security_version
        done = consume(tx, right, verdict, fresh, void=void)
        if done == "over":
            tx.counters.take_back(_keys(proof, meant.person_id))  # the same was accepted just before: no try
            return "done"
        if person is None or done == "void":
            return "over"
        if done == "replayed":
            self._refuse(tx, live, {**where, "reason": "replayed"})
            return "replayed"
        for name in PROOF_OF.values():  # not the sign-in itself, which waits under the same name
            tx.challenges.end_where("used", handle=page, method=name)
        key, window = _keys(proof, person.id)
        tx.counters.take_back([key, window])  # only wrong ones count
        tx.counters.reset(key)
        proof_attempts.reset(tx, proof.name, person.id)  # who can use it need not renew it
        if verdict.spent:
            _tell_few(tx, person, right)
        return "accepted"

    def _refuse(self, tx: Tx, live: Sequence[PendingChallenge], note: dict[str, object]) -> None:
        """Notes it. A passkey gets a new challenge: one is over with the first answer, right or wrong (W-1, M8)."""
        tx.audit.record(live[0].challenge.person_id, [Note("second_step_refused", note)])
        if self.proof.name != "passkey":
            return
        nonce = tx.random(32)
        over = [(a.holder.person, a.challenge) for a in live if tx.challenges.end(a.challenge.id, "used")]
        tx.challenges.issue(
            [
                draft(tx, person, c.purpose, c.method, SHORT_LIFE, handle=self.page, target=c.target, nonce=nonce)
                for person, c in over
            ]
        )


def _answered(tx: Tx, page: str, proof: Proof) -> bool:
    """Whether the last question of a page was answered, and waits no more."""
    found = tx.challenges.issued(page, proof.name)
    return bool(found) and found[-1].ended == "used"


def _keys(proof: Proof, person_id: str) -> tuple[str, str]:
    """Counters of their own, the total and the hour: no wrong answers to a recovery keep the owner from signing in.
    Together with those of recoveries the caps make the hundred of NIST SP 800-63B-4 3.2.2."""
    return f"{proof.name}/s/{person_id}", f"h/{proof.name}/s/{person_id}"


def renewed(tx: Tx, person_id: str, proof: str) -> None:
    """A new factor took the place of the old ones: wrong answers to those count for nothing any more (N-T6)."""
    tx.counters.reset(f"{proof}/s/{person_id}")
    proof_attempts.reset(tx, proof, person_id)


async def by_password(db: Database, gate: PasswordHasher, session: Session, password: Secret, origin: Origin) -> Fault:
    """Takes the password once more, for somebody without a second step.

    Raises:
        Busy: the hashing gate is full.
        StorageDown: nothing was compared.
    """
    fault, phc = await verify_current_password(db, gate, session, password, origin)
    return fault or await db.write(lambda tx: _again_in(tx, session, phc))


async def verify_current_password(
    db: Database, gate: PasswordHasher, session: Session, password: Secret, origin: Origin
) -> tuple[Fault, str | None]:
    """Whether somebody who is signed in knows their password: what is wrong, else the hash that it fits. Counted before
    it is compared, for each account and whatever it is asked for.

    Raises:
        Busy: the hashing gate is full; it counts for nothing.
        StorageDown: nothing was compared.
    """
    key = password_attempts.known_key(session.account_id)
    account = session.account_id
    fine, phc = await db.write(lambda tx: (allowed(tx, key, total=HARD_CAP), tx.people.credential(account)))
    if not fine:
        return "no_tries", None
    try:
        ok = (await gate.verify(phc, password)).ok
    except Busy:
        await db.write(lambda tx: tx.counters.take_back([key]))
        raise
    await db.write(lambda tx: _compared(tx, session, key, ok, origin))
    return ("", phc) if ok else ("wrong", None)


def _compared(tx: Tx, session: Session, key: str, ok: bool, origin: Origin) -> None:
    if ok:
        tx.counters.take_back([key])
        tx.counters.reset(key)
        return
    where = {"proof": "password", "source": origin.source[:45], "device": origin.agent}
    tx.audit.record(session.person_id, [Note("second_step_refused", {**where, "reason": "wrong"})])


def _again_in(tx: Tx, session: Session, phc: str | None) -> Literal["", "wrong"]:
    tx.people.lock(session.person_id)
    if tx.people.credential(session.account_id) != phc or has_second_step(tx.factors.of_person(session.person_id)):
        return "wrong"
    tx.sessions.prove(session.digest, session.proven)
    return ""


def _tell_few(tx: Tx, person: Person, right: PendingChallenge) -> None:
    left = sum(c.used_at is None for c in tx.factors.codes([right.challenge.target]))
    if left <= FEW:
        send_notice(tx, person.id, "codes_low", detail=str(left))
