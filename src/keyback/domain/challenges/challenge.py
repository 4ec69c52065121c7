"""Challenges: one question put to one person, with an expiry and limited attempts; and what a page asks for.

Codes and links are MACs over a challenge's nonce and never stored. Sources: RFC 2104, NIST SP 800-63B-4 sections 3.1.3
and 4.2.1.2.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import Final, Literal

from keyback.domain import digests
from keyback.domain.units import HOUR, MINUTE

EMAIL_LINK: Final = "email_link"
RECOVERY_CONTACT: Final = "recovery_contact"
CHOOSE_AGAIN: Final = "choose_again"  # a link alone, to choose another password for a system that was away
LINKED = (EMAIL_LINK, RECOVERY_CONTACT, CHOOSE_AGAIN)
LINK_LIFE = 60 * MINUTE  # hard maximum 24 h (N-R5)
CODE_LIFE = 10 * MINUTE  # hard maximum 24 h by mail (N-R5); ten minutes as asks
CODE_DIGITS = 8
SHORT_LIFE = 10 * MINUTE  # hard maximum for SMS (N-R5), and what asks of any out-of-band code
SHORT_DIGITS = 6
CONTACT_LIFE = 24 * HOUR  # a colleague may be at lunch (N-R8)
FETCH_LIFE = 24 * HOUR  # a link fetches for as long, though it proves for an hour only
NUMBER_DIGITS = 2
ADDRESS_PER_HOUR, ADDRESS_PER_DAY = 8, 24  # to one address, which several people may share
PROVEN_PER_HOUR, PROVEN_PER_DAY = 6, 15  # beside these, messages asked for by a page that has proven something
TYPED_PER_HOUR, TYPED_PER_DAY = 6, 10  # codes to addresses that somebody who has shown who they are typed

Purpose = Literal["recovery", "enrol", "step_up", "sign_in", "cancel"]
# `replaced`: by a newer one of the same request; `overtaken`: another request of the same case was accepted first.
Ending = Literal["used", "replaced", "overtaken", "stopped", "wrong_number", "refused", "spent"]


@dataclass(frozen=True, slots=True)
class Challenge:
    """A question that waits for its answer.

    Args:
        method: what may answer it, a proof of the shelf; for `cancel` what its link stops.
        target: the contact or factor that it is put to.
        nonce: 32 random bytes; a WebAuthn challenge as it is, otherwise the seed of code and link.
        security_version: the person's when it was made; any other value makes it void (C17).
        expires_at: ms; a mailed code is over sooner than its link (`code_until`).
        handle: the page that asked, an intake's where a recovery did; empty where none did.
        key_id: of the key that code and link are derived from; empty until it is written down.
        ended: why it can no longer be answered, None while it can.
        fetched_at: when its link fetched a mail for another request of its reader (ms), None while it can.
    """

    id: str
    purpose: Purpose
    method: str
    person_id: str
    nonce: bytes = field(repr=False)
    security_version: int
    created_at: int
    expires_at: int
    handle: str = ""
    case_id: str = ""
    target: str = ""
    key_id: str = ""
    ended: Ending | None = None
    fetched_at: int | None = None

    @property
    def code_until(self) -> int:
        """When a mailed code is over (ms)."""
        return min(self.expires_at, self.created_at + CODE_LIFE)

    def waits(self, now: int) -> bool:
        """Whether it can still be answered at `now` (ms)."""
        return self.ended is None and now < self.expires_at


@dataclass(frozen=True, slots=True)
class ChallengeRequest:
    """A challenge that the holder of an intake asked for, whoever it is about: the worker finds that out. `tries`
    counts answers to it, over all resends."""

    handle: str
    method: str
    asked_at: int
    expires_at: int
    target: str = ""
    state: Literal["new", "done"] = "new"
    tries: int = 0
    sends: int = 1


# ── what is derived ─────────────────────────────────────────────────────────


def key_purpose(method: str) -> str:
    """What the key of a method's codes and links is derived for. Two names, from when they were two kinds: what was
    mailed before has to stay good."""
    return "challenge" if method == EMAIL_LINK else "prompt"


def _mac(key: bytes, label: str, nonce: bytes) -> bytes:
    return digests.mac(key, label.encode() + b"\0" + nonce)


def _token(mac: bytes) -> str:
    return base64.urlsafe_b64encode(mac[:16]).rstrip(b"=").decode()


def has_link(c: Challenge) -> bool:
    """Whether a link of its own is sent with it."""
    return c.purpose == "cancel" or (c.purpose in ("recovery", "enrol") and c.method in LINKED)


def link_token(key: bytes, c: Challenge) -> str:
    """The 22 characters (128 bits) of the link that is sent with a challenge.

    Args:
        key: derived for `key_purpose`.
    """
    if c.method == EMAIL_LINK:
        return _token(_mac(key, "link", c.nonce))
    own = c.id.encode() if c.purpose == "recovery" else b""  # two people behind one address share the nonce
    return _token(_mac(key, "prompt", c.nonce + own))


def stop_token(key: bytes, nonce: bytes) -> str:
    """The 22 characters of the link that stops the recovery and can do nothing else."""
    return _token(_mac(key, "stop", nonce))


def mail_code(key: bytes, nonce: bytes) -> str:
    """The 8 digits of the mail that starts a recovery."""
    return f"{int.from_bytes(_mac(key, 'code', nonce)[:16], 'big') % 10**CODE_DIGITS:0{CODE_DIGITS}d}"


def short_code(key: bytes, nonce: bytes, digits: int = SHORT_DIGITS) -> str:
    """The digits that travel by SMS or message."""
    return str(int.from_bytes(_mac(key, "short", nonce)[:16], "big") % 10**digits).zfill(digits)


def holder_secret(key: bytes, handle: str) -> str:
    """The secret that lets a browser or API client go on with the recovery `handle`: derived, not stored."""
    return base64.urlsafe_b64encode(_mac(key, "holder", handle.encode())[:24]).decode()


def match_number(key: bytes, handle: str) -> int:
    """The two-digit number that the waiting page shows, 10 to 99."""
    return 10 + int.from_bytes(_mac(key, "number", handle.encode())[:8], "big") % 90
