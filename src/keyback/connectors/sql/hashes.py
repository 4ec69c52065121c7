"""Password hashes as applications keep them: written in the form that a row has, and compared.

What a stored hash asks for in time or memory is bounded, since it comes from a database that may be anybody's.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
from typing import Final, Literal

import argon2
import bcrypt

from keyback.domain.secret import Secret

Format = Literal["bcrypt", "argon2id", "pbkdf2_sha256", "phpass"]
BCRYPT_BYTES: Final = 72
"""What bcrypt looks at: libraries cut the rest off or refuse it, so a longer password is none."""
_BCRYPT: Final = re.compile(r"\$(2[aby])\$(\d\d)\$[./A-Za-z0-9]{53}\Z")
_BCRYPT_COST: Final = (12, 15)
_PBKDF2: Final = re.compile(r"pbkdf2_sha256\$(\d{1,8})\$([^$]{1,128})\$([A-Za-z0-9+/]{43}=)\Z")
_PBKDF2_ROUNDS: Final = (1_000_000, 10_000_000)
_PHPASS: Final = re.compile(r"\$[PH]\$([./0-9A-Za-z])([./0-9A-Za-z]{8})[./0-9A-Za-z]{22}\Z")
_PHPASS_ROUNDS: Final = (13, 20)  # powers of two
_ITOA64: Final = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_ALPHANUMERIC: Final = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_ARGON2_MEMORY: Final = (65536, 1048576)  # KiB
_ARGON2_WORK: Final = 8 * 1048576  # KiB times passes


def too_long(form: Format, password: Secret) -> bool:
    """Whether this form would not look at the whole password."""
    return form == "bcrypt" and len(password.reveal().encode()) > BCRYPT_BYTES


def hashed(form: Format, password: Secret, before: str = "") -> str:
    """A new hash with a new salt.

    Args:
        before: the hash that it takes the place of: what it costs is kept where that is more than the least of today,
            and its kind of bcrypt, since not every library knows all of them.

    Raises:
        ValueError: bcrypt, and the password is too long for it or has a NUL.
    """
    raw = password.reveal().encode()
    match form:
        case "bcrypt":
            if len(raw) > BCRYPT_BYTES or b"\0" in raw:
                raise ValueError("too long for bcrypt")
            known = _BCRYPT.match(before)
            cost = _kept(_BCRYPT_COST, int(known[2]) if known else 0)
            made = bcrypt.hashpw(raw, bcrypt.gensalt(cost)).decode()
            return f"${known[1] if known else '2b'}{made[3:]}"
        case "argon2id":
            return _argon2(before).hash(raw)
        case "pbkdf2_sha256":
            known = _PBKDF2.match(before)
            rounds = _kept(_PBKDF2_ROUNDS, int(known[1]) if known else 0)
            return _pbkdf2(raw, "".join(secrets.choice(_ALPHANUMERIC) for _ in range(22)), rounds)
        case "phpass":
            known = _PHPASS.match(before)
            power = _kept(_PHPASS_ROUNDS, _ITOA64.index(known[1]) if known else 0)
            return _phpass(raw, "".join(secrets.choice(_ITOA64) for _ in range(8)), power)


def matches(form: Format, stored: str, password: Secret) -> bool | None:
    """Whether the password has this hash; None where it is of another form, or asks for too much to be computed."""
    raw = password.reveal().encode()
    match form:
        case "bcrypt":
            known = _BCRYPT.match(stored)
            if not known or not 4 <= int(known[2]) <= _BCRYPT_COST[1]:
                return None
            # Rows that others wrote: most libraries looked at the first 72 bytes and said nothing.
            return b"\0" not in raw and bcrypt.checkpw(raw[:BCRYPT_BYTES], stored.encode())
        case "argon2id":
            return _argon2_matches(stored, raw)
        case "pbkdf2_sha256":
            known = _PBKDF2.match(stored)
            if not known or not 1 <= int(known[1]) <= _PBKDF2_ROUNDS[1]:
                return None
            return hmac.compare_digest(_pbkdf2(raw, known[2], int(known[1])), stored)
        case "phpass":
            known = _PHPASS.match(stored)
            if not known or not 7 <= _ITOA64.index(known[1]) <= _PHPASS_ROUNDS[1]:
                return None
            return hmac.compare_digest(_phpass(raw, known[2], _ITOA64.index(known[1]))[3:], stored[3:])


def _kept(bounds: tuple[int, int], before: int) -> int:
    least, most = bounds
    return before if least <= before <= most else least


def _argon2(before: str) -> argon2.PasswordHasher:
    try:
        p = argon2.extract_parameters(before)
    except argon2.exceptions.InvalidHashError:
        p = None
    if p is None or p.type is not argon2.Type.ID or p.memory_cost < _ARGON2_MEMORY[0] or not _bearable(p):
        return argon2.PasswordHasher(time_cost=3, memory_cost=_ARGON2_MEMORY[0], parallelism=1)
    return argon2.PasswordHasher(p.time_cost, p.memory_cost, p.parallelism)


def _argon2_matches(stored: str, raw: bytes) -> bool | None:
    try:
        if not _bearable(p := argon2.extract_parameters(stored)) or p.type is not argon2.Type.ID:
            return None
        return argon2.PasswordHasher().verify(stored, raw)
    except argon2.exceptions.VerifyMismatchError:
        return False
    except (argon2.exceptions.InvalidHashError, argon2.exceptions.VerificationError):
        return None


def _bearable(p: argon2.Parameters) -> bool:
    return p.memory_cost <= _ARGON2_MEMORY[1] and p.memory_cost * p.time_cost <= _ARGON2_WORK and p.parallelism <= 16


def _pbkdf2(raw: bytes, salt: str, rounds: int) -> str:
    """As Django writes it."""
    digest = base64.b64encode(hashlib.pbkdf2_hmac("sha256", raw, salt.encode(), rounds)).decode()
    return f"pbkdf2_sha256${rounds}${salt}${digest}"


def _phpass(raw: bytes, salt: str, power: int) -> str:
    """The “portable” hash of Openwall's phpass: MD5 over and over, its digits from the lowest up."""
    digest = hashlib.md5(salt.encode() + raw, usedforsecurity=False).digest()
    for _ in range(1 << power):
        digest = hashlib.md5(digest + raw, usedforsecurity=False).digest()
    out = []
    for at in range(0, 16, 3):
        group = digest[at : at + 3]
        value = int.from_bytes(group, "little")
        out += [_ITOA64[value >> 6 * n & 63] for n in range(len(group) + 1)]
    return f"$P${_ITOA64[power]}{salt}{''.join(out)}"
