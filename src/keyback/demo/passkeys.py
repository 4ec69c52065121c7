"""The passkeys of invented people. Their private keys are no secret, so that a program's authenticator can hold them.

Sources: https://www.w3.org/TR/webauthn-3/ sections 6.1 (flags), 11.4 (adding a credential to a virtual authenticator).
"""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from keyback.web.demo.pages import DemoPasskey

RP_ID = "localhost"  # the only name under which the demo runs
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551  # of P-256 (FIPS 186-5, SP 800-186)


def passkey_of(username: str, name: str) -> DemoPasskey:
    """Somebody's passkey with its private key, the same in every demo."""
    secret = _key(username).private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return DemoPasskey(
        name,
        username,
        RP_ID,
        _b64(_bytes("credential", username)[:16]),
        _b64(_bytes("handle", username)),
        _b64(secret),
    )


def kept_of(username: str) -> tuple[dict[str, Any], bytes]:
    """What is kept of it: a factor's `data` and `lookup`, as enrolling it would have left them."""
    numbers = _key(username).public_key().public_numbers()
    x, y = numbers.x.to_bytes(32), numbers.y.to_bytes(32)
    # COSE (RFC 9053 section 7.1.1): {1: EC2, 3: ES256, -1: P-256, -2: x, -3: y}
    public = b"\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20" + x + b"\x22\x58\x20" + y
    credential = _bytes("credential", username)[:16]
    data = {
        "credential_id": _b64(credential),
        "public_key": _b64(public),
        "user_handle": _b64(_bytes("handle", username)),
        "transports": ["internal"],
        "aaguid": "00000000-0000-0000-0000-000000000000",
        "backup_eligible": False,
        "backed_up": False,
    }
    return data, hashlib.sha256(credential).digest()


def _key(username: str) -> ec.EllipticCurvePrivateKey:
    value = int.from_bytes(_bytes("key", username)[:32]) % (_ORDER - 1) + 1
    return ec.derive_private_key(value, ec.SECP256R1())


def _bytes(what: str, username: str) -> bytes:
    """64 bytes that belong to somebody."""
    return hashlib.sha512(f"demo passkey {what} {username}".encode()).digest()


def _b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
