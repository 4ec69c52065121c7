"""Security questions: what they accept, what they ask, and that they decide nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from keyback.application.passwords.hashing import HashGate
from keyback.application.ports.hashing import Verified
from keyback.application.ports.proofs import Enrolments, PendingChallenge
from keyback.domain.people.factor import Factor
from keyback.domain.policy.rules import TIERS, Evidence, suffices
from keyback.domain.secret import Secret
from keyback.locale import gettext
from keyback.proofs.security_questions.method import SecurityQuestions
from keyback.proofs.security_questions.questions import ASKED, QUESTIONS, faults, normal
from keyback.testing.proofs import NOW, put, somebody

CHOSEN = [("deskmate", "Li"), ("sea", "Beidaihe, 北戴河"), ("pay", "a radio")]


class PlainGate:
    """The hash is the text itself, so that what reaches the gate can be seen."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []

    async def hash(self, secret: Secret) -> str:
        return f"phc:{secret.reveal()}"

    async def verify(self, phc: str | None, secret: Secret) -> Verified:
        self.asked.append(phc)
        return Verified(phc == f"phc:{secret.reveal()}", False)


def enrolled(proof: SecurityQuestions, used_at: int = 0) -> Enrolments:
    data = asyncio.run(proof.hashed(CHOSEN))
    factor = Factor("f1", "person-1", "security_questions", "", "active", data, used_at=used_at)
    return Enrolments(somebody(1), factors=(factor,))


def key_of(proof: SecurityQuestions, asked: PendingChallenge) -> str:
    text = proof.form([asked], "en")["question"]
    return next(k for k, t in QUESTIONS.items() if t == text)


@pytest.mark.covers("G6")
@pytest.mark.parametrize(
    "one, other",
    [("New York", "newyork"), ("NEW-YORK", "new york"), ("Ｎｅｗ　Ｙｏｒｋ", "new york"), ("北 戴 河", "北戴河"),
     ("北戴河。", "北戴河"), ("Straße 9", "STRASSE９"), ("cafe\u0301", "café"), ("①", "1"), ("O’Neil", "oneil")],
)  # fmt: skip
def test_width_case_spaces_and_signs_do_not_matter(one: str, other: str) -> None:
    assert normal(one) == normal(other)


@pytest.mark.covers("G6")
@pytest.mark.parametrize("one, other", [("café", "cafe"), ("東", "东"), ("one", "1"), ("Li", "Lin")])
def test_what_says_something_else_stays_different(one: str, other: str) -> None:
    assert normal(one) != normal(other)


@pytest.mark.covers("O-Q4")
def test_there_are_fifteen_questions_in_both_languages_and_none_of_ones_own() -> None:
    assert len(QUESTIONS) == 15
    for text in QUESTIONS.values():
        assert gettext("zh_CN", text) != text
    assert faults([("my own?", "Beidaihe"), *CHOSEN[1:]]) == [(0, "no_question")]


@pytest.mark.covers("O-Q4")
@pytest.mark.parametrize(
    "answer, fault",
    [
        ("", "too_short"), ("x", "too_short"), ("!?", "too_short"), ("李", "too_short"), ("x" * 101, "too_long"),
        ("ﷺ" * 50, "too_long"), ("123", "too_easy"), ("１２３", "too_easy"), ("42", "too_easy"), ("aaaa", "too_easy"),
        ("不知道", "too_easy"), ("わからない。", "too_easy"), ("Test", "too_easy"),
        ("your first class", "too_easy"), ("maya.lin", "about_you"),
        ("Maya.Lin@example.com", "about_you"), ("maya", "about_you"), ("青屿", "about_you"),
    ],
)  # fmt: skip
def test_answers_that_anybody_would_try_are_refused(answer: str, fault: str) -> None:
    about = ["maya.lin", "maya.lin@example.com", "Maya Lin", "青屿"]
    assert faults([("deskmate", answer), *CHOSEN[1:]], about) == [(0, fault)]


@pytest.mark.covers("O-Q4")
def test_short_names_are_fine_and_a_choice_is_three_different_ones() -> None:
    assert len(CHOSEN) == ASKED
    assert faults(CHOSEN) == []
    assert faults([("deskmate", "李雷"), *CHOSEN[1:]]) == []
    assert faults(CHOSEN[:2]) == [(2, "no_question")]
    assert faults([CHOSEN[0], CHOSEN[0], CHOSEN[2]]) == [(1, "same_question")]
    assert faults([*CHOSEN[:2], ("pay", "BEIDAIHE 北戴河")]) == [(2, "same_answer")]


@pytest.mark.covers("G3", "O-Q3")
def test_the_question_stays_until_it_was_answered() -> None:
    proof = SecurityQuestions(PlainGate())
    holder = enrolled(proof)
    assert len({key_of(proof, put(proof, holder, serial)) for serial in range(50)}) == 1
    # Answers to the other two are wrong, however often it is asked anew.
    asked = put(proof, holder)
    for key, answer in CHOSEN:
        verdict = asyncio.run(proof.verify([asked], answer, NOW))
        assert (verdict.right is not None) is (key == key_of(proof, asked))
    later = {key_of(proof, put(proof, enrolled(proof, used_at))) for used_at in range(40)}
    assert later == {k for k, _ in CHOSEN}


@pytest.mark.covers("INV-I5")
def test_every_answer_costs_one_hash() -> None:
    gate = PlainGate()
    proof = SecurityQuestions(gate)
    asked = put(proof, enrolled(proof))
    gone = replace(asked, holder=Enrolments(somebody(1)))
    for questions in ([asked], [gone], []):
        gate.asked.clear()
        asyncio.run(proof.verify(questions, "some answer", NOW))
        assert len(gate.asked) == 1


@pytest.fixture
def real_gate() -> Iterator[HashGate]:
    gate = HashGate(64, 2, 19456, 1, 64)
    yield gate
    gate.close()


@pytest.mark.covers("G5", "O-Q2")
def test_answers_are_hashed_each_with_its_own_salt(real_gate: HashGate) -> None:
    proof = SecurityQuestions(real_gate)
    data = asyncio.run(proof.hashed([("deskmate", "Li Lei"), ("sea", "Li Lei"), ("pay", "Li Lei")]))
    hashes = [a["phc"] for a in data["answers"]]
    assert all(h.startswith("$argon2id$") for h in hashes)
    assert len(set(hashes)) == 3
    assert "lilei" not in str(data).lower().replace(" ", "")


@pytest.mark.covers("G1", "SD-D1", "A-6.4.2", "O-W2")
def test_answers_never_decide_whoever_they_are_asked_of() -> None:
    proof = SecurityQuestions(PlainGate())
    channel = proof.targets(enrolled(proof))[0].channel
    answers = [Evidence(proof.name, proof.kind, f"{channel}-{i}", NOW) for i in range(5)]
    mail = Evidence("email_link", "issued", "mail:c1", NOW)
    for tier in TIERS:
        assert not suffices(answers, tier)
        assert suffices([mail, *answers], tier) == suffices([mail], tier)
