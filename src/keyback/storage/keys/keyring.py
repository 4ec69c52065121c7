"""Keys and sealing: what the database must not tell is encrypted under a keyring that lives outside of it (ADR 6).

A ring that `follow`s its file takes up keys that are added while it is in use, and goes on sealing with the one it
began with: a rotation needs no moment at which all processes change at once.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256, SM3
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from keyback.domain import digests
from keyback.storage.keys.sm4 import SM4GCM

log = structlog.get_logger("keyback.keys")
LINE = re.compile(r"([a-z0-9]{1,8})(?:/([a-z-]{1,20}))?:([A-Za-z0-9_-]{43}=?)")
CHAINED = ("audit", "audit-head")  # purposes whose key never changes: the audit log's chain and its signed ends
WRAPPED = "wrapped:"  # what the one line of a file begins with that a hardware token encrypted
VERSION = {"standard": 1, "gm": 2}  # what a sealed value begins with
LOOK_S = 1.0  # how often a ring in use looks at its file


HEADING = "# Keyback keyring. Keep it apart from the database and back it up.\n"


class KeyringError(Exception):
    """The keyring is missing, short, malformed or a published example; the text says which and what to do."""


class Unsealable(Exception):
    """A sealed value does not belong here, was changed, or its key is gone."""


class Keyring:
    """Named 256-bit keys. The first one seals and signs, all of them open and verify.

    Args:
        keys: key id (1 to 8 of a-z0-9) to 32 random bytes, the one in use first.
        kept: (key id, purpose) to what was derived for that purpose, which stays when the key itself goes.

    Attributes:
        primary: id of the key that seals.
        chain: id of the key that the audit log is chained with, forever the first one this Keyback had.

    Raises:
        KeyringError: no key, a short key or one of little variety, such as 32 equal bytes.
    """

    def __init__(self, keys: Mapping[str, bytes], kept: Mapping[tuple[str, str], bytes] | None = None) -> None:
        if not keys:
            raise KeyringError("the keyring is empty; make one with `keyback init`")
        for kid, key in keys.items():
            if len(key) != 32:
                raise KeyringError(f"key {kid} is not 32 bytes long; make one with `keyback init`")
            if len(set(key)) < 12:
                raise KeyringError(f"key {kid} is not random; make one with `keyback init`")
        self._keys = dict(keys)
        self._kept = {(purpose, kid): key for (kid, purpose), key in (kept or {}).items()}
        self.primary = next(iter(self._keys))
        self.chain = next((kid for purpose, kid in self._kept if purpose == CHAINED[0]), list(self._keys)[-1])
        self._derived = dict(self._kept)
        self._file: Path | None = None
        self._reread: Reader = read_plain
        self._seen = 0
        self._looked = 0.0
        self._ciphers: dict[tuple[str, str], AESGCM | SM4GCM] = {}

    @classmethod
    def load(cls, text: str) -> Keyring:
        """Reads lines of `id:base64url` and `id/purpose:base64url`; blank lines and `#` comments are allowed."""
        keys: dict[str, bytes] = {}
        kept: dict[tuple[str, str], bytes] = {}
        for n, raw in enumerate(text.splitlines(), 1):
            line = raw.strip()
            if not line or line.startswith("#"):
                continue
            m = LINE.fullmatch(line)
            if not m and line.startswith(WRAPPED):
                raise KeyringError("the keyring is wrapped by a hardware token; name the token in [pkcs11]")
            if not m:
                raise KeyringError(f"line {n} of the keyring is not of the form id:key; make one with `keyback init`")
            kid, purpose = m[1], m[2]
            if (kid, purpose) in kept or (not purpose and kid in keys):
                raise KeyringError(f"line {n} of the keyring names {kid} a second time; give each key its own id")
            try:
                key = base64.urlsafe_b64decode(m[3].rstrip("=") + "=")
            except binascii.Error as e:
                raise KeyringError(f"line {n} of the keyring is not base64url") from e
            if purpose:
                kept[kid, purpose] = key
            else:
                keys[kid] = key
        return cls(keys, kept)

    def text(self) -> str:
        """What `load` reads: the file's lines, secret."""
        lines = [f"{kid}:{_b64(key)}" for kid, key in self._keys.items()]
        return "\n".join(lines + [f"{kid}/{purpose}:{_b64(key)}" for (purpose, kid), key in self._kept.items()]) + "\n"

    @staticmethod
    def fresh_line(kid: str = "k1") -> str:
        """A new random key as a line of the keyring file."""
        return f"{kid}:{_b64(os.urandom(32))}"

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of all keys, the primary one first."""
        self._look()
        return tuple(self._keys)

    def secret(self, kid: str) -> bytes:
        """The key itself, for writing the file. Raises KeyError."""
        return self._keys[kid]

    def follow(self, path: Path, read: Reader | None = None) -> None:
        """Takes up, from now on, keys that are added to this file; the primary one stays as it is."""
        self._file, self._seen, self._reread = path, _changed_at(path), read or read_plain

    def _look(self, *, now: bool = False) -> None:
        """Reads the file again when it has changed, at most once a second unless `now`. Never fails: what cannot be
        read is told to the log, and the keys stay."""
        if self._file is None or (not now and time.monotonic() - self._looked < LOOK_S):
            return
        self._looked = time.monotonic()
        changed = _changed_at(self._file)
        if changed == self._seen:
            return
        self._seen = changed
        try:
            found = self._reread(self._file)
        except (OSError, KeyringError, UnicodeDecodeError) as e:
            log.error("keyring_unreadable", error=type(e).__name__)
            return
        new = {kid: key for kid, key in found._keys.items() if kid not in self._keys}
        self._keys = {**self._keys, **new}
        if new:
            log.info("keys_added", keys=sorted(new))
        if self.primary not in found._keys:
            log.error("key_retired", key=self.primary, next="restart this process, or others cannot read what it seals")

    def derive(self, purpose: str, kid: str | None = None) -> bytes:
        """32 bytes for one purpose (HKDF, RFC 5869, by SHA-256 or SM3). Unknown key ids raise KeyError."""
        kid = kid or self.primary
        found = self._derived.get((purpose, kid))
        if found is None:
            if kid not in self._keys:
                self._look(now=True)
            algorithm = SHA256() if digests.chosen() == "standard" else SM3()
            hkdf = HKDF(algorithm=algorithm, length=32, salt=b"keyback/1", info=purpose.encode())
            found = self._derived[purpose, kid] = hkdf.derive(self._keys[kid])
        return found

    def seal(self, plain: bytes, purpose: str, bound_to: str) -> bytes:
        """Encrypts (AES-256-GCM, or SM4-GCM by RFC 8998) so that it opens only for the same purpose and for what it is
        bound to."""
        return self.seal_all([(plain, bound_to)], purpose)[0]

    def seal_all(self, items: Sequence[tuple[bytes, str]], purpose: str) -> list[bytes]:
        """`seal` for each (plain, bound_to), with one draw of randomness for all: drawing gives up the interpreter
        lock, and a busy event loop takes its time to hand it back."""
        cipher, head = self._cipher(purpose, self.primary), self.head(self.primary)
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
            if kid not in self._keys:
                self._look(now=True)
            if sealed[0] != VERSION[digests.chosen()] or kid not in self._keys:
                raise Unsealable("the key of a sealed value is not in the keyring")
            return self._cipher(purpose, kid).decrypt(nonce, body, f"{purpose}\0{bound_to}".encode())
        except (IndexError, InvalidTag, UnicodeDecodeError, ValueError) as e:
            raise Unsealable("a sealed value cannot be opened") from e

    def _cipher(self, purpose: str, kid: str) -> AESGCM | SM4GCM:
        found = self._ciphers.get((purpose, kid))
        if found is None:
            key = self.derive(f"seal/{purpose}", kid)
            found = AESGCM(key) if digests.chosen() == "standard" else SM4GCM(key[: SM4GCM.KEY_BYTES])
            self._ciphers[purpose, kid] = found
        return found

    @staticmethod
    def head(kid: str) -> bytes:
        """What everything that this key sealed begins with."""
        return bytes([VERSION[digests.chosen()], len(kid)]) + kid.encode()

    def __repr__(self) -> str:
        return f"Keyring({', '.join(self._keys)})"


def read_plain(path: Path) -> Keyring:
    """The ring of a file that nothing else protects. Raises OSError, KeyringError, UnicodeDecodeError."""
    return Keyring.load(path.read_text(encoding="ascii"))


Reader = Callable[[Path], Keyring]


def _b64(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).decode()


def _changed_at(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
