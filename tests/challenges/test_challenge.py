"""Links, codes and numbers: long enough, apart from each other, spread evenly, and read kindly."""

from __future__ import annotations

import base64
import hashlib
import random
from collections import Counter

import pytest

from keyback.domain import tokens
from keyback.domain.challenges import challenge as ch
from keyback.domain.throttling.limits import HARD_CAP, TRIES_SHOWN, WINDOW_TRIES
from keyback.domain.units import HOUR, MINUTE

KEY = bytes(range(32))


def link(nonce: bytes, key: bytes = KEY) -> str:
    return ch.link_token(key, ch.Challenge("id", "recovery", ch.EMAIL_LINK, "person", nonce, 0, 0, 1))


def nonces(n: int, seed: int = 7) -> list[bytes]:
    r = random.Random(seed)
    return [r.randbytes(32) for _ in range(n)]


@pytest.mark.covers("C12", "N-R4", "A-11.5.1", "O-F4", "O-W1")
def test_tokens_carry_128_bits_and_are_never_alike_between_purposes() -> None:
    seen: set[str] = set()
    for nonce in nonces(500):
        mailed, stop = link(nonce), ch.stop_token(KEY, nonce)
        holder = ch.holder_secret(KEY, base64.urlsafe_b64encode(nonce[:16])[:22].decode())
        for token, bits in ((mailed, 128), (stop, 128), (holder, 192)):
            assert len(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))) * 8 == bits
            assert token not in seen
            seen.add(token)
    assert len(seen) == 1500


def test_tokens_hang_on_key_and_nonce() -> None:
    nonce, other = nonces(2)
    assert link(nonce) == link(nonce)
    assert len({link(n, k) for k in (KEY, KEY[::-1]) for n in (nonce, other)}) == 4
    assert len({ch.mail_code(k, n) for k in (KEY, KEY[::-1]) for n in (nonce, other)}) == 4


@pytest.mark.covers("C12")
def test_the_digest_tells_nothing_but_itself() -> None:
    token = link(nonces(1)[0])
    assert tokens.token_digest(token) == hashlib.sha256(token.encode()).digest()
    assert tokens.token_digest("¿\ud83d?".encode("utf-8", "replace").decode()) != tokens.token_digest(token)


@pytest.mark.covers("N-R4")
def test_codes_have_eight_digits_spread_evenly() -> None:
    codes = [ch.mail_code(KEY, n) for n in nonces(4000)]
    assert all(len(c) == 8 and c.isdigit() for c in codes)
    for place in range(8):
        counts = Counter(c[place] for c in codes)
        chi2 = sum((counts[str(d)] - 400) ** 2 / 400 for d in range(10))
        assert chi2 < 33.7  # 9 degrees of freedom, p = 0.0001; the nonces are fixed
    assert len(set(codes)) > 3990


def test_the_number_stays_with_its_request_and_each_of_ninety_is_as_likely() -> None:
    numbers = Counter(ch.match_number(KEY, f"handle-{i}") for i in range(9000))
    assert numbers == Counter(ch.match_number(KEY, f"handle-{i}") for i in range(9000))
    assert set(numbers) == set(range(10, 100))
    assert max(numbers.values()) < 150


def test_limits_stay_within_what_the_standards_allow() -> None:
    assert ch.LINK_LIFE <= 24 * HOUR
    assert ch.CODE_LIFE <= 10 * MINUTE
    assert HARD_CAP <= 100
    assert TRIES_SHOWN <= WINDOW_TRIES <= HARD_CAP
