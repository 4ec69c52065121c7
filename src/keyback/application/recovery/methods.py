"""Other ways to prove who one is than the mailed link: asking for one, and answering it.

Asking is written down for everybody alike (`ChallengeRequest`); the worker finds whom the page is about and puts the
question to what they have enrolled. Answers are counted first and compared then, in statements that do not depend on
whether anybody is meant (D1, A3).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from keyback.application import showing
from keyback.application.challenges import issue, verify
from keyback.application.challenges.consume import consume
from keyback.application.challenges.count import Counted
from keyback.application.challenges.verify import FreshCode
from keyback.application.ports.proofs import Enrolments, PendingChallenge, Proof, SendsCode, Target, Verdict
from keyback.application.ports.storage import Database, Intake, Seals, Tx
from keyback.application.recovery import evidence
from keyback.application.recovery.evidence import Here
from keyback.application.recovery.start import INTAKE_LIFE
from keyback.application.showing import Fits
from keyback.application.throttling import proof_attempts
from keyback.domain import digests, tokens
from keyback.domain.challenges.challenge import EMAIL_LINK, RECOVERY_CONTACT, Challenge, ChallengeRequest, key_purpose
from keyback.domain.challenges.typed import digits
from keyback.domain.errors import Refusal
from keyback.domain.people.ages import Ages, living
from keyback.domain.people.factor import NEVER
from keyback.domain.people.person import Person
from keyback.domain.policy.rules import Journey, Policy, ProofClass
from keyback.domain.recovery import case as dc
from keyback.domain.recovery.case import Case
from keyback.domain.recovery.events import Note
from keyback.domain.secret import Secret
from keyback.domain.throttling.limits import RESEND_AFTER, TRIES_SHOWN

DEFAULT_AGES = Ages()
ANY_AGE = Ages(NEVER, NEVER, NEVER)  # what was asked may be answered; evidence says what it weighs by then
MethodAnswer = Literal["accepted", "done", "wrong", "no_tries", "not_a_code", "replayed", "expired", "replaced"]
NO_MORE = Verdict()
LATE: dict[str, MethodAnswer] = {"expired": "expired", "replaced": "replaced"}
METHOD_ANSWERS: dict[str, MethodAnswer] = {"not_a_code": "not_a_code", "replayed": "replayed", "spent": "replayed"}
ON_PHONE = ("sms_code", "im_message", "totp")
"""Whoever lost a phone is offered what was on it last: a new phone gets messages again, its app has no key."""


def _lost_last(names: Iterable[str], journey: Journey) -> list[str]:
    """The order in which a page lists ways; it depends on the journey alone, so it tells nothing (A1)."""
    last = ON_PHONE if journey == "second_factor" else ()
    return sorted(names, key=lambda n: last.index(n) if n in last else -1)


def offered(proofs: Mapping[str, Proof], policy: Policy, journey: Journey) -> tuple[str, ...]:
    """What a page may offer before anything is proven: the same for everybody."""
    names = [n for n, p in proofs.items() if policy.takes(n) and n != EMAIL_LINK and p.kind != "knowledge"]
    return () if journey == "username" else tuple(_lost_last(names, journey))


def holder_of(tx: Tx, person: Person, ages: Ages = DEFAULT_AGES) -> Enrolments:
    """The person with what may recover now: confirmed, active, cooled in, and not too long ago."""
    return _holders(tx, {person.id: person}, [person.id], ages)[person.id]


def _holders(tx: Tx, people: Mapping[str, Person], ids: Sequence[str], ages: Ages) -> dict[str, Enrolments]:
    contacts, factors = tx.contacts.of_people(ids), tx.factors.of_people(ids)
    cooled = {i: tuple(f for f in factors.get(i, ()) if f.usable_from <= tx.now) for i in ids}
    owners = {f.id: i for i, mine in cooled.items() for f in mine}
    codes = tx.factors.codes(list(owners) or [""])  # asked for all alike, whatever they have (A3)
    return {
        i: Enrolments(
            person,
            living((c for c in contacts.get(i, ()) if c.usable_from <= tx.now), tx.now, ages),
            cooled[i],
            tuple(c for c in codes if owners[c.factor_id] == i),
        )
        for i, person in people.items()
    }


def _asked_people(tx: Tx, ids: Sequence[str]) -> Mapping[str, Enrolments]:
    return _holders(tx, tx.people.people(ids), ids, ANY_AGE)


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
    holder, shown = holder_of(tx, person, policy.ages), case.shown_by(handle)
    # A system's own sign-in leaves other methods of its channel open: they count where it does not.
    used = frozenset[str]().union(*(e.channels for e in shown if not e.system))
    out = []
    for name in _lost_last(proofs, intake.journey):
        proof = proofs[name]
        if name == EMAIL_LINK or not policy.takes(name, case.tier):
            continue  # the page asks for a mail by itself
        if not may_ask(proof, case, handle):
            continue
        new = (t for t in proof.targets(holder) if all(t.id != e.target for e in shown))
        targets = tuple(t for t in new if used.isdisjoint((t.channel, *t.also)))
        if targets:
            out.append(RecoveryMethod(name, targets, proof.kind))
    lost = {c.id for c in holder.contacts if c.bounce}
    return sorted(out, key=lambda m: all(t.id in lost for t in m.targets))


def may_ask(proof: Proof, case: Case | None, handle: str) -> bool:
    """Whether a page may put a question of this kind: what only knowledge answers comes after the mailed link, so that
    nobody else learns what is asked, or that somebody is asked (O-Q1)."""
    if proof.kind != "knowledge":
        return True
    return case is not None and any(e.proof == EMAIL_LINK for e in case.shown_by(handle))


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
    # The digits for a colleague stay when they are sent again: a withheld message leaves the old ones good, and a page
    # whose digits change for nobody only would tell who exists (A3).
    sends = 0 if want.method == RECOVERY_CONTACT else want.sends
    seed = f"{want.handle}/{want.method}/{sends}".encode()
    return digests.mac(key, b"shown\0" + seed)


def stand_in(seals: Seals, want: ChallengeRequest) -> PendingChallenge:
    """A question that is put to nobody: a page shows it where the worker found nobody, or is not done yet."""
    return issue.stand_in(seals, want.method, nonce_for(seals, want), want.asked_at, want.expires_at)


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
        was used, to be shown once. `expired` and `replaced` say that a code that was sent is right and why it has
        ended, which costs no try. `done` says that the page has shown it already, as when the same answer came twice
        at once: this one counts for nothing.

    Raises:
        Refusal: `not_found` for a handle that does not exist or is over; `wrong_state` where another question waits,
            and no try was spent.
        Busy, StorageDown: as `challenges.verify.answer`.
    """
    page = Page(proof, handle, here, only, fits, typed)
    found, again = await verify.answer(db, proof, page, typed)
    late = LATE.get(found.ended)
    return ("done" if again else late or found.code), found.left, found.new_code


@dataclass(frozen=True, slots=True)
class Answered:
    """What an answer came to, and the tries that are left; `new_code` as for `answer`. `ended`: it is right, but comes
    too late, and why."""

    code: MethodAnswer
    left: int = 0
    new_code: Secret | None = field(default=None, repr=False)
    ended: str = ""


@dataclass(frozen=True)
class Page:
    """A recovery's page. It counts per page and per person and proof, whatever was asked how often (N-O3, N-T4)."""

    proof: Proof
    handle: str
    here: Here
    only: str = ""
    fits: Fits | None = None
    typed: str = field(default="", repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        return self.proof.name, self.handle, self.only

    @property
    def counter(self) -> str:
        """Under what wrong answers of people are counted."""
        return self.proof.name

    @property
    def how(self) -> str:
        """What the case remembers of it: `number` says that somebody answered in another browser."""
        return "number" if self.only else ""

    def is_right(self, found: Answered) -> bool:
        return found.code == "accepted"

    def targets(self, holder: Enrolments) -> Sequence[Target]:
        return self.proof.targets(holder)

    def held_by(self, tx: Tx, ids: Sequence[str]) -> Mapping[str, Enrolments]:
        return _asked_people(tx, ids)

    def spend_try(self, tx: Tx) -> int | None:
        return tx.challenges.count_try(self.handle, self.proof.name, TRIES_SHOWN)

    def give_try_back(self, tx: Tx) -> None:
        tx.challenges.give_try_back(self.handle, self.proof.name)

    def left(self, intake: Intake) -> int:
        return TRIES_SHOWN

    def is_done(self, tx: Tx, intake: Intake, shown: int) -> bool:
        """Whether the page has shown it already, and asks for nothing more of the kind: then nothing is counted."""
        return bool(shown) and not _live(tx, self.handle, self.proof.name)

    def count(self, tx: Tx) -> Counted | Answered:
        intake, proof = tx.intakes.get(self.handle), self.proof
        if intake is None:
            raise Refusal("not_found")
        shown = evidence.shown(tx, intake, proof.name)
        if self.is_done(tx, intake, shown):
            return Answered("done", self.left(intake))
        if self.fits is not None and not _still(tx, self.handle, proof, self.fits):
            raise Refusal("wrong_state")
        tries = self.spend_try(tx)
        if tries is None:
            return Answered("no_tries")
        live = _live(tx, self.handle, proof.name)
        people = frozenset(c.person_id for c in live)
        over = proof_attempts.count(tx, self.counter, people, intake.subject.hex(), self.here.origin)
        if proof.kind == "knowledge":
            over |= {c.person_id for c in live if not proof_attempts.count_answer(tx, c.person_id, _question(tx, c))}
        asked = [
            a
            for a in verify.pending(tx, live, self.targets, self.held_by)
            if a.challenge.person_id not in over and self.only in ("", a.challenge.id)
        ]
        return Counted(asked, tx.now, TRIES_SHOWN - tries, people, over, shown)

    def take(self, tx: Tx, counted: Counted, verdict: Verdict, fresh: FreshCode | None) -> Answered:
        intake, name = tx.intakes.get(self.handle, lock=True), self.proof.name
        if intake is not None and evidence.shown(tx, intake, name) > counted.shown:
            self.take_back(tx, intake, counted)
            return Answered("done", counted.left)
        if verdict.right is None or intake is None:
            if self.proof.about.one_try and intake is not None:  # right or wrong (W-1, M8)
                tx.challenges.end_where("spent", handle=self.handle, method=name)
                ask(tx, self.handle, self.proof)  # the page goes on with another one, whoever it is about
            return self.refuse(tx, intake, counted, METHOD_ANSWERS.get(verdict.code, "wrong"), verdict.code)
        return self._accept(tx, intake, counted, verdict.right, verdict, fresh)

    def take_back(self, tx: Tx, intake: Intake, counted: Counted) -> None:
        """The answer was no guess."""
        self.give_try_back(tx)
        people = counted.people - counted.over
        proof_attempts.take_back(tx, self.counter, people, intake.subject.hex(), self.here.origin)

    def refuse(
        self, tx: Tx, intake: Intake | None, counted: Counted, answer: MethodAnswer, reason: str, stream: str = ""
    ) -> Answered:
        late = self._ended(tx, counted.over) if reason == "wrong" and intake is not None else ""
        note = Note("proof_refused", {"proof": self.proof.name, "reason": late or reason})
        tx.audit.record(stream or self.handle, [note])
        if late and intake is not None:
            self.take_back(tx, intake, counted)
        return Answered(answer, counted.left + bool(late), ended=late)

    def _ended(self, tx: Tx, over: Container[str]) -> str:
        """Why a code that was sent for this page, and is right, has ended; as many statements for nobody."""
        if not isinstance(self.proof, SendsCode):
            return ""
        code, found = digits(self.typed, self.proof.size), ""
        for c in tx.challenges.issued(self.handle, self.proof.name):
            if code is None or c.waits(tx.now) or c.key_id not in tx.seals.ids or c.person_id in over:
                continue
            key = tx.seals.derive(key_purpose(c.method), c.key_id)
            if tokens.same(self.proof.code(key, c.nonce), code):
                found = c.ended or "expired"
        return found if found in LATE else ""

    def _accept(
        self,
        tx: Tx,
        intake: Intake,
        counted: Counted,
        right: PendingChallenge,
        verdict: Verdict,
        fresh: FreshCode | None,
    ) -> Answered:
        asked, name = right.challenge, self.proof.name
        case, person = tx.cases.get(asked.case_id), tx.people.person(asked.person_id)
        usable = case is not None and case.state in dc.JOINABLE and tx.now < case.expires_at
        if case is None or person is None or not usable or person.security_version != asked.security_version:
            return self.refuse(tx, intake, counted, "wrong", "wrong")
        if consume(tx, right, verdict, fresh) != "used":
            return self.refuse(tx, intake, counted, "replayed", "replayed", case.id)
        if self.proof.about.one_try:
            tx.challenges.end_where("spent", handle=self.handle, method=name)
        if verdict.suspicious:
            tx.audit.record(case.id, [Note("proof_suspicious", {"proof": name, "reason": verdict.suspicious})])
        add_evidence(tx, case, asked, right.target, intake, self.here, self.how, verdict)
        proof_attempts.reset(tx, self.counter, person.id)
        return Answered("accepted", counted.left, fresh.text if fresh else None)


def add_evidence(
    tx: Tx, case: Case, asked: Challenge, to: Target, intake: Intake, here: Here, how: str, verdict: Verdict = NO_MORE
) -> None:
    """What an accepted answer to a challenge brings about; links of other requests in the case are over with one."""
    if asked.method == EMAIL_LINK:
        tx.challenges.end_where("overtaken", case_id=case.id, method=EMAIL_LINK)
    contact = tx.contacts.many([asked.target]).get(asked.target)
    evidence.add(
        tx, case, asked.method, to.channel, asked.id, intake, here, how, contact,
        counts_as=verdict.counts_as, system=verdict.system, target=to.id, also=to.also,
    )  # fmt: skip


def _live(tx: Tx, handle: str, name: str) -> list[Challenge]:
    return [c for c in tx.challenges.issued(handle, name) if c.waits(tx.now)]


def _question(tx: Tx, asked: Challenge) -> str:
    """Which question a challenge asks: another one after each right answer (`proofs.security_questions`)."""
    factor = tx.factors.get(asked.target)
    return digests.digest(f"{asked.target}/{factor.used_at if factor else 0}".encode()).hex()[:16]


def _still(tx: Tx, handle: str, proof: Proof, fits: Fits) -> bool:
    """Whether a page's question is the one that a form was drawn for; as many statements for nobody."""
    want = next((w for w in tx.challenges.requested(handle) if w.method == proof.name), None)
    asked = asked_now(tx, handle, proof)
    return want is None or fits(question(tx.seals, want, proof, asked))


def asked_now(tx: Tx, handle: str, proof: Proof) -> list[PendingChallenge]:
    """The questions that a page waits to have answered, for what it has to show."""
    return verify.pending(tx, tx.challenges.issued(handle, proof.name), proof.targets, _asked_people)
