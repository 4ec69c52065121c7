"""Prompts: one question put to one person, and the wish for it that comes from a page.

A wish is written down for everybody alike; the worker finds whom it is about and makes prompts. Codes and links are
MACs over a prompt's nonce and never stored (RFC 2104; NIST SP 800-63B-4 sections 3.1.3 and 4.2.1.2).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Literal

from keyback.domain.units import HOUR, MINUTE

Purpose = Literal["recovery", "enrol", "step_up", "sign_in", "cancel"]
PromptEnding = Literal["used", "replaced", "stopped", "refused", "spent"]
SHORT_LIFE = 10 * MINUTE  # hard maximum for SMS (N-R5), and what asks of any out-of-band code
CONTACT_LIFE = 24 * HOUR  # a colleague may be at lunch (N-R8)
SHORT_DIGITS = 6


@dataclass(frozen=True, slots=True)
class Prompt:
    """A question that waits for its answer.

    Args:
        handle: the intake whose page asked, empty where none did.
        target: the contact or factor that it is put to.
        nonce: 32 random bytes; a WebAuthn challenge as it is, otherwise the seed of code and link.
        security_version: the person's when it was made; any other value makes it void (C17).
        ended: why it can no longer be answered, None while it can.
    """

    id: str
    purpose: Purpose
    proof: str
    person_id: str
    nonce: bytes = field(repr=False)
    security_version: int
    created_at: int
    expires_at: int
    handle: str = ""
    case_id: str = ""
    target: str = ""
    key_id: str = ""
    ended: PromptEnding | None = None


@dataclass(frozen=True, slots=True)
class ChallengeRequest:
    """A way to prove that the holder of an intake asked for. `tries` counts answers to it, over all resends."""

    handle: str
    proof: str
    asked_at: int
    expires_at: int
    target: str = ""
    state: Literal["new", "done"] = "new"
    tries: int = 0
    sends: int = 1


def short_code(key: bytes, nonce: bytes, digits: int = SHORT_DIGITS) -> str:
    """The digits that travel by SMS or message."""
    mac = hmac.digest(key, b"short\0" + nonce, hashlib.sha256)
    return str(int.from_bytes(mac[:16], "big") % 10**digits).zfill(digits)


def prompt_token(key: bytes, nonce: bytes) -> str:
    """The 22 characters (128 bits) of a link that goes with a prompt."""
    return base64.urlsafe_b64encode(hmac.digest(key, b"prompt\0" + nonce, hashlib.sha256)[:16]).rstrip(b"=").decode()
