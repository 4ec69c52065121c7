"""What `keyback check` says of the keyring, of what wraps its file, and of hashing passwords."""

from __future__ import annotations

import os
import secrets
import time

from keyback.application.ports.hashing import HashingGate
from keyback.cli.check_result import Result
from keyback.domain.secret import Secret
from keyback.settings import Settings
from keyback.storage.keys.keyfile import is_wrapped
from keyback.storage.keys.keyring import Keyring

SLOW_HASH_MS = 1_000


def described(s: Settings, ring: Keyring) -> Result:
    """How it is, in words, and what to do."""
    words = f"{len(ring.ids)} key(s), {ring.primary} is used"
    if s.pkcs11.module is None:
        return Result("keyring", "ok", words)
    if s.keyring is not None:
        next_ = "Move it to keyring_file, then run: keyback keys wrap"
        return Result("keyring", "warn", f"{words}; pkcs11 is set, but the environment has it in clear", next_)
    if not is_wrapped(s.keyring_path):
        next_ = "Put a copy in a safe, then run: keyback keys wrap"
        return Result("keyring", "warn", f"{words}; pkcs11 is set, but the file is in clear", next_)
    return Result("keyring", "ok", f"{words}; wrapped by the token {s.pkcs11.token}")


async def hashing(s: Settings, gate: HashingGate) -> Result:
    """How long a password takes, and whether its memory is there."""
    gm, p = s.crypto == "gm", s.password
    began = time.perf_counter()
    try:
        await gate.hash(Secret(secrets.token_urlsafe(18)))
    except Exception as e:
        next_ = "See password.sm3_iterations." if gm else "See password.argon2_m_kib."
        return Result("hashing", "bad", f"hashing a password fails ({type(e).__name__})", next_)
    ms = (time.perf_counter() - began) * 1000
    cost = "by PBKDF2-HMAC-SM3" if gm else f"and {p.argon2_m_kib / 1024:.0f} MiB"
    words = f"{ms:.0f} ms {cost} a password, {gate.permits} at once"
    free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2**20 if hasattr(os, "sysconf") else None
    if not gm and free is not None and free < gate.permits * p.argon2_m_kib // 1024:
        return Result("hashing", "warn", f"{words}; only {free} MiB are free", "Lower password.memory_budget_mib.")
    if ms > SLOW_HASH_MS:
        lower = "password.sm3_iterations" if gm else "password.argon2_t"
        return Result("hashing", "warn", words, f"Slow: people wait for it at sign-in. Lower {lower}.")
    return Result("hashing", "ok", words)
