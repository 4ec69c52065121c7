"""What is derived from a key and a nonce, pinned: another value would end every link that is under way at an update."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import replace
from typing import Any

import pytest

from keyback.domain import tokens
from keyback.domain.challenges import challenge as ch
from tests.support.each import each

KEY, NONCE, HANDLE = bytes(range(32)), bytes(range(100, 132)), "AAAAAAAAAAAAAAAAAAAAAA"


def mac(label: bytes, text: bytes) -> bytes:
    """RFC 2104 by the book, without our code."""
    pad = KEY.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(b ^ 0x36 for b in pad) + label + b"\0" + text).digest()
    return hashlib.sha256(bytes(b ^ 0x5C for b in pad) + inner).digest()


def token(label: bytes, size: int = 16) -> str:
    return base64.urlsafe_b64encode(mac(label, NONCE)[:size]).decode().rstrip("=")


def asked(purpose: Any, method: str) -> ch.Challenge:
    return ch.Challenge("id", purpose, method, "person", NONCE, 0, 0, 3_600_000)


def test_keys_are_derived_under_these_names() -> None:
    assert {m: ch.key_purpose(m) for m in ("email_link", "sms_code", "passkey", "account")} == {
        "email_link": "challenge", "sms_code": "prompt", "passkey": "prompt", "account": "prompt",
    }  # fmt: skip


def test_a_link_goes_with_what_is_mailed_as_one() -> None:
    purposes: tuple[Any, ...] = ("recovery", "enrol", "step_up", "sign_in", "cancel")
    methods = ("email_link", "recovery_contact", "sms_code", "account")
    linked = {(p, m) for p in purposes for m in methods if ch.has_link(asked(p, m))}
    kept = {(p, m) for p in ("recovery", "enrol") for m in ("email_link", "recovery_contact")}
    assert linked == kept | {("cancel", m) for m in methods}


def test_a_challenge_waits_until_it_is_over_or_ended() -> None:
    c = asked("recovery", ch.EMAIL_LINK)
    assert c.code_until == ch.CODE_LIFE
    assert replace(c, expires_at=7).code_until == 7
    assert c.waits(c.expires_at - 1)
    assert not c.waits(c.expires_at)
    assert not replace(c, ended="used").waits(0)


@pytest.mark.covers("C12", "N-R4")
def test_links_and_codes_are_these() -> None:
    assert mac(b"link", NONCE) == hmac.new(KEY, b"link\0" + NONCE, "sha256").digest()
    assert ch.link_token(KEY, asked("recovery", ch.EMAIL_LINK)) == token(b"link")
    assert ch.stop_token(KEY, NONCE) == token(b"stop")
    for purpose, method in (("cancel", "notice"), ("cancel", "account"), ("enrol", ch.RECOVERY_CONTACT)):
        assert ch.link_token(KEY, asked(purpose, method)) == token(b"prompt")
    own = ch.link_token(KEY, asked("recovery", ch.RECOVERY_CONTACT))  # two people behind one address share the nonce
    assert own == base64.urlsafe_b64encode(mac(b"prompt", NONCE + b"id")[:16]).decode().rstrip("=")
    assert len(own) == 22
    assert ch.mail_code(KEY, NONCE) == str(int(mac(b"code", NONCE)[:16].hex(), 16) % 10**8).rjust(8, "0")
    assert ch.holder_secret(KEY, HANDLE) == base64.urlsafe_b64encode(mac(b"holder", HANDLE.encode())[:24]).decode()
    assert ch.match_number(KEY, HANDLE) == 10 + int(mac(b"number", HANDLE.encode())[:8].hex(), 16) % 90
    assert len({token(b"link"), token(b"stop"), token(b"prompt"), own}) == 4


@pytest.mark.covers("N-O3", "N-R4")
@each("digits", [4, 6, 8])
def test_short_codes_are_these_with_their_zeros(digits: int) -> None:
    found = set()
    for n in range(400):
        nonce = n.to_bytes(32, "big")
        code = ch.short_code(KEY, nonce, digits)
        assert code == str(int(mac(b"short", nonce)[:16].hex(), 16) % 10**digits).rjust(digits, "0")
        found.add(code[0])
    assert found == set("0123456789")
    assert ch.short_code(KEY, NONCE) == ch.short_code(KEY, NONCE, 6)


def test_sameness_is_of_every_character_and_takes_any_text() -> None:
    assert tokens.same("1234", "1234")
    assert not tokens.same("1234", "1235")
    assert not tokens.same("1234", "123")
    assert not tokens.same("1234", "１２３４")
    assert not tokens.same("1234", "")
