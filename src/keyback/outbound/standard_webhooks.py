"""Signing by Standard Webhooks 1.0.0 (standardwebhooks.com), for whoever receives and knows the secret.

webhook-id: <the same over retries>
webhook-timestamp: <seconds>
webhook-signature: v1,<base64 of HMAC-SHA256 over "id.timestamp.body">, one for each secret, with a space between
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence

from keyback.domain.secret import Secret


def webhook_key(secret: Secret) -> bytes:
    """The bytes of a Standard Webhooks secret. Raises `ValueError` for one of another form."""
    text = secret.reveal()
    try:
        key = base64.b64decode(text.removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith("whsec_") or not 24 <= len(key) <= 64:
        raise ValueError("the secret is whsec_ and the base64 of 24 to 64 random bytes")
    return key


def sign(key: bytes, message_id: str, at: int, body: bytes) -> str:
    """One signature of the header `webhook-signature`; `at` in seconds."""
    mac = hmac.digest(key, f"{message_id}.{at}.".encode() + body, "sha256")
    return "v1," + base64.b64encode(mac).decode()


def signed_headers(keys: Sequence[bytes], message_id: str, at: int, body: bytes) -> dict[str, Secret]:
    """The three headers; wrapped, as `Endpoint.call` takes them."""
    signatures = " ".join(sign(key, message_id, at, body) for key in keys)
    return {
        "webhook-id": Secret(message_id),
        "webhook-timestamp": Secret(str(at)),
        "webhook-signature": Secret(signatures),
    }
