"""The contract of proofs as a test suite: subclass `ProofContract`, give it a `harness`, run pytest.

    class TestMine(ProofContract):
        @pytest.fixture
        def harness(self):
            return MyHarness(...)

A proof sees questions and an answer and returns a verdict; the suite plays storage, which hands over the questions and
applies the verdict. Every test is a coroutine run by the pytest plug-in of `anyio` on asyncio.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import replace
from typing import Any, Protocol, get_args

import pytest

from keyback.application.ports.proofs import Enrolments, PendingChallenge, Proof, Verdict
from keyback.domain.challenges.challenge import CONTACT_LIFE, SHORT_LIFE, Challenge
from keyback.domain.people.person import Person
from keyback.domain.policy.rules import ProofClass
from keyback.locale import LOCALES
from keyback.registry import about_faults

NOW = 1_795_500_120_000
KEY = hashlib.sha256(b"key of the contract suite").digest()


class ProofHarness(Protocol):
    """What the suite needs besides the proof: people who enrolled in it, and their answers.

    Args:
        proof: the one under test.
        bound: an answer belongs to its one question, as a code that was sent does; not so a code of an app.
        repeats: the same answer may be right again for another question, as one to a security question.
    """

    proof: Proof
    bound: bool
    repeats: bool

    async def holder(self, number: int) -> Enrolments:
        """Person number so-and-so with one thing enrolled, usable since long ago; the same for the same number, and for
        another number one with other secrets and addresses."""
        ...

    def answer(self, asked: PendingChallenge, now: int) -> str:
        """The right answer at `now` (ms)."""
        ...

    def wrong(self, asked: PendingChallenge, now: int) -> str:
        """A wrong one that looks right."""
        ...

    def secrets(self, holder: Enrolments) -> list[str]:
        """What must never show in a hint, a repr or a log: addresses, names of other people, seeds, answers."""
        ...


def somebody(number: int) -> Person:
    return Person(f"person-{number}", f"Maya {number}", "en", "standard", "active", security_version=3)


def put(proof: Proof, holder: Enrolments, serial: int = 1, /, **over: Any) -> PendingChallenge:
    """A question to the first thing that this person has enrolled, put a minute before `NOW`.

    Args:
        over: values of the challenge that are to be others.
    """
    target = proof.targets(holder)[0]
    values: dict[str, Any] = {
        "id": f"challenge-{holder.person.id}-{serial}", "purpose": "recovery", "method": proof.name,
        "person_id": holder.person.id, "nonce": hashlib.sha256(f"{holder.person.id}/{serial}".encode()).digest(),
        "security_version": holder.person.security_version, "created_at": NOW - 60_000,
        "expires_at": NOW - 60_000 + proof.life_ms, "handle": "handle", "target": target.id, "key_id": "k1",
    }  # fmt: skip
    return PendingChallenge(Challenge(**values | over), holder, target, KEY)


def applied(asked: PendingChallenge, verdict: Verdict, now: int) -> PendingChallenge:
    """The question as storage leaves it after this verdict."""
    holder = asked.holder
    factors = tuple(
        replace(f, counter=f.counter if verdict.counter is None else verdict.counter, used_at=now)
        if f.id == asked.target.id
        else f
        for f in holder.factors
    )
    codes = tuple(replace(c, used_at=now) if c.id == verdict.spent else c for c in holder.codes)
    return replace(
        asked,
        challenge=replace(asked.challenge, ended="used"),
        holder=replace(holder, factors=factors, codes=codes),
    )


def with_enrolled(holder: Enrolments, contact: dict[str, Any], factor: dict[str, Any]) -> Enrolments:
    """The same person with everything enrolled changed alike."""
    return replace(
        holder,
        contacts=tuple(replace(c, **contact) for c in holder.contacts),
        factors=tuple(replace(f, **factor) for f in holder.factors),
    )


class ProofContract:
    """Subclass gives the fixture `harness`."""

    @pytest.fixture
    def anyio_backend(self) -> str:
        return "asyncio"

    pytestmark = pytest.mark.anyio

    # ── what it says of itself ──────────────────────────────────────────────

    @pytest.mark.covers("N-R5", "A-6.5.5")
    async def test_is_a_proof_whose_questions_live_briefly(self, harness: ProofHarness) -> None:
        proof = harness.proof
        assert proof.name
        assert proof.name == proof.name.lower()
        assert proof.kind in get_args(ProofClass)
        assert proof.carrier in ("", "mail", "sms", "im")
        assert 0 < proof.life_ms <= (CONTACT_LIFE if proof.kind == "contact" else SHORT_LIFE)

    async def test_targets_are_told_apart_and_stay_the_same(self, harness: ProofHarness) -> None:
        one, two = await harness.holder(1), await harness.holder(2)
        first, second = list(harness.proof.targets(one)), list(harness.proof.targets(two))
        assert len(first) == len(second) == 1
        assert first == list(harness.proof.targets(one))
        assert first[0].id != second[0].id
        assert first[0].channel != second[0].channel
        enrolled = {c.id for c in one.contacts} | {f.id for f in one.factors}
        assert first[0].id in enrolled
        assert first[0].channel.partition(":")[2] in enrolled

    async def test_hints_are_masked(self, harness: ProofHarness) -> None:
        holder = await harness.holder(1)
        hint = harness.proof.targets(holder)[0].hint
        assert not [s for s in harness.secrets(holder) if s in hint]
        assert len(hint) <= 80

    @pytest.mark.covers("F2", "N-R7")
    async def test_what_is_pending_removed_or_somebody_elses_is_no_target(self, harness: ProofHarness) -> None:
        holder = await harness.holder(1)
        for state in ("pending", "removed"):
            assert list(harness.proof.targets(with_enrolled(holder, {"state": state}, {"state": state}))) == []
        foreign = {"person_id": "person-2"}
        assert list(harness.proof.targets(with_enrolled(holder, foreign, foreign))) == []
        assert list(harness.proof.targets(Enrolments(somebody(1)))) == []

    @pytest.mark.covers("INV-I5")
    async def test_a_form_for_nobody_has_the_same_shape(self, harness: ProofHarness) -> None:
        asked = put(harness.proof, await harness.holder(1))
        stranger = replace(asked, holder=Enrolments(replace(somebody(0), id="")))
        for locale in LOCALES:
            forms = [harness.proof.form(a, locale) for a in ([], [asked], [stranger])]
            assert forms[1] == harness.proof.form([asked], locale)
            for form in forms[:2]:
                assert {k: type(v) for k, v in form.items()} == {k: type(v) for k, v in forms[2].items()}
            if harness.proof.kind != "knowledge":  # only asked after another proof
                assert {k: len(str(v)) for k, v in forms[1].items()} == {k: len(str(v)) for k, v in forms[2].items()}

    async def test_its_page_and_texts_are_there_in_both_languages(self, harness: ProofHarness) -> None:
        about = harness.proof.about
        assert about.page == "" or about_faults(about) == []

    # ── right answers ───────────────────────────────────────────────────────

    @pytest.mark.covers("INV-I1", "D10", "A-6.5.1")
    async def test_the_right_answer_is_taken_once(self, harness: ProofHarness) -> None:
        asked = put(harness.proof, await harness.holder(1))
        typed = harness.answer(asked, NOW)
        verdict = await harness.proof.verify([asked], typed, NOW)
        assert verdict.right is asked
        assert verdict.code == "ok"
        after = applied(asked, verdict, NOW)
        assert (await harness.proof.verify([after], typed, NOW)).right is None
        again = put(harness.proof, after.holder, 2) if harness.proof.targets(after.holder) else after
        if not harness.repeats:
            assert (await harness.proof.verify([again], typed, NOW)).right is None

    async def test_judging_twice_says_the_same(self, harness: ProofHarness) -> None:
        asked = put(harness.proof, await harness.holder(1))
        typed = harness.answer(asked, NOW)
        assert await harness.proof.verify([asked], typed, NOW) == await harness.proof.verify([asked], typed, NOW)

    async def test_of_several_questions_the_one_that_was_answered(self, harness: ProofHarness) -> None:
        asked = [put(harness.proof, await harness.holder(n)) for n in (1, 2, 3)]
        for a in asked:
            verdict = await harness.proof.verify(asked, harness.answer(a, NOW), NOW)
            assert verdict.right is a

    # ── wrong ones ──────────────────────────────────────────────────────────

    async def test_a_wrong_answer_is_wrong(self, harness: ProofHarness) -> None:
        asked = put(harness.proof, await harness.holder(1))
        verdict = await harness.proof.verify([asked], harness.wrong(asked, NOW), NOW)
        assert verdict.right is None
        assert verdict.code == "wrong"

    @pytest.mark.parametrize(
        "typed",
        [
            "",
            " ",
            "\x00",
            "0",
            "-1",
            "null",
            "[]",
            "{}",
            "000000\n000000",
            "\ud800",
            "é" * 8192,
            "9" * 8192,
            "[" * 8192,
        ],
        ids=range(13),
    )
    async def test_rubbish_is_refused_without_a_fuss(self, harness: ProofHarness, typed: str) -> None:
        asked = put(harness.proof, await harness.holder(1))
        for questions in ([asked], []):
            verdict = await harness.proof.verify(questions, typed, NOW)
            assert verdict.right is None
            assert verdict.counter is None
            assert verdict.spent == ""

    async def test_a_code_of_digits_is_the_same_in_those_of_every_script(self, harness: ProofHarness) -> None:
        asked = put(harness.proof, await harness.holder(1))
        typed = harness.answer(asked, NOW)
        foreign = typed.translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))
        if typed.isascii() and typed.isdigit():
            assert (await harness.proof.verify([asked], foreign, NOW)).right is not None

    @pytest.mark.covers("INV-I3", "A-6.6.2", "D5")
    async def test_somebody_elses_answer_is_refused(self, harness: ProofHarness) -> None:
        mine, theirs = put(harness.proof, await harness.holder(1)), put(harness.proof, await harness.holder(2))
        assert (await harness.proof.verify([mine], harness.answer(theirs, NOW), NOW)).right is None

    @pytest.mark.covers("D9", "A-6.6.2")
    async def test_the_answer_to_another_question_is_refused(self, harness: ProofHarness) -> None:
        holder = await harness.holder(1)
        one, two = put(harness.proof, holder, 1), put(harness.proof, holder, 2)
        if harness.bound:
            assert (await harness.proof.verify([one], harness.answer(two, NOW), NOW)).right is None

    async def test_a_question_of_another_proof_is_not_ours(self, harness: ProofHarness) -> None:
        asked = put(harness.proof, await harness.holder(1), method="something_else")
        assert (await harness.proof.verify([asked], harness.answer(asked, NOW), NOW)).right is None

    @pytest.mark.covers("N-O2")
    async def test_a_question_that_is_over_cannot_be_answered(self, harness: ProofHarness) -> None:
        asked = put(harness.proof, await harness.holder(1))
        over = asked.challenge.expires_at
        assert (await harness.proof.verify([asked], harness.answer(asked, over - 1), over - 1)).right is asked
        assert (await harness.proof.verify([asked], harness.answer(asked, over), over)).right is None
        for ending in ("used", "replaced", "overtaken", "stopped", "refused", "spent"):
            ended = replace(asked, challenge=replace(asked.challenge, ended=ending))
            assert (await harness.proof.verify([ended], harness.answer(asked, NOW), NOW)).right is None

    @pytest.mark.covers("N-T3", "A-6.5.6")
    async def test_what_changed_meanwhile_voids_the_question(self, harness: ProofHarness) -> None:
        asked = put(harness.proof, await harness.holder(1))
        holder, typed = asked.holder, harness.answer(asked, NOW)
        gone = with_enrolled(holder, {"state": "removed"}, {"state": "removed"})
        others = with_enrolled(holder, {"person_id": "person-2"}, {"person_id": "person-2"})
        newer = replace(holder, person=replace(holder.person, security_version=4))
        off = replace(holder, person=replace(holder.person, state="disabled"))
        for changed in (gone, others, newer, off, Enrolments(holder.person)):
            assert (await harness.proof.verify([replace(asked, holder=changed)], typed, NOW)).right is None

    @pytest.mark.covers("F1")
    async def test_what_was_added_lately_cannot_recover(self, harness: ProofHarness) -> None:
        holder = with_enrolled(await harness.holder(1), {"usable_from": NOW + 1}, {"usable_from": NOW + 1})
        asked = put(harness.proof, holder)
        assert (await harness.proof.verify([asked], harness.answer(asked, NOW), NOW)).right is None

    @pytest.mark.covers("INV-I5")
    async def test_where_nothing_is_asked_the_answer_is_as_for_a_wrong_one(self, harness: ProofHarness) -> None:
        asked = put(harness.proof, await harness.holder(1))
        wrong = harness.wrong(asked, NOW)
        assert await harness.proof.verify([], wrong, NOW) == await harness.proof.verify([asked], wrong, NOW)
        assert (await harness.proof.verify([], harness.answer(asked, NOW), NOW)).right is None

    # ── silence ─────────────────────────────────────────────────────────────

    @pytest.mark.covers("INV-I4")
    async def test_no_secret_is_shown_or_logged(self, harness: ProofHarness, caplog: pytest.LogCaptureFixture) -> None:
        asked = put(harness.proof, await harness.holder(1))
        typed = harness.answer(asked, NOW)
        with caplog.at_level(logging.DEBUG):
            verdicts = [await harness.proof.verify([asked], t, NOW) for t in (typed, harness.wrong(asked, NOW), "")]
        bare = [replace(v, right=None) for v in verdicts]
        addresses = {c.address for c in asked.holder.contacts} | {c.name for c in asked.holder.contacts}
        text = f"{harness.proof!r} {bare!r} {caplog.text}"
        assert not [s for s in [*harness.secrets(asked.holder), typed] if s in text]
        assert not [s for s in harness.secrets(asked.holder) if s in f"{verdicts!r}" and s not in addresses]


__all__ = ["KEY", "NOW", "ProofContract", "ProofHarness", "applied", "put", "somebody", "with_enrolled"]
