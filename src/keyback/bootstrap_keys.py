"""Keyring, hardware token and peppers, made from the settings."""

from __future__ import annotations

import os

from cryptography.exceptions import UnsupportedAlgorithm

from keyback.application.passwords.hashing import HashGate, pepper_id
from keyback.application.passwords.hashing_sm3 import Sm3HashGate
from keyback.application.ports.hashing import HashingGate
from keyback.domain import digests
from keyback.settings import Settings, Unsafe
from keyback.storage.keys import keyfile
from keyback.storage.keys.hardware_token import HardwareToken
from keyback.storage.keys.keyring import Keyring, KeyringError
from keyback.storage.keys.sm4 import SM4GCM
from keyback.storage.maintenance.key_check import Peppers


def load_keyring(s: Settings) -> Keyring:
    """The keyring of the settings.

    Raises:
        Unsafe: missing, readable by others, short, or not random (P1).
    """
    _choose_cryptography(s)
    try:
        if s.keyring is not None:
            return Keyring.load(s.keyring.get_secret_value())
        path = s.keyring_path
        if path.exists() and path.stat().st_mode & 0o077:
            raise Unsafe(f"{path} can be read by others. Run: chmod 600 {path}")
        wrapper = keyring_wrapper(s)
        ring = keyfile.read(path, wrapper)
        ring.follow(path, lambda p: keyfile.read(p, wrapper))
        return ring
    except FileNotFoundError:
        raise Unsafe(f"there is no keyring at {s.keyring_path}. Make one with: keyback init") from None
    except (KeyringError, UnicodeDecodeError) as e:
        raise Unsafe(f"the keyring cannot be used: {e}") from None


def _choose_cryptography(s: Settings) -> None:
    """Raises Unsafe: this machine has no SM3 or SM4."""
    try:
        digests.choose(s.crypto)
        if s.crypto == "gm":
            SM4GCM(bytes(SM4GCM.KEY_BYTES)).encrypt(bytes(12), b"", b"")
    except (digests.Lacking, UnsupportedAlgorithm):
        words = 'crypto is "gm", but the OpenSSL of this Python has no SM3 or SM4'
        raise Unsafe(f"{words}. Use Debian's Python and the published wheel of cryptography.") from None


def keyring_wrapper(s: Settings) -> HardwareToken | None:
    """The hardware token that the keyring file is wrapped by, where the settings name one.

    Raises:
        Unsafe: its PIN cannot be read.
    """
    p = s.pkcs11
    if p.module is None:
        return None
    try:
        return HardwareToken(p.module, p.token, p.key, s.pkcs11_pin())
    except (OSError, ValueError) as e:
        words = (e.strerror if isinstance(e, OSError) else str(e)) or type(e).__name__
        raise Unsafe(f"pkcs11.pin_file cannot be read: {words}. Check the path and who may read it.") from None


def make_gate(s: Settings) -> HashGate:
    p = s.password
    files = [*([p.pepper_file] if p.pepper_file else []), *p.old_pepper_files]
    try:
        peppers = [f.read_bytes() for f in files]
    except OSError as e:
        name = "pepper_file" if p.pepper_file and e.filename == str(p.pepper_file) else "old_pepper_files"
        raise Unsafe(f"password.{name} cannot be read: {e.strerror}. Check the path and who may read it.") from None
    now, old = (peppers[0], peppers[1:]) if p.pepper_file else (None, peppers)
    try:
        if s.crypto == "gm":
            return Sm3HashGate(p.sm3_iterations, os.cpu_count() or 1, p.queue, now, old_peppers=old)
        return HashGate(p.memory_budget_mib, p.argon2_t, p.argon2_m_kib, p.argon2_p, p.queue, now, old_peppers=old)
    except ValueError as e:
        raise Unsafe(f"password: {e}") from None


def named_peppers(s: Settings) -> list[str]:
    """Ids of the peppers that the settings name. Raises OSError: a file cannot be read."""
    files = [*([s.password.pepper_file] if s.password.pepper_file else []), *s.password.old_pepper_files]
    return [pepper_id(f.read_bytes()) for f in files]


def peppers_of(gate: HashingGate) -> Peppers:
    """What `storage.maintenance.key_check` compares with the database."""
    return Peppers(gate.check_values(), gate.pepper)
