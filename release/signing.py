"""Signs files as minisign does, with its secret keys, and makes such keys. Uses no network and no other program."""

from __future__ import annotations

import base64
import binascii
import getpass
import hashlib
import os
import secrets
import sys
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from keyback.cli.minisign import UNTRUSTED, PublicKey, sign
from release.source import Refused

# Ed, how it is encrypted, B2, salt (32), two limits (8 each), then key ID (8), seed and public key (64), checksum (32).
LENGTH = 158
SECRET = slice(54, 158)


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A key that signs."""

    number: bytes
    private: Ed25519PrivateKey

    @property
    def public(self) -> PublicKey:
        return PublicKey(self.number, self.private.public_key().public_bytes_raw())

    def sign(self, file: Path, comment: str) -> Path:
        """Writes the signature beside the file."""
        path = file.with_name(f"{file.name}.minisig")
        path.write_text(sign(file, self.private, self.number, comment), encoding="utf-8")
        return path


def read_secret_key(path: Path) -> SecretKey:
    """A secret key as minisign writes it; asks for its password on a terminal if it has one.

    Raises:
        Refused: it is none, others can read it, or the password is wrong.
    """
    if path.stat().st_mode & 0o077:
        raise Refused(f"Others on this machine can read {path}. Run: chmod 600 {path}")
    lines = path.read_text("utf-8", "replace").splitlines()
    try:
        raw = base64.b64decode(lines[1], validate=True)
    except (IndexError, binascii.Error):
        raw = b""
    if len(raw) != LENGTH or raw[:2] != b"Ed" or raw[4:6] != b"B2" or raw[2:4] not in (b"Sc", b"\0\0"):
        raise Refused(f"{path} is not a secret key of minisign.")
    secret = raw[SECRET]
    if raw[2:4] == b"Sc":
        secret = bytes(a ^ b for a, b in zip(secret, _stream(path, raw), strict=True))
    number, seed, checksum = secret[:8], secret[8:40], secret[72:]
    plain = raw[2:4] == b"\0\0" and checksum == bytes(32)  # minisign -W leaves it out
    if not plain and checksum != hashlib.blake2b(b"Ed" + secret[:72], digest_size=32).digest():
        raise Refused(f"The password is wrong, or {path} is damaged.")
    return SecretKey(number, Ed25519PrivateKey.from_private_bytes(seed))


def _stream(path: Path, raw: bytes) -> bytes:
    if not sys.stdin.isatty() and "KEYBACK_SIGNING_PASSWORD_FILE" not in os.environ:
        raise Refused(
            f"{path} has a password and nobody can be asked. Put it in a file; KEYBACK_SIGNING_PASSWORD_FILE names it."
        )
    file = os.environ.get("KEYBACK_SIGNING_PASSWORD_FILE")
    password = Path(file).read_text("utf-8").rstrip("\n") if file else getpass.getpass(f"Password of {path}: ")
    operations, memory = (int.from_bytes(raw[n : n + 8], "little") for n in (38, 46))
    n, r, p = _costs(operations, memory)
    return hashlib.scrypt(password.encode(), salt=raw[6:38], n=n, r=r, p=p, maxmem=2**31 - 1, dklen=104)


def _costs(operations: int, memory: int) -> tuple[int, int, int]:
    """libsodium's choice of scrypt's parameters for two limits."""
    operations, r = max(operations, 32768), 8
    if operations < memory // 32:
        p, most = 1, operations // (r * 4)
    else:
        most = memory // (r * 128)
        p = 0
    log = next((n for n in range(1, 63) if 1 << n > most // 2), 63)
    if not p:
        p = min(operations // 4 // (1 << log), 0x3FFFFFFF) // r
    return 1 << log, r, max(p, 1)


def new_key(path: Path) -> Path:
    """Makes a secret key without a password, which only its owner can read, and its public key beside it.

    Raises:
        Refused: one of the files is there.
    """
    public = path.with_suffix(".pub")
    for file in (path, public):
        if file.exists():
            raise Refused(f"{file} is there already; a key is never overwritten. Name another file.")
    private, number = Ed25519PrivateKey.generate(), secrets.token_bytes(8)
    key = SecretKey(number, private)
    inner = number + private.private_bytes_raw() + key.public.key
    checksum = hashlib.blake2b(b"Ed" + inner, digest_size=32).digest()
    raw = b"Ed" + b"\0\0" + b"B2" + bytes(48) + inner + checksum
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as f:
        f.write(f"{UNTRUSTED}minisign encrypted secret key\n{base64.b64encode(raw).decode()}\n")
    public.write_text(key.public.text(), encoding="utf-8")
    return public
