"""Other ways to prove who one is than the mailed link: asking for one, and answering it.

Asking is written down for everybody alike (`Want`); the worker finds whom the page is about and puts the question to
what they have enrolled. Answering counts first and compares then, in statements that do not depend on whether anybody
is meant (D1, A3).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from keyback.application import showing
from keyback.application.origin import Origin
from keyback.application.ports.proofs import Enrolments, PendingChallenge, Proof, Target, Verdict
from keyback.application.ports.storage import Database, Seals, Tx
from keyback.application.recovery import evidence
from keyback.application.recovery.evidence import Here
from keyback.application.recovery.start import INTAKE_LIFE
from keyback.application.showing import Fits
from keyback.application.signin import step_up
from keyback.application.throttling import duplicate_answers, proof_attempts
from keyback.domain.challenges.challenge import RECOVERY_CONTACT, Challenge, ChallengeRequest, key_purpose
from keyback.domain.errors import Refusal
from keyback.domain.people.ages import Ages, living
from keyback.domain.people.factor import NEVER, SavedCode
from keyback.domain.people.person import Contact, Person
from keyback.domain.policy.rules import Journey, Policy, ProofClass
from keyback.domain.recovery import case as dc
from keyback.domain.recovery.case import Case
from keyback.domain.recovery.events import Note
from keyback.domain.secret import Secret
from keyback.domain.throttling.limits import RESEND_AFTER, TRIES_SHOWN

DEFAULT_AGES = Ages()
ANY_AGE = Ages(NEVER, NEVER, NEVER)  # what was asked may be answered; evidence says what it weighs by then
MethodAnswer = Literal["accepted", "done", "wrong", "no_tries", "not_a_code", "replayed"]
METHOD_ANSWERS: dict[str, MethodAnswer] = {"not_a_code": "not_a_code", "replayed": "replayed", "spent": "replayed"}


def offered(proofs: Mapping[str, Proof], policy: Policy, journey: Journey) -> tuple[str, ...]:
    """What a page may offer before anything is proven: the same for everybody."""
    names = [n for n, p in proofs.items() if policy.takes(n) and n != "email_link" and p.kind != "knowledge"]
    return () if journey == "username" else tuple(names)


def holder_of(tx: Tx, person: Person, ages: Ages = DEFAULT_AGES) -> Enrolments:
    """The person with what may recover now: confirmed, active, cooled in, and not too long ago."""
    contacts = living((c for c in tx.contacts.of_person(person.id) if c.usable_from <= tx.now), tx.now, ages)
    factors = tuple(f for f in tx.factors.of_person(person.id) if f.usable_from <= tx.now)
    codes = tx.factors.codes([f.id for f in factors] or [""])  # asked for all alike, whatever they have (A3)
    return Enrolments(person, contacts, factors, tuple(codes))


@dataclass(frozen=True, slots=True)
class RecoveryMethod:
    """A way that is open to a person who has proven something: what it can be put to."""

    proof: str
    targets: tuple[Target, ...]
    kind: ProofClass


def available_methods(
    tx: Tx, proofs: Mapping[str, Proof], policy: Policy, case: Case, handle: str
) -> list[RecoveryMethod]:
    """What this person could show next on this page; what it showed already is left out."""
    person = tx.people.person(case.person_id)
    intake = tx.intakes.get(handle)
    if person is None or intake is None:
        return []
    holder, used = holder_of(tx, person, policy.ages), {e.channel for e in case.shown_by(handle)}
    out = []
    for name, proof in proofs.items():
        if not policy.takes(name, case.tier) or (intake.journey == "mailbox" and name == "email_link"):
            continue
        if not may_ask(proof, case, handle):
            continue
        targets = tuple(t for t in proof.targets(holder) if t.channel not in used)
        if targets:
            out.append(RecoveryMethod(name, targets, proof.kind))
    return out


def may_ask(proof: Proof, case: Case | None, handle: str) -> bool:
    """Whether a page may put a question of this kind: what only knowledge answers comes after the mailed link, so that
    nobody else learns what is asked, or that somebody is asked (O-Q1)."""
    if proof.kind != "knowledge":
        return True
    return case is not None and any(e.proof == "email_link" for e in case.shown_by(handle))


def ask(tx: Tx, handle: str, proof: Proof, target: str = "") -> bool:
    """Queues the question; False when the last of its kind is too young (two minutes where something is sent).

    Args:
        target: id of the contact or factor that was chosen; only pages that have proven something choose.
    """
    wait = RESEND_AFTER if proof.carrier else 0
    target = target if target.isascii() and target.isprintable() else ""
    want = ChallengeRequest(handle, proof.name, tx.now, tx.now + INTAKE_LIFE, target[:22])
    return tx.challenges.request(want, tx.now - wait)


def is_shown(proof: Proof) -> bool:
    """Whether pages show the question themselves; where a message carries a secret, every message has its own."""
    return not proof.carrier or proof.kind == "contact"


def nonce_for(seals: Seals, want: ChallengeRequest) -> bytes:
    """The nonce of what a page shows itself, such as a WebAuthn challenge: known before anybody looks up whether the
    page is about somebody, so that it is there for everybody (W-6)."""
    return _nonce(seals.derive(key_purpose(want.method)), want)


def _nonce(key: bytes, want: ChallengeRequest) -> bytes:
    # The digits for a colleague stay when they are sent again: a withheld letter leaves the old ones good, and a page
    # whose digits change for nobody only would tell who exists (A3).
    sends = 0 if want.method == RECOVERY_CONTACT else want.sends
    seed = f"{want.handle}/{want.method}/{sends}".encode()
    return hmac.digest(key, b"shown\0" + seed, hashlib.sha256)


def stand_in(seals: Seals, want: ChallengeRequest) -> PendingChallenge:
    """A question that is put to nobody: a page shows it where the worker found nobody, or is not done yet."""
    nobody = Person("", "", "en", "standard", "active")
    shown = Challenge("", "recovery", want.method, "", nonce_for(seals, want), 0, want.asked_at, want.expires_at)
    return PendingChallenge(shown, Enrolments(nobody), Target("", ""), seals.derive(key_purpose(want.method)))


def on_page(
    seals: Seals, want: ChallengeRequest, proof: Proof, asked: Sequence[PendingChallenge]
) -> list[PendingChallenge]:
    """What a page shows of its question: the newest, also while the worker has not put it yet. What a message carried
    stays good where a further one is withheld."""
    newest = [a for a in asked if proof.carrier or a.challenge.nonce == _nonce(a.key, want)]
    return newest or [stand_in(seals, want)]


def question(seals: Seals, want: ChallengeRequest, proof: Proof, asked: Sequence[PendingChallenge]) -> str:
    """Words for what a page shows of a question, for its form: to what it was put, and what has to be answered."""
    return f"{want.target}\0{showing.question(proof, on_page(seals, want, proof, asked))}"


# ── answering ───────────────────────────────────────────────────────────────


async def answer(
    db: Database,
    proof: Proof,
    handle: str,
    typed: str,
    here: Here,
    *,
    only: str = "",
    fits: Fits | None = None,
) -> tuple[MethodAnswer, int, Secret | None]:
    """Takes an answer. A wrong one costs the same statements where the page is about one person and about nobody.

    Args:
        only: id of the one challenge that is answered, where it came by a link of its own; somebody else than the
            person answers then, in another browser.
        fits: whether the question that waits (`question`) is the one that was shown; None where no page did.

    Returns:
        The word for it, the tries that are left on this page, and the saved code that takes the place of the one that
        was used, to be shown once. `done` says that the page has shown it already, as when the same answer came twice
        at once: this one counts for nothing.

    Raises:
        Refusal: `not_found` for a handle that does not exist or is over; `wrong_state` where another question waits,
            and no try was spent.
        Busy: the hashing gate is full.
        StorageDown: nothing was compared; it fails closed (D13).
    """
    key = duplicate_answers.key_of(db, proof.name, handle, only, answer=typed)
    (code, left, text), again = await duplicate_answers.first(
        key, lambda: _answer(db, proof, handle, typed, here, only, fits), lambda found: found[0] == "accepted"
    )
    return ("done" if again else code), left, text


async def _answer(
    db: Database, proof: Proof, handle: str, typed: str, here: Here, only: str, fits: Fits | None
) -> tuple[MethodAnswer, int, Secret | None]:
    counted = await db.write(lambda tx: _count(tx, handle, proof, here.origin, fits))
    if counted is None:
        return "done", TRIES_SHOWN, None
    if counted.left is None:
        return "no_tries", 0, None
    asked, now = await db.read(lambda tx: (_asked(tx, handle, proof, counted.over), tx.now))
    asked = [a for a in asked if only in ("", a.challenge.id)]
    verdict = await proof.verify(asked, typed[:8192], now)
    text, new = await step_up.instead(proof, verdict)
    code = await db.write(lambda tx: _take(tx, handle, proof, verdict, here, counted, new, "number" if only else ""))
    return code, counted.left, text if code == "accepted" else None


@dataclass(frozen=True, slots=True)
class _Counted:
    """An answer that was counted.

    Args:
        left: tries on the page; None where there was none left, and nothing was counted.
        people: who may be meant.
        over: those of them with whom it is not compared.
        shown: how often the page had shown this proof before.
    """

    left: int | None
    people: frozenset[str] = frozenset()
    over: frozenset[str] = frozenset()
    shown: int = 0


def _live(tx: Tx, handle: str, name: str) -> list[Challenge]:
    return [p for p in tx.challenges.issued(handle, name) if p.waits(tx.now)]


def _count(tx: Tx, handle: str, proof: Proof, origin: Origin, fits: Fits | None) -> _Counted | None:
    """First transaction: counts, per page and per person and proof, whatever was asked how often (N-O3, N-T4); None
    where the page has shown it already and asks for nothing more of the kind."""
    intake, name = tx.intakes.get(handle), proof.name
    if intake is None:
        raise Refusal("not_found")
    shown = evidence.shown(tx, intake, name)
    if shown and not _live(tx, handle, name):
        return None
    if fits is not None and not _still(tx, handle, proof, fits):
        raise Refusal("wrong_state")
    tries = tx.challenges.count_try(handle, name, TRIES_SHOWN)
    if tries is None:
        return _Counted(None)
    live = _live(tx, handle, name)
    people = frozenset(p.person_id for p in live)
    over = proof_attempts.count(tx, name, people, intake.subject.hex(), origin)
    if proof.kind == "knowledge":
        over |= {p.person_id for p in live if not proof_attempts.count_answer(tx, p.person_id, _question(tx, p))}
    return _Counted(TRIES_SHOWN - tries, people, over, shown)


def _question(tx: Tx, asked: Challenge) -> str:
    """Which question a challenge asks: another one after each right answer (`proofs.security_questions`)."""
    factor = tx.factors.get(asked.target)
    return hashlib.sha256(f"{asked.target}/{factor.used_at if factor else 0}".encode()).hexdigest()[:16]


def _still(tx: Tx, handle: str, proof: Proof, fits: Fits) -> bool:
    """Whether a page's question is the one that a form was drawn for; as many statements for nobody."""
    want = next((w for w in tx.challenges.requested(handle) if w.method == proof.name), None)
    asked = asked_now(tx, handle, proof)
    return want is None or fits(question(tx.seals, want, proof, asked))


def _asked(tx: Tx, handle: str, proof: Proof, spent: frozenset[str]) -> list[PendingChallenge]:
    live = _live(tx, handle, proof.name)
    # Each person once, however much they have; nobody's rows where the page is about nobody: as many statements.
    people = {i: _look_up(tx, i) for i in dict.fromkeys(p.person_id for p in live) or ("",)}
    out: list[PendingChallenge] = []
    for c in live:
        person, holder = people[c.person_id]
        if person is None or person.state != "active" or person.security_version != c.security_version:
            continue
        if person.id in spent or c.key_id not in tx.seals.ids:
            continue
        target = next((t for t in proof.targets(holder) if t.id == c.target), None)
        if target is not None:
            key = tx.seals.derive(key_purpose(c.method), c.key_id)
            out.append(PendingChallenge(c, holder, target, key))
    return out


def _look_up(tx: Tx, person_id: str) -> tuple[Person | None, Enrolments]:
    person = tx.people.person(person_id)
    return person, holder_of(tx, person or Person("", "", "en", "standard", "active"), ANY_AGE)


def asked_now(tx: Tx, handle: str, proof: Proof) -> list[PendingChallenge]:
    """The questions that a page waits to have answered, for what it has to show."""
    return _asked(tx, handle, proof, frozenset())


def _take(
    tx: Tx, handle: str, proof: Proof, verdict: Verdict, here: Here, counted: _Counted, new: SavedCode | None, how: str
) -> MethodAnswer:
    """Second transaction: uses up what was answered, once, and adds the evidence."""
    right = verdict.right
    intake = tx.intakes.get(handle, lock=True)
    if intake is not None and evidence.shown(tx, intake, proof.name) > counted.shown:
        tx.challenges.give_try_back(handle, proof.name)
        proof_attempts.take_back(tx, proof.name, counted.people - counted.over, intake.subject.hex(), here.origin)
        return "done"
    if right is None or intake is None:
        if proof.about.one_try and intake is not None:  # right or wrong (W-1, M8)
            tx.challenges.end_where("spent", handle=handle, method=proof.name)
            ask(tx, handle, proof)  # the page goes on with another one, whoever it is about
        tx.audit.record(handle, [Note("proof_refused", {"proof": proof.name, "reason": verdict.code})])
        return METHOD_ANSWERS.get(verdict.code, "wrong")
    asked = right.challenge
    case, person = tx.cases.get(asked.case_id), tx.people.person(asked.person_id)
    usable = case is not None and case.state in dc.JOINABLE and tx.now < case.expires_at
    if case is None or person is None or not usable or person.security_version != asked.security_version:
        return "wrong"
    if not tx.challenges.end(asked.id, "used") or not _use_up(tx, asked, verdict):
        tx.audit.record(case.id, [Note("proof_refused", {"proof": proof.name, "reason": "replayed"})])
        return "replayed"
    if proof.about.one_try:
        tx.challenges.end_where("spent", handle=handle, method=proof.name)
    if new is not None:
        tx.factors.put_codes([replace(new, id=tx.new_id(), added_at=tx.now)])
    if verdict.suspicious:
        tx.audit.record(case.id, [Note("proof_suspicious", {"proof": proof.name, "reason": verdict.suspicious})])
    contact = tx.contacts.many([asked.target]).get(asked.target)
    evidence.add(tx, case, proof.name, right.target.channel, asked.id, intake, here, how, contact)
    proof_attempts.reset(tx, proof.name, person.id)
    return "accepted"


def _use_up(tx: Tx, asked: Challenge, verdict: Verdict) -> bool:
    """A step, count or saved code serves once; a factor that was removed meanwhile not at all."""
    if verdict.spent and not tx.factors.use_code(verdict.spent):
        return False
    if verdict.counter is not None:
        return tx.factors.advance(asked.target, verdict.counter)
    if tx.factors.get(asked.target) is not None:
        return tx.factors.touch(asked.target)
    contact: Contact | None = tx.contacts.many([asked.target]).get(asked.target)
    return contact is not None and contact.state == "confirmed"
