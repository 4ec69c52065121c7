"""The digest and the MAC behind all that Keyback stores or derives: SHA-256 (FIPS 180-4) or, with `crypto = "gm"`, SM3
(GB/T 32905-2016), as HMAC by RFC 2104.

A process has one of both, chosen before it opens its keyring. Protocols that name their own digest, such as PKCE,
Standard Webhooks and TOTP, keep it.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Literal

Cryptography = Literal["standard", "gm"]
NAMES = {"standard": "sha256", "gm": "sm3"}
_chosen: Cryptography = "standard"


class Lacking(Exception):
    """The OpenSSL that this Python was built with has no SM3."""


def choose(which: Cryptography) -> None:
    """For this whole process. Raises Lacking."""
    global _chosen
    if NAMES[which] not in hashlib.algorithms_available:
        raise Lacking
    _chosen = which


def chosen() -> Cryptography:
    return _chosen


def digest(data: bytes) -> bytes:
    """32 bytes."""
    return hashlib.sha256(data).digest() if _chosen == "standard" else hashlib.new("sm3", data).digest()


def mac(key: bytes, data: bytes) -> bytes:
    """32 bytes."""
    return hmac.digest(key, data, NAMES[_chosen])


def long_mac(key: bytes, data: bytes) -> bytes:
    """64 bytes: HMAC-SHA-512, or two of HMAC-SM3 that are told apart."""
    if _chosen == "standard":
        return hmac.digest(key, data, hashlib.sha512)
    return mac(key, b"\1" + data) + mac(key, b"\2" + data)
