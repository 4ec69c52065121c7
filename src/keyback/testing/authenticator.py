"""An authenticator in software: makes passkeys and answers challenges as a browser with a security key would.

Every part of an answer can be made wrong, to see that it is refused. For tests; it keeps private keys in memory.
"""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import encode_cbor

UP, UV, BE, BS, AT = 0x01, 0x04, 0x08, 0x10, 0x40


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@dataclass
class Authenticator:
    """One passkey of one person.

    Args:
        origin: where the browser is.
        flags: user present, verified, eligible for backup, backed up.
        count: signature count; goes up by `step` with each answer.
    """

    origin: str
    rp_id: str
    flags: int = UP | UV
    count: int = 0
    step: int = 0
    credential_id: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    user_handle: bytes = b""
    _key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1()), repr=False
    )

    def create(self, options: str, **over: Any) -> str:
        """`RegistrationResponseJSON` for `options`; remembers whose passkey it is. `over` is of the client data."""
        wanted = json.loads(options)
        self.user_handle = base64.urlsafe_b64decode(wanted["user"]["id"] + "==")
        point = self._key.public_key().public_numbers()
        cose = encode_cbor({1: 2, 3: -7, -1: 1, -2: point.x.to_bytes(32, "big"), -3: point.y.to_bytes(32, "big")})
        attested = bytes(16) + len(self.credential_id).to_bytes(2, "big") + self.credential_id + cose
        data = self._data(self.flags | AT) + attested
        client = self._client("webauthn.create", wanted["challenge"], over)
        response = {
            "clientDataJSON": b64(client),
            "attestationObject": b64(encode_cbor({"fmt": "none", "attStmt": {}, "authData": data})),
            "transports": ["internal"],
        }
        return json.dumps(self._credential(response))

    def get(self, options: str, *, response: dict[str, Any] | None = None, **over: Any) -> str:
        """`AuthenticationResponseJSON` for `options`.

        Args:
            response: parts of the response to be others.
            over: members of the client data to be others.
        """
        wanted = json.loads(options)
        self.count += self.step
        data = self._data(self.flags)
        client = self._client("webauthn.get", wanted["challenge"], over)
        signature = self._key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        parts = {
            "clientDataJSON": b64(client),
            "authenticatorData": b64(data),
            "signature": b64(signature),
            "userHandle": b64(self.user_handle),
        }
        return json.dumps(self._credential({**parts, **(response or {})}))

    def _data(self, flags: int) -> bytes:
        return hashlib.sha256(self.rp_id.encode()).digest() + bytes([flags]) + self.count.to_bytes(4, "big")

    def _client(self, kind: str, challenge: str, over: dict[str, Any]) -> bytes:
        members = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return json.dumps(members | over).encode()

    def _credential(self, response: dict[str, Any]) -> dict[str, Any]:
        own = b64(self.credential_id)
        return {"id": own, "rawId": own, "type": "public-key", "response": response, "clientExtensionResults": {}}
