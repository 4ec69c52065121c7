"""Keys and claims of signed assertions, before they are believed."""

from __future__ import annotations

import base64
import json
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat


def public_key(pem: str) -> str:
    """The public key in PEM of a certificate, or the key that it is already."""
    if "BEGIN CERTIFICATE" in pem:
        key = x509.load_pem_x509_certificate(pem.encode()).public_key()
        return key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return pem


def unchecked_claims(assertion: str) -> dict[str, Any]:
    """What an assertion says, whoever signed it; empty if it is none."""
    try:
        _, payload, _ = assertion.split(".")
        return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))
    except (ValueError, TypeError):
        return {}
