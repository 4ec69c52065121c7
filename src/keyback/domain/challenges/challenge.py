"""Challenges: one mail's link and code, derived from a random nonce by MAC and never stored.

Sources: RFC 2104, NIST SP 800-63B-4 section 4.2.1.2.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import Literal

from keyback.domain.units import HOUR, MINUTE

LINK_LIFE = 60 * MINUTE  # hard maximum 24 h (N-R5)
CODE_LIFE = 10 * MINUTE  # hard maximum 24 h by mail (N-R5); ten minutes as asks
CODE_DIGITS = 8
NUMBER_DIGITS = 2
ADDRESS_PER_HOUR, ADDRESS_PER_DAY = 8, 24  # to one address, which several people may share
PROVEN_PER_HOUR, PROVEN_PER_DAY = 6, 15  # beside these, messages asked for by a page that has proven something
TYPED_PER_HOUR, TYPED_PER_DAY = 6, 10  # codes to addresses that somebody who has shown who they are typed
FETCH_LIFE = 24 * HOUR  # a link fetches for as long, though it proves for an hour only

# `replaced`: by a newer one of the same request; `overtaken`: another request of the same case was accepted first.
Ending = Literal["used", "replaced", "overtaken", "stopped", "wrong_number", "spent"]


@dataclass(frozen=True, slots=True)
class Challenge:
    """One mail that asks its reader to prove that the mailbox is theirs.

    Args:
        nonce: 32 random bytes; link and code are MACs over it.
        security_version: the person's when it was made; any other value makes it void (C17).
        ended: why it can no longer be used, None while it can.
        fetched_at: when its link fetched a mail for another request of its reader (ms), None while it can.
    """

    id: str
    intake_id: str
    case_id: str
    person_id: str
    contact_id: str
    nonce: bytes
    security_version: int
    created_at: int
    link_expires_at: int
    code_expires_at: int
    ended: Ending | None = None
    fetched_at: int | None = None


def _mac(key: bytes, label: str, nonce: bytes) -> bytes:
    return hmac.digest(key, label.encode() + b"\0" + nonce, hashlib.sha256)


def link_token(key: bytes, nonce: bytes) -> str:
    """The 22 characters (128 bits) of the mailed link."""
    return base64.urlsafe_b64encode(_mac(key, "link", nonce)[:16]).rstrip(b"=").decode()


def stop_token(key: bytes, nonce: bytes) -> str:
    """The 22 characters of the link that stops the recovery and can do nothing else."""
    return base64.urlsafe_b64encode(_mac(key, "stop", nonce)[:16]).rstrip(b"=").decode()


def mail_code(key: bytes, nonce: bytes) -> str:
    """The 8 digits of the same mail."""
    return f"{int.from_bytes(_mac(key, 'code', nonce)[:16], 'big') % 10**CODE_DIGITS:0{CODE_DIGITS}d}"


def holder_secret(key: bytes, handle: str) -> str:
    """The secret that lets a browser or API client go on with the recovery `handle`: derived, not stored."""
    return base64.urlsafe_b64encode(_mac(key, "holder", handle.encode())[:24]).decode()


def match_number(key: bytes, handle: str) -> int:
    """The two-digit number that the waiting page shows, 10 to 99."""
    return 10 + int.from_bytes(_mac(key, "number", handle.encode())[:8], "big") % 90
