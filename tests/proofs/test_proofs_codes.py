"""Attacks on codes at the level of the methods: apps, saved codes, codes that are sent, a colleague's word."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pyotp
import pytest

from keyback.application.passwords.hashing import HashGate
from keyback.application.ports.hashing import Verified
from keyback.application.ports.proofs import Enrolments, PendingChallenge, Verdict
from keyback.domain.challenges.challenge import short_code
from keyback.domain.people.factor import CODES, Factor, SavedCode
from keyback.domain.people.person import Contact
from keyback.domain.secret import Secret
from keyback.proofs.backup_email.method import BackupEmail
from keyback.proofs.recovery_code.method import ALPHABET, RecoveryCode, read
from keyback.proofs.recovery_contact.method import RecoveryContact
from keyback.proofs.sms_code.method import SmsCode
from keyback.proofs.totp.method import STEP_MS, Totp
from keyback.testing.proofs import NOW, applied, put, somebody

SEED = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"  # "12345678901234567890", the seed of RFC 6238 appendix B


def with_app(counter: int = 0, **over: Any) -> PendingChallenge:
    values: dict[str, Any] = {"state": "active", "data": {"seed": SEED}, "counter": counter}
    factor = Factor("f1", "person-1", "totp", "Pixel", **values)
    return put(Totp(), Enrolments(somebody(1), factors=(factor,)), **{"created_at": 0, "expires_at": 1 << 60, **over})


def judged(asked: PendingChallenge, typed: str, now: int) -> Verdict:
    return asyncio.run(Totp().verify([asked], typed, now))


# ── apps ────────────────────────────────────────────────────────────────────


@pytest.mark.covers("R-3")
@pytest.mark.parametrize(
    "seconds, code",
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037"),
     (20000000000, "353130")],
)  # fmt: skip
def test_the_vectors_of_rfc_6238(seconds: int, code: str) -> None:
    verdict = judged(with_app(), code, seconds * 1000)
    assert verdict.code == "ok"
    assert verdict.counter == seconds // 30


@pytest.mark.covers("SD-D10", "R-3", "A-6.5.5", "A-6.5.8")
@pytest.mark.parametrize("steps, taken", [(-3, False), (-2, False), (-1, True), (0, True), (1, False), (2, False)])
def test_the_current_and_the_previous_step_and_none_from_the_future(steps: int, taken: bool) -> None:
    verdict = judged(with_app(), pyotp.TOTP(SEED).generate_otp(NOW // STEP_MS + steps), NOW)
    assert (verdict.right is not None) is taken
    assert verdict.counter == (NOW // STEP_MS + steps if taken else None)


@pytest.mark.covers("M1", "D10", "N-T1", "INV-I1")
def test_a_step_is_taken_once_and_none_before_it_afterwards() -> None:
    totp, step = pyotp.TOTP(SEED), NOW // STEP_MS
    asked = with_app()
    first = judged(asked, totp.generate_otp(step), NOW)
    after = replace(applied(asked, first, NOW), challenge=asked.challenge)
    assert judged(after, totp.generate_otp(step), NOW) == Verdict(code="replayed")
    assert judged(after, totp.generate_otp(step - 1), NOW) == Verdict(code="replayed")
    later = judged(after, totp.generate_otp(step + 1), NOW + STEP_MS)
    assert later.counter == step + 1
    assert judged(after, totp.generate_otp(step), NOW + STEP_MS) == Verdict(code="replayed")


@pytest.mark.covers("R-2", "N-T1")
def test_a_seed_has_160_bits_and_an_app_can_read_it() -> None:
    totp = Totp()
    seed = totp.new_seed(b"12345678901234567890")
    assert seed == SEED
    for size in (0, 10, 19, 21):
        with pytest.raises(ValueError, match="20 bytes"):
            totp.new_seed(bytes(size))
    uri = totp.uri(seed, "maya@example.com", "青屿: Instruments")
    app = pyotp.parse_uri(uri)
    assert isinstance(app, pyotp.TOTP)
    assert (app.secret, app.interval, app.digits) == (SEED, 30, 6)
    assert app.name == "maya@example.com"
    assert "青屿" in str(app.issuer)


def test_the_qr_code_needs_no_script_and_no_style() -> None:
    svg = Totp().qr_svg(Totp().uri(SEED, "maya", "Qingyu"))
    assert svg.startswith("<svg")
    assert svg.endswith("</svg>")
    assert not re.search(r"script|style|href|on\w+=|<!|<\?", svg)
    assert 'fill="#fff"' in svg  # white ground in dark mode too
    assert SEED not in svg


@pytest.mark.covers("M5")
def test_the_first_code_shows_that_the_app_has_the_seed_and_does_not_sign_in_as_well() -> None:
    code = pyotp.TOTP(SEED).generate_otp(NOW // STEP_MS)
    step = Totp().first_step(SEED, f"{code[:3]} {code[3:]}", NOW)
    assert step == NOW // STEP_MS
    assert judged(with_app(step), code, NOW).code == "replayed"
    assert Totp().first_step(SEED, "000000", 59_000) is None
    assert Totp().first_step(SEED, "", NOW) is None


def test_full_width_digits_and_spaces_are_read() -> None:
    code = pyotp.TOTP(SEED).generate_otp(NOW // STEP_MS)
    wide = code.translate(str.maketrans("0123456789", "０１２３４５６７８９"))
    assert judged(with_app(), f" {wide[:3]}　{wide[3:]} ", NOW).code == "ok"


@pytest.mark.covers("F1", "M5")
def test_a_factor_that_is_still_pending_answers_only_for_its_own_enrolment() -> None:
    code = pyotp.TOTP(SEED).generate_otp(NOW // STEP_MS)
    for purpose, taken in (("enrol", True), ("recovery", False), ("sign_in", False), ("step_up", False)):
        asked = with_app(purpose=purpose)
        pending = replace(asked.holder, factors=(replace(asked.holder.factors[0], state="pending"),))
        assert (judged(replace(asked, holder=pending), code, NOW).right is not None) is taken


@pytest.mark.covers("F1")
def test_a_new_factor_signs_in_at_once_and_recovers_after_it_cooled_in() -> None:
    code = pyotp.TOTP(SEED).generate_otp(NOW // STEP_MS)
    for purpose, taken in (("recovery", False), ("sign_in", True), ("step_up", True)):
        asked = with_app(purpose=purpose)
        fresh = replace(asked.holder, factors=(replace(asked.holder.factors[0], usable_from=NOW + 1),))
        assert (judged(replace(asked, holder=fresh), code, NOW).right is not None) is taken


# ── saved codes ─────────────────────────────────────────────────────────────


class CountingGate:
    """Counts what a real gate would have hashed; the hash is the secret itself."""

    def __init__(self) -> None:
        self.asked: list[str | None] = []

    async def hash(self, secret: Secret) -> str:
        return f"phc:{secret.reveal()}"

    async def verify(self, phc: str | None, secret: Secret) -> Verified:
        self.asked.append(phc)
        return Verified(phc == f"phc:{secret.reveal()}", False)


def test_codes_are_long_random_and_readable() -> None:
    serial = iter(range(256))
    codes = RecoveryCode(CountingGate()).new_codes(lambda n: bytes(next(serial) for _ in range(n)))
    assert len(codes) == CODES == len({c.slot for c in codes})
    for c in codes:
        assert re.fullmatch(r"([0-9A-HJKMNP-TV-Z]{6}-){2}[0-9A-HJKMNP-TV-Z]{6}", c.text)
        assert c.slot + c.secret.reveal() == c.text.replace("-", "")
        assert c.secret.reveal() not in f"{c!r}"
        assert c.text not in f"{c!r}"


@pytest.mark.covers("N-R2", "A-6.5.4")
def test_a_saved_code_has_64_bits_or_more_beside_its_slot() -> None:
    (code,) = RecoveryCode(CountingGate()).new_codes(lambda n: bytes(n), 1)
    assert len(set(ALPHABET)) ** len(code.secret.reveal()) >= 2**64
    every_byte = iter(bytes((b,)) * 18 for b in range(256))
    codes = [RecoveryCode(CountingGate()).new_codes(lambda _: next(every_byte), 1)[0].text[0] for _ in range(256)]
    assert Counter(codes) == dict.fromkeys(ALPHABET, 8)  # each letter as often as any other


def test_slots_in_use_are_left_out() -> None:
    draws = iter([bytes(18), bytes(18), bytes([1] * 18)])
    (code,) = RecoveryCode(CountingGate()).new_codes(lambda n: next(draws), 1, taken={"00"})
    assert code.slot == "11"


@pytest.mark.parametrize(
    "typed",
    ["k7qf2m9x3b1tzz81ac", "K7QF2M-9X3B1T-ZZ81AC", " k7qf2m 9x3b1t zz8lac ", "K7QF2M-9X3BIT-ZZ8iAC",
     "K7QF2M–9X3B1T—ZZ81AC", "Ｋ７ＱＦ２Ｍ－９Ｘ３Ｂ１Ｔ－ＺＺ８１ＡＣ"],
)  # fmt: skip
def test_codes_are_read_as_people_type_them(typed: str) -> None:
    assert read(typed) == ("K7", Secret("QF2M9X3B1TZZ81AC"))


@pytest.mark.parametrize("typed", ["", "K7", "K7QF2M-9X3B1T-ZZ81A", "K7QF2M-9X3B1T-ZZ81ACC", "U7QF2M-9X3B1T-ZZ81AC"])
def test_what_cannot_be_a_code_is_not_hashed(typed: str) -> None:
    gate = CountingGate()
    assert asyncio.run(RecoveryCode(gate).verify([], typed, NOW)).code == "not_a_code"
    assert gate.asked == []


def with_codes(gate: Any, person: int = 1) -> tuple[PendingChallenge, list[str]]:
    proof, factor_id = RecoveryCode(gate), f"set-{person}"
    new = proof.new_codes(lambda n: bytes((i * 7 + person) % 256 for i in range(n)), 1)
    new = [*new, *proof.new_codes(lambda n: bytes((i * 11 + person) % 256 for i in range(n)), 1)]
    assert new[0].slot != new[1].slot
    rows = tuple(
        SavedCode(f"row-{person}-{i}", factor_id, c.slot, asyncio.run(proof.hashed(c.secret)))
        for i, c in enumerate(new)
    )
    factor = Factor(factor_id, f"person-{person}", "recovery_codes", "", "active")
    return put(proof, Enrolments(somebody(person), factors=(factor,), codes=rows)), [c.text for c in new]


@pytest.mark.covers("N-L3", "A-6.5.2", "INV-I5")
def test_every_answer_costs_one_hash_whether_a_row_is_there_or_not() -> None:
    gate = CountingGate()
    proof = RecoveryCode(gate)
    asked, (right, other) = with_codes(gate)
    none_there = "ZZ" + right[2:]
    for questions, typed in [
        ([asked], right), ([asked], right[:-1] + "0"), ([asked], none_there), ([], right), ([], none_there),
        ([asked], other[:2] + right[2:]),
    ]:  # fmt: skip
        gate.asked.clear()
        asyncio.run(proof.verify(questions, typed, NOW))
        assert len(gate.asked) == 1


@pytest.fixture
def real_gate() -> Iterator[HashGate]:
    gate = HashGate(64, 2, 19456, 1, 64)
    yield gate
    gate.close()


@pytest.mark.covers("N-L2", "N-L3", "M13", "N-R3")
def test_a_saved_code_is_hashed_with_its_own_salt_works_once_and_leaves_the_others(real_gate: HashGate) -> None:
    proof = RecoveryCode(real_gate)
    asked, (first, second) = with_codes(real_gate)
    assert all(c.phc.startswith("$argon2id$") and first[2:].replace("-", "") not in c.phc for c in asked.holder.codes)
    assert asyncio.run(proof.hashed(Secret("A" * 16))) != asyncio.run(proof.hashed(Secret("A" * 16)))
    verdict = asyncio.run(proof.verify([asked], first, NOW))
    assert (verdict.code, verdict.spent, verdict.counter) == ("ok", "row-1-0", None)
    after = replace(applied(asked, verdict, NOW), challenge=asked.challenge)
    assert asyncio.run(proof.verify([after], first, NOW)) == Verdict(code="spent")
    assert asyncio.run(proof.verify([after], second, NOW)).spent == "row-1-1"
    used_up = applied(after, asyncio.run(proof.verify([after], second, NOW)), NOW)
    assert list(proof.targets(used_up.holder)) == []


# ── codes that are sent, and a colleague's word ─────────────────────────────


def holder_with(*contacts: tuple[str, str, str], **over: Any) -> Enrolments:
    rows = tuple(
        Contact(f"c{i}", "person-1", "mail", address, role, added_at=int(at or 0), **over)
        for i, (address, role, at) in enumerate(contacts)  # type: ignore[arg-type]
    )
    return Enrolments(somebody(1), rows)


@pytest.mark.covers("F7", "INV-I3", "SD-D5")
@pytest.mark.parametrize(
    "contacts, channels",
    [
        ([("maya@example.com", "primary", ""), ("maya@example.net", "backup", "")], ["mail:c1"]),
        ([("maya@example.com", "primary", ""), ("m.two@EXAMPLE.com", "backup", "")], ["mail:c0"]),
        ([("maya@example.com", "primary", ""), ("m@home.example.com", "backup", "")], ["mail:c0"]),
        ([("maya@mail.example.com", "primary", ""), ("m@example.com", "backup", "")], ["mail:c0"]),
        ([("maya@example.com", "primary", ""), ("m@notexample.com", "backup", "")], ["mail:c1"]),
        ([("a@example.org", "backup", "5"), ("b@example.org", "backup", "3")], ["mail:c1", "mail:c1"]),
        ([("b@example.com", "backup", "1"), ("maya@example.com", "primary", "9")], ["mail:c1"]),
    ],
)
def test_mailboxes_in_one_domain_count_once(contacts: list[tuple[str, str, str]], channels: list[str]) -> None:
    assert [t.channel for t in BackupEmail().targets(holder_with(*contacts))] == channels


@pytest.mark.covers("F7")
def test_nobody_vouches_for_themselves() -> None:
    own = ("Maya@example.com", "primary", "")
    assert not RecoveryContact().targets(holder_with(own, ("maya@example.com", "recovery", "")))
    assert [t.id for t in RecoveryContact().targets(holder_with(own, ("lin@example.com", "recovery", "")))] == ["c1"]
    assert not BackupEmail().targets(holder_with(own, ("lin@example.com", "recovery", "")))


@pytest.mark.covers("N-R8")
def test_the_link_alone_vouches_for_nobody() -> None:
    proof = RecoveryContact()
    asked = put(proof, holder_with(("maya@example.com", "primary", ""), ("lin@example.com", "recovery", "")))
    spoken = str(proof.form([asked], "en")["digits"])
    assert re.fullmatch(r"[0-9]{4}", spoken)
    for typed in (
        "confirm",
        "confirm:1:",
        "confirm:1",
        f"confirm:0:{spoken}",
        f"confirm:2:{spoken}",
        spoken,
        f"refuse:1:{spoken}",
    ):
        assert asyncio.run(proof.verify([asked], typed, NOW)) == Verdict(code="not_a_code")
    assert asyncio.run(proof.verify([asked], f"confirm:1:{spoken}", NOW)).right is asked
    # What the mail's own code would be is something else.
    assert spoken != short_code(asked.key, asked.challenge.nonce, 4)


@pytest.mark.covers("N-R4", "O-M2")
def test_a_newer_code_is_another_one() -> None:
    holder = Enrolments(somebody(1), (Contact("c1", "person-1", "sms", "+8613800138000", "backup"),))
    old, new = put(SmsCode(), holder, 1), put(SmsCode(), holder, 2)
    code = short_code(old.key, old.challenge.nonce)
    replaced = replace(old, challenge=replace(old.challenge, ended="replaced"))
    assert asyncio.run(SmsCode().verify([replaced, new], code, NOW)).right is None
    assert asyncio.run(SmsCode().verify([replaced, new], short_code(new.key, new.challenge.nonce), NOW)).right is new
