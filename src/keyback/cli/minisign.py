"""Signatures of files in minisign's format: Ed25519, checked without a network, by Keyback and by minisign itself.

A signature file has four lines: a comment, the signature of the file's BLAKE2b-512 digest, a trusted comment, and a
second signature, of the first one and the trusted comment. Only hashed signatures (`ED`) are taken.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from keyback.domain.characters import is_shown

UNTRUSTED, TRUSTED = "untrusted comment: ", "trusted comment: "
LONGEST = 8192  # of a signature or key file


class NotSigned(Exception):
    """The signature does not hold, or a file is none; the text says which, for people."""


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that signatures are checked with."""

    number: bytes
    key: bytes

    @property
    def name(self) -> str:
        """The key's ID as minisign writes it."""
        return self.number[::-1].hex().upper()

    def text(self) -> str:
        """The file for publishing it."""
        return f"{UNTRUSTED}minisign public key {self.name}\n{_b64(b'Ed' + self.number + self.key)}\n"


def read_public_key(path: Path) -> PublicKey:
    """A public key as minisign writes it.

    Raises:
        NotSigned: it is none.
    """
    lines = _lines(path)
    raw = _raw(lines[1] if len(lines) > 1 else "", 42, f"{path} is not a public key of minisign.")
    if raw[:2] != b"Ed":
        raise NotSigned(f"{path} is not a public key of minisign.")
    return PublicKey(raw[2:10], raw[10:])


def check(file: Path, signature: Path, key: PublicKey) -> str:
    """The trusted comment of a signature that holds for this file.

    Raises:
        NotSigned: it does not.
    """
    lines = _lines(signature)
    wrong = f"{signature} is not a signature of minisign."
    if len(lines) < 4 or not lines[2].startswith(TRUSTED):
        raise NotSigned(wrong)
    raw, whole = _raw(lines[1], 74, wrong), _raw(lines[3], 64, wrong)
    comment = lines[2].removeprefix(TRUSTED)
    if raw[:2] != b"ED":
        raise NotSigned(
            f"{signature} is an old signature, of the file and not of its digest. Sign with minisign 0.10 or newer."
        )
    if not hmac.compare_digest(raw[2:10], key.number):
        made = PublicKey(raw[2:10], b"").name
        raise NotSigned(f"{signature} was made with key {made}, and the public key is {key.name}.")
    public = Ed25519PublicKey.from_public_bytes(key.key)
    try:
        public.verify(raw[10:], digest(file))
        public.verify(whole, raw[10:] + comment.encode())
    except InvalidSignature:
        raise NotSigned(f"The signature does not hold: {file} is not what was signed.") from None
    return "".join(c if is_shown(c) else "�" for c in comment)


def sign(file: Path, private: Ed25519PrivateKey, number: bytes, comment: str) -> str:
    """The text of a signature file; `comment` is signed, too, and has one line."""
    once = private.sign(digest(file))
    whole = private.sign(once + comment.encode())
    by = PublicKey(number, b"").name
    made = f"{UNTRUSTED}signature from minisign key {by}\n{_b64(b'ED' + number + once)}\n"
    return f"{made}{TRUSTED}{comment}\n{_b64(whole)}\n"


def digest(file: Path) -> bytes:
    """What is signed of a file."""
    with file.open("rb") as f:
        return hashlib.file_digest(f, lambda: hashlib.blake2b(digest_size=64)).digest()


def _lines(path: Path) -> list[str]:
    with path.open("rb") as f:
        raw = f.read(LONGEST + 1)
    if len(raw) > LONGEST:
        raise NotSigned(f"{path} is too long for a key or a signature of minisign.")
    return raw.decode("utf-8", "replace").splitlines()


def _raw(line: str, length: int, wrong: str) -> bytes:
    try:
        raw = base64.b64decode(line.strip(), validate=True)
    except (binascii.Error, ValueError):
        raise NotSigned(wrong) from None
    if len(raw) != length:
        raise NotSigned(wrong)
    return raw


def _b64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
