"""Secrets that people carry: kept as digests, compared in constant time."""

from __future__ import annotations

import hmac

from keyback.domain import digests


def token_digest(token: str) -> bytes:
    """What the database keeps of a token: SHA-256, so that a reader of the database cannot use it (C12)."""
    return digests.digest(token.encode())


def same(right: str, typed: str) -> bool:
    """Whether a typed code is the right one, in constant time, whatever was typed."""
    return hmac.compare_digest(right.encode(), typed.encode())
