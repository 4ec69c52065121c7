"""The key fob against the contract of proofs."""

from __future__ import annotations

import hmac
from pathlib import Path

import pytest
from keyback_samples.key_fob.method import KeyFob

from keyback.application.ports.proofs import Enrolments, PendingChallenge
from keyback.domain.challenges.challenge import short_code
from keyback.domain.people.person import Contact
from keyback.registry import about_faults
from keyback.testing.proofs import ProofContract, somebody

SECRET = b"the secret of all fobs"


class Fobs:
    """People with a fob each, and what their fobs show."""

    bound, repeats = True, False  # an answer belongs to one challenge, and is never right again

    def __init__(self) -> None:
        self.proof = KeyFob(SECRET)

    async def holder(self, number: int) -> Enrolments:
        person = somebody(number)
        fob = Contact(f"fob-{number}", person.id, "im", f"4071{number}", "backup", "confirmed")
        return Enrolments(person, contacts=(fob,))

    def answer(self, asked: PendingChallenge, now: int) -> str:
        digits = str(self.proof.form([asked], "en")["challenge"])
        number = asked.holder.contacts[0].address
        return short_code(hmac.digest(SECRET, number.encode(), "sha256"), digits.encode())

    def wrong(self, asked: PendingChallenge, now: int) -> str:
        return str((int(self.answer(asked, now)) + 1) % 10**6).zfill(6)

    def secrets(self, holder: Enrolments) -> list[str]:
        return [holder.contacts[0].address, SECRET.decode()]


class TestKeyFob(ProofContract):
    @pytest.fixture
    def harness(self) -> Fobs:
        return Fobs()


def test_page_and_texts_are_there() -> None:
    assert about_faults(KeyFob.about) == []
    assert (Path(KeyFob.about.folder) / "zh_CN.po").exists()
