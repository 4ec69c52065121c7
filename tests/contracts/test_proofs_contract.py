"""Every proof of the shelf against the contract."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import pyotp
import pytest

from keyback.application.passwords.hashing import HashGate
from keyback.application.ports.proofs import Enrolments, PendingChallenge, Proof
from keyback.application.ports.sign_in import SignedIn
from keyback.application.recovery.recovery_contact import STATEMENT
from keyback.domain.challenges.challenge import CODE_LIFE, LINK_LIFE, mail_code, short_code
from keyback.domain.people.factor import Factor, SavedCode
from keyback.domain.people.person import Contact
from keyback.outbound.openid.config import ProviderConfig
from keyback.outbound.openid.provider import OpenIdProvider
from keyback.proofs.backup_email.method import BackupEmail
from keyback.proofs.email_link.method import EmailLink
from keyback.proofs.im_message.method import ImMessage
from keyback.proofs.passkey.method import Passkey
from keyback.proofs.provider_sign_in.method import ProviderSignIn
from keyback.proofs.recovery_code.method import RecoveryCode
from keyback.proofs.recovery_contact.method import RecoveryContact
from keyback.proofs.security_questions.method import SecurityQuestions
from keyback.proofs.security_questions.questions import QUESTIONS
from keyback.proofs.sms_code.method import SmsCode
from keyback.proofs.totp.method import Totp
from keyback.testing.authenticator import Authenticator
from keyback.testing.proofs import NOW, ProofContract, ProofHarness, put, somebody, with_enrolled
from tests.support.cheaper import CHEAP, cheap_hashing


@pytest.fixture(scope="session")
def gate() -> Any:
    with cheap_hashing():
        gate = HashGate(CHEAP["memory_budget_mib"], CHEAP["argon2_t"], CHEAP["argon2_m_kib"], 1, 64)
    yield gate
    gate.close()


def stream(seed: str) -> Any:
    """A source of bytes that gives the same each time."""
    serial = 0

    def draw(count: int) -> bytes:
        nonlocal serial
        serial += 1
        return hashlib.shake_256(f"{seed}/{serial}".encode()).digest(count)

    return draw


def other_digits(code: str) -> str:
    return "".join(str((int(c) + 1) % 10) for c in code)


class Sent:
    """Whatever is sent to an address."""

    bound, repeats = True, False

    def __init__(self, proof: Proof, **contact: Any) -> None:
        self.proof, self._contact = proof, contact

    async def holder(self, number: int) -> Enrolments:
        values = {k: v.format(n=number) for k, v in self._contact.items()}
        person = somebody(number)
        return Enrolments(person, (Contact(id=f"contact-{number}", person_id=person.id, **values),))

    def answer(self, asked: PendingChallenge, now: int) -> str:
        return short_code(asked.key, asked.challenge.nonce)

    def wrong(self, asked: PendingChallenge, now: int) -> str:
        return other_digits(self.answer(asked, now))

    def secrets(self, holder: Enrolments) -> list[str]:
        return [t for c in holder.contacts for t in (c.address, c.name) if t]


class Vouched(Sent):
    def answer(self, asked: PendingChallenge, now: int) -> str:
        return f"confirm:{STATEMENT}:{self.proof.form([asked], 'en')['digits']}"

    def wrong(self, asked: PendingChallenge, now: int) -> str:
        return f"confirm:{STATEMENT}:{other_digits(str(self.proof.form([asked], 'en')['digits']))}"


class Apps:
    proof, bound, repeats = Totp(), False, False

    async def holder(self, number: int) -> Enrolments:
        person = somebody(number)
        seed = self.proof.new_seed(hashlib.sha1(f"seed {number}".encode()).digest())
        return Enrolments(
            person, factors=(Factor(f"factor-{number}", person.id, "totp", "Pixel", "active", {"seed": seed}),)
        )

    def answer(self, asked: PendingChallenge, now: int) -> str:
        return pyotp.TOTP(asked.holder.factors[0].data["seed"]).at(now // 1000)

    def wrong(self, asked: PendingChallenge, now: int) -> str:
        return other_digits(self.answer(asked, now))

    def secrets(self, holder: Enrolments) -> list[str]:
        return [holder.factors[0].data["seed"]]


class Codes:
    bound, repeats = False, False
    _made: dict[int, tuple[Enrolments, str]] = {}

    def __init__(self, gate: HashGate) -> None:
        self.proof = RecoveryCode(gate)

    async def holder(self, number: int) -> Enrolments:
        if number not in self._made:
            person, factor_id = somebody(number), f"factor-{number}"
            new = self.proof.new_codes(stream(f"person {number}"), 2)
            hashes = [await self.proof.hashed(c.secret) for c in new]
            rows = tuple(
                SavedCode(f"code-{number}-{i}", factor_id, c.slot, phc)
                for i, (c, phc) in enumerate(zip(new, hashes, strict=True))
            )
            factor = Factor(factor_id, person.id, "recovery_codes", "", "active")
            self._made[number] = Enrolments(person, factors=(factor,), codes=rows), new[0].text
        return self._made[number][0]

    def answer(self, asked: PendingChallenge, now: int) -> str:
        return self._made[int(asked.holder.person.id.removeprefix("person-"))][1]

    def wrong(self, asked: PendingChallenge, now: int) -> str:
        right = self.answer(asked, now)
        return right[:-1] + ("0" if right[-1] != "0" else "1")

    def secrets(self, holder: Enrolments) -> list[str]:
        return [c.phc for c in holder.codes]


class Keys:
    proof, bound, repeats = Passkey("https://id.example.com"), True, False
    _made: dict[int, tuple[Enrolments, Authenticator]] = {}

    async def holder(self, number: int) -> Enrolments:
        if number not in self._made:
            person, handle = somebody(number), bytes([number]) * 64
            key = Authenticator("https://id.example.com", "id.example.com")
            options = self.proof.registration_options(bytes(32), handle, "maya", "Maya", "Qingyu", [])
            new = self.proof.verify_registration(key.create(options), bytes(32), handle)
            assert new is not None
            factor = Factor(f"factor-{number}", person.id, "passkey", "Laptop", "active", new.data, lookup=new.lookup)
            self._made[number] = Enrolments(person, factors=(factor,)), key
        return self._made[number][0]

    def answer(self, asked: PendingChallenge, now: int) -> str:
        key = self._made[int(asked.holder.person.id.removeprefix("person-"))][1]
        return key.get(str(self.proof.form([asked], "en")["options"]))

    def wrong(self, asked: PendingChallenge, now: int) -> str:
        return self.answer(replace(asked, challenge=replace(asked.challenge, nonce=bytes(32))), now)

    def secrets(self, holder: Enrolments) -> list[str]:
        return [holder.factors[0].data[k] for k in ("credential_id", "public_key", "user_handle")]


class Questions:
    bound, repeats = False, True
    _made: dict[int, Enrolments] = {}

    def __init__(self, gate: HashGate) -> None:
        self.proof = SecurityQuestions(gate)

    async def holder(self, number: int) -> Enrolments:
        if number not in self._made:
            person = somebody(number)
            chosen = [(key, f"Lantern {key} {number}") for key in ("toy", "sea", "pay")]
            assert not self.proof.faults(chosen, [person.name])
            data = await self.proof.hashed(chosen)
            factor = Factor(f"factor-{number}", person.id, "security_questions", "", "active", data)
            self._made[number] = Enrolments(person, factors=(factor,))
        return self._made[number]

    def answer(self, asked: PendingChallenge, now: int) -> str:
        text = self.proof.form([asked], "en")["question"]
        key = next(k for k, t in QUESTIONS.items() if t == text)
        return f"lantern, {key}{asked.holder.person.id.removeprefix('person-')}"

    def wrong(self, asked: PendingChallenge, now: int) -> str:
        return "a paper boat"

    def secrets(self, holder: Enrolments) -> list[str]:
        return [a["phc"] for a in holder.factors[0].data["answers"]]


class SignIns:
    proof, bound, repeats = (
        ProviderSignIn(
            {
                n: OpenIdProvider(ProviderConfig(n, n.title(), f"https://{n}.example.com", "keyback"))
                for n in ("crm", "office")
            }
        ),
        True,
        False,
    )

    async def holder(self, number: int) -> Enrolments:
        person = somebody(number)
        digest = self.proof.subject_digest("crm", f"0055g{number}")
        data = {"provider": "crm", "issuer": "https://crm.example.com", "subject": digest.hex()}
        return Enrolments(
            person, factors=(Factor(f"factor-{number}", person.id, "provider", "Sales CRM", "active", data),)
        )

    def answer(self, asked: PendingChallenge, now: int) -> str:
        number = asked.holder.person.id.removeprefix("person-")
        return self.proof.answer(asked, "crm", SignedIn(f"0055g{number}"))

    def wrong(self, asked: PendingChallenge, now: int) -> str:
        return self.proof.answer(asked, "crm", SignedIn("0055gOther"))

    def secrets(self, holder: Enrolments) -> list[str]:
        return [str(f.data["subject"]) for f in holder.factors]


class TestSmsCode(ProofContract):
    @pytest.fixture
    def harness(self) -> ProofHarness:
        return Sent(SmsCode(), channel="sms", address="+861380013800{n}", role="backup")


class TestImMessage(ProofContract):
    @pytest.fixture
    def harness(self) -> ProofHarness:
        return Sent(ImMessage(), channel="im", address="wecom:maya.{n}", role="primary")


class Mailed(Sent):
    def answer(self, asked: PendingChallenge, now: int) -> str:
        return mail_code(asked.key, asked.challenge.nonce)


class TestEmailLink(ProofContract):
    @pytest.fixture
    def harness(self) -> ProofHarness:
        return Mailed(EmailLink(), channel="mail", address="maya{n}@example.net", role="primary")

    async def test_the_code_is_over_before_its_link(self, harness: ProofHarness) -> None:
        asked = put(harness.proof, await harness.holder(1))
        link = replace(asked, challenge=replace(asked.challenge, expires_at=asked.challenge.created_at + LINK_LIFE))
        typed, over = harness.answer(link, NOW), link.challenge.created_at + CODE_LIFE
        assert (await harness.proof.verify([link], typed, over - 1)).right is link
        assert (await harness.proof.verify([link], typed, over)).right is None

    async def test_a_second_mailbox_is_asked_as_such(self, harness: ProofHarness) -> None:
        holder = await harness.holder(1)
        assert list(harness.proof.targets(with_enrolled(holder, {"role": "backup"}, {}))) == []


class TestBackupEmail(ProofContract):
    @pytest.fixture
    def harness(self) -> ProofHarness:
        return Sent(BackupEmail(), channel="mail", address="maya{n}@example.net", role="backup")


class TestRecoveryContact(ProofContract):
    @pytest.fixture
    def harness(self) -> ProofHarness:
        return Vouched(
            RecoveryContact(), channel="mail", address="lin{n}@example.com", role="recovery", name="Lin Qiao {n}"
        )


class TestTotp(ProofContract):
    @pytest.fixture
    def harness(self) -> ProofHarness:
        return Apps()


class TestRecoveryCode(ProofContract):
    @pytest.fixture
    def harness(self, gate: HashGate) -> ProofHarness:
        return Codes(gate)


class TestPasskey(ProofContract):
    @pytest.fixture
    def harness(self) -> ProofHarness:
        return Keys()


class TestSecurityQuestions(ProofContract):
    @pytest.fixture
    def harness(self, gate: HashGate) -> ProofHarness:
        return Questions(gate)


class TestProviderSignIn(ProofContract):
    @pytest.fixture
    def harness(self) -> ProofHarness:
        return SignIns()

    async def test_another_issuer_under_the_same_name_is_nobody_s(self, harness: ProofHarness) -> None:
        holder = await harness.holder(1)
        moved = replace(holder.factors[0], data={**holder.factors[0].data, "issuer": "https://other.example.com"})
        assert list(harness.proof.targets(replace(holder, factors=(moved,)))) == []

    @pytest.mark.covers("A-6.6.2")
    async def test_an_answer_that_a_client_made_up_is_worth_nothing(self, harness: ProofHarness) -> None:
        asked = put(harness.proof, await harness.holder(1))
        payload, _, mac = harness.answer(asked, NOW).rpartition(".")
        for typed in (f"{payload[:-1]}2.{mac}", f"{payload}.", f"{payload}.{'0' * 64}", payload):
            assert (await harness.proof.verify([asked], typed, NOW)).right is None
