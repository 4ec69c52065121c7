"""What a mail carries so that its return can be told from a forged one. Pure.

Whoever only knows an address cannot make such a token, and one that comes back late says when its mail was written:
what was shown to work after that is not taken back (ADR 49).
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from keyback.domain import digests
from keyback.domain.units import HOUR, MINUTE

PURPOSE: Final = "returned_mail"
LIFE: Final = 14 * 24 * HOUR  # relays give up after five days, some after ten
LENGTH: Final = 48
TOKEN: Final = re.compile(rf"[a-z2-7]{{{LENGTH}}}\Z")
_SEAL: Final = 10  # bytes


@dataclass(frozen=True, slots=True)
class SentMail:
    """Which mail came back: to which contact it went, and when it was written (ms)."""

    contact_id: str
    written_at: int


def make_token(key: bytes, contact_id: str, written_at: int) -> str:
    """48 letters and digits that survive whatever changes their case; empty for an id that is none of ours."""
    try:
        raw = base64.urlsafe_b64decode(contact_id + "==")
    except (binascii.Error, ValueError):
        return ""
    if len(raw) != 16 or _id(raw) != contact_id:
        return ""
    said = raw + (written_at // MINUTE).to_bytes(4, "big")
    return base64.b32encode(said + _seal(key, said)).decode().lower()


def read_token(keys: Iterable[bytes], token: str, now: int) -> SentMail | None:
    """What a token of ours says; None for anything else, and for one that is too old to be a relay's."""
    text = token.lower()
    if not TOKEN.match(text):
        return None
    raw = base64.b32decode(text.upper())
    said, seal = raw[:-_SEAL], raw[-_SEAL:]
    if not any(hmac.compare_digest(seal, _seal(key, said)) for key in keys):
        return None
    written_at = (int.from_bytes(said[16:], "big") + 1) * MINUTE - 1  # at the latest
    return SentMail(_id(said[:16]), written_at) if now - written_at <= LIFE else None


def _id(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _seal(key: bytes, said: bytes) -> bytes:
    return digests.mac(key, b"returned\0" + said)[:_SEAL]
