"""Passwords by PBKDF2-HMAC-SM3, for `crypto = "gm"`: RFC 8018 section 5.2 with SM3 as GB/T 32905-2016 has it.

Stored form: `$pbkdf2-sm3$i=600000$salt$hash`, both in base64 without padding; a pepper stands before it as
with argon2id.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from typing import Final

from keyback.application.passwords.hashing import PEPPERED, HashGate
from keyback.application.ports.hashing import Verified
from keyback.domain.passwords.rules import Unreadable, normalize
from keyback.domain.secret import Secret

PHC: Final = re.compile(r"\$pbkdf2-sm3\$i=([1-9][0-9]{0,7})\$([A-Za-z0-9+/]{22})\$([A-Za-z0-9+/]{43})")
SALT_BYTES, HASH_BYTES = 16, 32
FLOOR: Final = 100_000  # iterations
CAP: Final = 20_000_000  # of a stored hash


class Sm3HashGate(HashGate):
    """The same gate, queue and peppers, with another hash behind it, which needs no memory to speak of.

    Args:
        iterations: of a new hash.
        at_once: hashes at once.

    Raises:
        ValueError: fewer iterations than `FLOOR`, or a pepper that is too short.
    """

    def __init__(
        self,
        iterations: int,
        at_once: int,
        queue: int,
        pepper: bytes | None = None,
        *,
        old_peppers: Sequence[bytes] = (),
    ) -> None:
        if iterations < FLOOR:
            raise ValueError(f"sm3_iterations is below {FLOOR}")
        super().__init__(at_once, 2, 19 * 1024, 1, queue, pepper, old_peppers=old_peppers)
        self.permits, self._budget_kib, self._free_kib = at_once, at_once, at_once
        self._iterations = iterations

    async def hash(self, secret: Secret) -> str:
        message = self._message(normalize(secret.reveal()), self._pepper)
        mark = PEPPERED + self._pepper if self._pepper else ""
        return mark + str(await self._through(lambda: self._made(message), 1))

    async def verify(self, phc: str | None, secret: Secret) -> Verified:
        try:
            text = normalize(secret.reveal())
        except Unreadable:
            return Verified(False, False)
        pepper, bare = _split(phc or "")
        found = PHC.fullmatch(bare)
        usable = found is not None and int(found[1]) <= CAP and (not pepper or pepper in self._peppers)
        if phc is not None and not usable:
            self.refused += 1
        if not usable or found is None:
            await self._through(lambda: _derived(b"nobody", b"no account here.", self._iterations), 1)
            return Verified(False, False)
        message, iterations = self._message(text, pepper), int(found[1])
        fits = await self._through(lambda: self._same(message, iterations, found[2], found[3]), 1)
        return Verified(bool(fits), bool(fits) and (pepper != self._pepper or iterations < self._iterations))

    def _made(self, message: bytes) -> str:
        salt = secrets.token_bytes(SALT_BYTES)
        return f"$pbkdf2-sm3$i={self._iterations}${_text(salt)}${_text(_derived(message, salt, self._iterations))}"

    def _same(self, message: bytes, iterations: int, salt: str, wanted: str) -> bool:
        try:
            right = hmac.compare_digest(_derived(message, _raw(salt), iterations), _raw(wanted))
        except binascii.Error:
            right = False
        if not right and iterations < self._iterations:
            # A cheaper hash from earlier must not answer sooner than no account at all.
            _derived(b"nobody", b"no account here.", self._iterations - iterations)
        return right


def _split(phc: str) -> tuple[str, str]:
    """The id of the pepper, empty for none, and the hash itself."""
    if not phc.startswith(PEPPERED):
        return "", phc
    pepper, _, rest = phc.removeprefix(PEPPERED).partition("$")
    return pepper or "-", f"${rest}"


def _derived(message: bytes, salt: bytes, iterations: int) -> bytes:
    return hashlib.pbkdf2_hmac("sm3", message, salt, iterations, HASH_BYTES)


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).rstrip(b"=").decode()


def _raw(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
