"""Attacks on passkeys: every step of verification is made to fail once (WebAuthn level 3, sections 7.1 and 7.2)."""

from __future__ import annotations

import asyncio
import base64
import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keyback.application.ports.proofs import Enrolments, PendingChallenge, Verdict
from keyback.domain.people.factor import Factor
from keyback.proofs.passkey.method import Passkey, can_be
from keyback.testing.authenticator import BE, BS, UP, UV, Authenticator, b64
from keyback.testing.proofs import NOW, put, somebody

URL = "https://id.example.com"
CHALLENGE, HANDLE = bytes(range(32)), bytes(64)
proof = Passkey(URL)


def enrolled(device: Authenticator, number: int = 1, handle: bytes = HANDLE) -> Enrolments:
    person = somebody(number)
    options = proof.registration_options(CHALLENGE, handle, "maya", "Maya Lin", "Qingyu", [])
    new = proof.verify_registration(device.create(options), CHALLENGE, handle)
    assert new is not None
    values: dict[str, Any] = {"state": "active", "data": new.data, "counter": new.counter, "lookup": new.lookup}
    return Enrolments(person, factors=(Factor(f"key-{number}", person.id, "passkey", "Laptop", **values),))


def device(**over: Any) -> Authenticator:
    return Authenticator(**{"origin": URL, "rp_id": "id.example.com", **over})


def options_of(asked: PendingChallenge) -> str:
    return str(proof.form([asked], "en")["options"])


def judged(asked: PendingChallenge, answer: str) -> Verdict:
    return asyncio.run(proof.verify([asked], answer, NOW))


@pytest.fixture
def pair() -> tuple[Authenticator, PendingChallenge]:
    key = device()
    return key, put(proof, enrolled(key))


def test_a_passkey_shows_two_factors_at_once(pair: tuple[Authenticator, PendingChallenge]) -> None:
    key, asked = pair
    verdict = judged(asked, key.get(options_of(asked)))
    assert (verdict.right, verdict.code, verdict.two_factors) == (asked, "ok", True)
    assert verdict.counter is None  # it does not count, so there is nothing to store


@pytest.mark.covers("W-2", "A-6.7.2")
@pytest.mark.parametrize(
    "client",
    [
        {"type": "webauthn.create"},
        {"type": "payment.get"},
        {"challenge": b64(bytes(32))},
        {"challenge": ""},
        {"origin": "https://id.example.com.evil.example.org"},
        {"origin": "http://id.example.com"},
        {"origin": "https://id.example.com:8443"},
        {"origin": "https://example.com"},
        {"origin": None},
        {"crossOrigin": True},
        {"crossOrigin": True, "topOrigin": "https://evil.example.org"},
    ],
    ids=str,
)
def test_client_data_that_does_not_fit_is_refused(
    pair: tuple[Authenticator, PendingChallenge], client: dict[str, Any]
) -> None:
    key, asked = pair
    assert judged(asked, key.get(options_of(asked), **client)) == Verdict()


@pytest.mark.covers("W-2")
@pytest.mark.parametrize(
    "change",
    [
        {"rp_id": "example.com"}, {"rp_id": "evil.example.org"}, {"flags": UV}, {"flags": 0}, {"flags": UP},
        {"flags": UP | UV | BS}, {"flags": UP | UV | BE}, {"flags": UP | UV | BE | BS},
    ],
    ids=str,
)  # fmt: skip
def test_authenticator_data_that_does_not_fit_is_refused(
    pair: tuple[Authenticator, PendingChallenge], change: dict[str, Any]
) -> None:
    key, asked = pair
    for name, value in change.items():
        setattr(key, name, value)
    assert judged(asked, key.get(options_of(asked))) == Verdict()


@pytest.mark.covers("W-2")
@pytest.mark.parametrize("part", ["signature", "authenticatorData", "clientDataJSON"])
def test_what_was_signed_cannot_be_changed(pair: tuple[Authenticator, PendingChallenge], part: str) -> None:
    key, asked = pair
    answer = json.loads(key.get(options_of(asked)))
    other = json.loads(device(count=9).get(options_of(asked), mark="x"))
    answer["response"][part] = other["response"][part]
    assert judged(asked, json.dumps(answer)) == Verdict()


@pytest.mark.covers("W-2", "W-3", "INV-I3")
def test_another_key_under_the_same_id_is_refused(pair: tuple[Authenticator, PendingChallenge]) -> None:
    key, asked = pair
    fake = device(credential_id=key.credential_id, user_handle=key.user_handle)
    assert judged(asked, fake.get(options_of(asked))) == Verdict()


@pytest.mark.covers("W-3")
@pytest.mark.parametrize("handle", [b64(b"\1" * 64), b64(b""), None, 7])
def test_a_passkey_says_whose_it_is(pair: tuple[Authenticator, PendingChallenge], handle: Any) -> None:
    key, asked = pair
    answer = key.get(options_of(asked), response={"userHandle": handle})
    assert judged(asked, answer).right is None


@pytest.mark.covers("W-3", "W-6")
def test_after_a_password_the_page_names_the_persons_passkeys_and_a_handle_may_be_missing() -> None:
    key, other = device(), device()
    asked = put(proof, enrolled(key), purpose="sign_in")
    named = json.loads(options_of(asked))["allowCredentials"]
    assert [c["id"] for c in named] == [b64(key.credential_id)]
    assert named[0]["transports"] == ["internal"]
    assert judged(asked, key.get(options_of(asked), response={"userHandle": None})).right is asked
    theirs = put(proof, enrolled(other, 2, b"\2" * 64), purpose="sign_in")
    assert judged(asked, other.get(options_of(theirs))).right is None


@pytest.mark.covers("W-6", "INV-I5")
def test_options_of_a_recovery_name_no_passkey(pair: tuple[Authenticator, PendingChallenge]) -> None:
    _, asked = pair
    mine = json.loads(options_of(asked))
    nobody = replace(asked, holder=Enrolments(replace(somebody(0), id="")))
    assert mine == json.loads(options_of(nobody))
    assert mine["allowCredentials"] == []
    assert mine["userVerification"] == "required"
    assert mine["rpId"] == "id.example.com"


@pytest.mark.covers("W-1", "M8", "N-T2")
def test_a_challenge_is_the_prompts_nonce_and_is_answered_once(pair: tuple[Authenticator, PendingChallenge]) -> None:
    key, asked = pair
    assert json.loads(options_of(asked))["challenge"] == b64(asked.challenge.nonce)
    assert len(asked.challenge.nonce) == 32
    answer = key.get(options_of(asked))
    spent = replace(asked, challenge=replace(asked.challenge, ended="used"))
    assert judged(spent, answer).right is None
    assert judged(put(proof, asked.holder, 2), answer).right is None


@pytest.mark.covers("W-4")
def test_a_count_that_does_not_go_up_is_refused_and_told() -> None:
    key = device(count=5)
    asked = put(proof, enrolled(key))
    assert asked.holder.factors[0].counter == 5
    key.step = 1
    assert judged(asked, key.get(options_of(asked))).counter == 6
    for count in (5, 4, 0):
        key.count, key.step = count, 0
        verdict = judged(asked, key.get(options_of(asked)))
        assert verdict == Verdict(code="sign_count", suspicious="sign_count")


def test_of_two_passkeys_of_one_person_the_one_that_answered() -> None:
    laptop, phone = device(), device()
    one, two = enrolled(laptop).factors[0], replace(enrolled(phone).factors[0], id="key-2")
    both = Enrolments(somebody(1), factors=(one, two))
    asked = [put(proof, both, target=f.id) for f in (one, two)]
    asked = [replace(a, target=t) for a, t in zip(asked, proof.targets(both), strict=True)]
    verdict = asyncio.run(proof.verify(asked, phone.get(options_of(asked[0])), NOW))
    assert verdict.right is asked[1]


def test_a_passkey_is_found_by_its_credential() -> None:
    key = device()
    holder = enrolled(key)
    assert proof.lookup(key.get(options_of(put(proof, holder)))) == holder.factors[0].lookup
    assert proof.lookup("{}") is None


# ── enrolling ───────────────────────────────────────────────────────────────


def registered(key: Authenticator, *, challenge: bytes = CHALLENGE, **client: Any) -> Any:
    options = proof.registration_options(CHALLENGE, HANDLE, "maya", "Maya Lin", "Qingyu", [])
    return proof.verify_registration(key.create(options, **client), challenge, HANDLE)


@pytest.mark.covers("W-2")
@pytest.mark.parametrize(
    "over, client",
    [
        ({"flags": UP}, {}),
        ({"flags": UV}, {}),
        ({"rp_id": "evil.example.org"}, {}),
        ({"origin": "https://evil.example.org"}, {}),
        ({}, {"type": "webauthn.get"}),
        ({}, {"challenge": b64(bytes(32))}),
        ({}, {"crossOrigin": True}),
        ({"credential_id": bytes(1024)}, {}),
    ],
    ids=str,
)
def test_a_passkey_that_does_not_fit_is_not_kept(over: dict[str, Any], client: dict[str, Any]) -> None:
    assert registered(device()) is not None
    assert registered(device(**over), **client) is None
    assert registered(device(), challenge=bytes(32)) is None


@pytest.mark.parametrize("answer", ["", "{}", "[]", "null", "[" * 9000, '{"response": 1}', "x" * 40_000])
def test_rubbish_is_no_passkey(answer: str) -> None:
    assert proof.verify_registration(answer, CHALLENGE, HANDLE) is None


@pytest.mark.covers("W-5")
def test_a_user_handle_is_random_and_the_same_for_all_passkeys_of_a_person() -> None:
    options = json.loads(proof.registration_options(CHALLENGE, b"\7" * 64, "maya", "Maya Lin", "Qingyu", []))
    assert options["user"]["id"] == b64(b"\7" * 64)
    holder = enrolled(device(), handle=b"\7" * 64)
    assert proof.user_handle(holder.factors, bytes(64)) == b"\7" * 64
    assert proof.user_handle([], b"\5" * 64) == b"\5" * 64
    with pytest.raises(ValueError, match="64 bytes"):
        proof.user_handle([], b"maya@example.com")


def test_a_device_makes_no_second_passkey_and_every_one_verifies_its_user() -> None:
    key = device()
    holder = enrolled(key)
    options = json.loads(proof.registration_options(CHALLENGE, HANDLE, "maya", "", "Qingyu", holder.factors))
    assert [c["id"] for c in options["excludeCredentials"]] == [b64(key.credential_id)]
    assert options["authenticatorSelection"] == {
        "residentKey": "required", "requireResidentKey": True, "userVerification": "required",
    }  # fmt: skip
    assert options["attestation"] == "none"
    assert [p["alg"] for p in options["pubKeyCredParams"]] == [-8, -7, -257]
    assert options["user"]["displayName"] == "maya"


@pytest.mark.parametrize(
    "url, rp_id, origin",
    [
        ("https://id.example.com", "id.example.com", "https://id.example.com"),
        ("https://ID.Example.com:443", "id.example.com", "https://id.example.com"),
        ("https://id.example.com:8443", "id.example.com", "https://id.example.com:8443"),
        ("http://localhost:8080", "localhost", "http://localhost:8080"),
        ("https://回钥.example", "xn--zbsq15l.example", "https://xn--zbsq15l.example"),
    ],
)
def test_the_origin_is_as_browsers_write_it(url: str, rp_id: str, origin: str) -> None:
    here = Passkey(url)
    assert (here.rp_id, here.origin) == (rp_id, origin)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8080", "http://[::1]:8080", "https://192.0.2.7"])
def test_an_address_without_a_name_has_no_passkeys(url: str) -> None:
    assert not can_be(url)
    with pytest.raises(ValueError, match="host name"):
        Passkey(url)


def test_nothing_of_a_new_passkey_is_shown() -> None:
    new = registered(device())
    assert new.data["credential_id"] not in repr(new)
    assert new.data["public_key"] not in repr(new)


KEY = device()
KEYS_HOLDER = enrolled(KEY)


@pytest.mark.covers("W-2")
@settings(max_examples=150, deadline=None)
@given(
    part=st.sampled_from(["signature", "authenticatorData", "clientDataJSON"]), at=st.integers(0), bit=st.integers(0, 7)
)
def test_no_bit_of_an_answer_can_be_turned(part: str, at: int, bit: int) -> None:
    asked = put(proof, KEYS_HOLDER)
    answer = json.loads(KEY.get(options_of(asked)))
    raw = bytearray(base64.urlsafe_b64decode(answer["response"][part] + "=="))
    raw[at % len(raw)] ^= 1 << bit
    answer["response"][part] = b64(bytes(raw))
    assert judged(asked, json.dumps(answer)) == Verdict()
