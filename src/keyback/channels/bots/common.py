"""What the protocols share: how old a call may be, and the cipher that two of them use."""

from __future__ import annotations

import json
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from keyback.application.ports.bots import BadCall
from keyback.domain.units import MINUTE

TOLERANCE = 5 * MINUTE
BLOCK = 16
MAX_ID = 128
MAX_NONCE = 128


def is_fresh(written_ms: int, now: int) -> bool:
    """Whether a call's instant is near enough."""
    return abs(now - written_ms) <= TOLERANCE


def whole_number(text: str) -> int:
    """Raises BadCall: no number as services write instants."""
    if not (0 < len(text) <= 13 and text.isascii() and text.isdigit()):
        raise BadCall("malformed")
    return int(text)


def object_of(raw: bytes) -> dict[str, Any]:
    """JSON that is an object. Raises BadCall."""
    try:
        value = json.loads(raw)
    except (ValueError, RecursionError):
        raise BadCall("malformed") from None
    if not isinstance(value, dict):
        raise BadCall("malformed")
    return value


def text_in(value: Any, *path: str, most: int = 10_000) -> str:
    """A text inside an object; empty where there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value if isinstance(value, str) and len(value) <= most else ""


def decrypt(key: bytes, iv: bytes, sealed: bytes, block: int) -> bytes:
    """AES-256-CBC with PKCS#7 padding to `block` bytes.

    What is wrong with it is told by one refusal only. Callers have checked a signature before, so that nobody learns
    anything from trying (padding oracles).

    Raises:
        BadCall: it was not made with this key.
    """
    if not sealed or len(sealed) % BLOCK:
        raise BadCall("malformed")
    opener = Cipher(AES(key), CBC(iv)).decryptor()
    plain = opener.update(sealed) + opener.finalize()
    pad = plain[-1]
    if not 1 <= pad <= block or plain[-pad:] != bytes([pad]) * pad:
        raise BadCall("malformed")
    return plain[:-pad]


def encrypt(key: bytes, iv: bytes, plain: bytes, block: int) -> bytes:
    """The other way round."""
    pad = block - len(plain) % block
    sealer = Cipher(AES(key), CBC(iv)).encryptor()
    return sealer.update(plain + bytes([pad]) * pad) + sealer.finalize()
