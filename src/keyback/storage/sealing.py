"""Keys and sealing: what the database must not tell is encrypted under a keyring that lives outside of it (ADR 6)."""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

LINE = re.compile(r"([a-z0-9]{1,8}):([A-Za-z0-9_-]{43}=?)")


class KeyringError(Exception):
    """The keyring is missing, short, malformed or a published example; the text says which and what to do."""


class Unsealable(Exception):
    """A sealed value does not belong here, was changed, or its key is gone."""


class Keyring:
    """Named 256-bit keys. The first one seals and signs, all of them open and verify.

    Args:
        keys: key id (1 to 8 of a-z0-9) to 32 random bytes, newest first.

    Raises:
        KeyringError: no key, a short key or one of little variety, such as 32 equal bytes.
    """

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        if not keys:
            raise KeyringError("the keyring is empty; make one with `keyback init`")
        for kid, key in keys.items():
            if len(key) != 32:
                raise KeyringError(f"key {kid} is not 32 bytes long; make one with `keyback init`")
            if len(set(key)) < 12:
                raise KeyringError(f"key {kid} is not random; make one with `keyback init`")
        self._keys = dict(keys)
        self.primary = next(iter(self._keys))
        self._derived: dict[tuple[str, str], bytes] = {}
        self._ciphers: dict[tuple[str, str], AESGCM] = {}

    @classmethod
    def load(cls, text: str) -> Keyring:
        """Reads lines of `id:base64url`; blank lines and `#` comments are allowed."""
        keys: dict[str, bytes] = {}
        for n, raw in enumerate(text.splitlines(), 1):
            line = raw.strip()
            if not line or line.startswith("#"):
                continue
            m = LINE.fullmatch(line)
            if not m:
                raise KeyringError(f"line {n} of the keyring is not of the form id:key; make one with `keyback init`")
            if m[1] in keys:
                raise KeyringError(f"line {n} of the keyring names {m[1]} a second time; give each key its own id")
            try:
                keys[m[1]] = base64.urlsafe_b64decode(m[2].rstrip("=") + "=")
            except binascii.Error as e:
                raise KeyringError(f"line {n} of the keyring is not base64url") from e
        return cls(keys)

    @staticmethod
    def fresh_line(kid: str = "k1") -> str:
        """A new random key as a line of the keyring file."""
        return f"{kid}:{base64.urlsafe_b64encode(os.urandom(32)).decode()}"

    @classmethod
    def create(cls, path: Path) -> Keyring:
        """Writes a new keyring file that only its owner can read; never overwrites.

        Raises:
            FileExistsError: there is one already.
        """
        line = cls.fresh_line()
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w", encoding="ascii") as f:
            f.write(f"# Keyback keyring. Keep it apart from the database and back it up.\n{line}\n")
        return cls.load(line)

    @property
    def ids(self) -> tuple[str, ...]:
        return tuple(self._keys)

    def derive(self, purpose: str, kid: str | None = None) -> bytes:
        """32 bytes for one purpose (HKDF-SHA256, RFC 5869). Unknown key ids raise KeyError."""
        kid = kid or self.primary
        found = self._derived.get((purpose, kid))
        if found is None:
            hkdf = HKDF(algorithm=SHA256(), length=32, salt=b"keyback/1", info=purpose.encode())
            found = self._derived[purpose, kid] = hkdf.derive(self._keys[kid])
        return found

    def seal(self, plain: bytes, purpose: str, bound_to: str) -> bytes:
        """Encrypts (AES-256-GCM) so that it opens only for the same purpose and for what it is bound to."""
        return self.seal_all([(plain, bound_to)], purpose)[0]

    def seal_all(self, items: Sequence[tuple[bytes, str]], purpose: str) -> list[bytes]:
        """`seal` for each (plain, bound_to), with one draw of randomness for all: drawing gives up the interpreter
        lock, and a busy event loop takes its time to hand it back."""
        cipher, head = self._cipher(purpose, self.primary), bytes([1, len(self.primary)]) + self.primary.encode()
        drawn, out = os.urandom(12 * len(items)), []
        for i, (plain, bound_to) in enumerate(items):
            nonce = drawn[12 * i : 12 * i + 12]
            out.append(head + nonce + cipher.encrypt(nonce, plain, f"{purpose}\0{bound_to}".encode()))
        return out

    def open(self, sealed: bytes, purpose: str, bound_to: str) -> bytes:
        """The plain bytes.

        Raises:
            Unsealable: changed, moved to another row, or its key is not in the ring.
        """
        try:
            n = sealed[1]
            kid, nonce, body = sealed[2 : 2 + n].decode(), sealed[2 + n : 14 + n], sealed[14 + n :]
            if sealed[0] != 1 or kid not in self._keys:
                raise Unsealable("the key of a sealed value is not in the keyring")
            return self._cipher(purpose, kid).decrypt(nonce, body, f"{purpose}\0{bound_to}".encode())
        except (IndexError, InvalidTag, UnicodeDecodeError, ValueError) as e:
            raise Unsealable("a sealed value cannot be opened") from e

    def _cipher(self, purpose: str, kid: str) -> AESGCM:
        found = self._ciphers.get((purpose, kid))
        if found is None:
            found = self._ciphers[purpose, kid] = AESGCM(self.derive(f"seal/{purpose}", kid))
        return found

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self._keys)})"
