"""What is derived from a key and a nonce, pinned: another value would end every link that is under way at an update."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from keyback.domain import tokens
from keyback.domain.challenges import challenge as ch
from keyback.domain.challenges import prompt as pr
from tests.each import each

KEY, NONCE, HANDLE = bytes(range(32)), bytes(range(100, 132)), "AAAAAAAAAAAAAAAAAAAAAA"


def mac(label: bytes, text: bytes) -> bytes:
    """RFC 2104 by the book, without our code."""
    pad = KEY.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in pad) + label + b"\0" + text).digest()
    return hashlib.sha256(bytes(b ^ 0x5C for b in pad) + inner).digest()


def token(label: bytes, size: int = 16) -> str:
    return base64.urlsafe_b64encode(mac(label, NONCE)[:size]).decode().rstrip("=")


@pytest.mark.covers("C12", "N-R4")
def test_links_and_codes_are_these() -> None:
    assert mac(b"link", NONCE) == hmac.new(KEY, b"link\0" + NONCE, "sha256").digest()
    assert ch.link_token(KEY, NONCE) == token(b"link")
    assert ch.stop_token(KEY, NONCE) == token(b"stop")
    assert pr.prompt_token(KEY, NONCE) == token(b"prompt")
    assert len(pr.prompt_token(KEY, NONCE)) == 22
    assert ch.mail_code(KEY, NONCE) == str(int(mac(b"code", NONCE)[:16].hex(), 16) % 10**8).rjust(8, "0")
    assert ch.holder_secret(KEY, HANDLE) == base64.urlsafe_b64encode(mac(b"holder", HANDLE.encode())[:24]).decode()
    assert ch.match_number(KEY, HANDLE) == 10 + int(mac(b"number", HANDLE.encode())[:8].hex(), 16) % 90
    assert len({ch.link_token(KEY, NONCE), ch.stop_token(KEY, NONCE), pr.prompt_token(KEY, NONCE)}) == 3


@pytest.mark.covers("N-O3", "N-R4")
@each("digits", [4, 6, 8])
def test_short_codes_are_these_with_their_zeros(digits: int) -> None:
    found = set()
    for n in range(400):
        nonce = n.to_bytes(32, "big")
        code = pr.short_code(KEY, nonce, digits)
        assert code == str(int(mac(b"short", nonce)[:16].hex(), 16) % 10**digits).rjust(digits, "0")
        found.add(code[0])
    assert found == set("0123456789")
    assert pr.short_code(KEY, NONCE) == pr.short_code(KEY, NONCE, 6)


def test_sameness_is_of_every_character_and_takes_any_text() -> None:
    assert tokens.same("1234", "1234")
    assert not tokens.same("1234", "1235")
    assert not tokens.same("1234", "123")
    assert not tokens.same("1234", "１２３４")
    assert not tokens.same("1234", "")
