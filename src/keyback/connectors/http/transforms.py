"""What may be done to a password before it is sent: a fixed set, since in-house systems ask for it.

None of it protects anything that TLS does not; digests are here because the other side compares them.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final, Literal

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from keyback.locale import N_

Digest = Literal["md5", "sha1", "sha256", "sha512"]
Kind = Literal[
    "base64", "md5", "sha1", "sha256", "sha512", "hmac_md5", "hmac_sha1", "hmac_sha256", "rsa_pkcs1", "rsa_oaep_sha1",
    "rsa_oaep_sha256",
]  # fmt: skip
Output = Literal["hex", "HEX", "base64"]
MIN_RSA_BITS: Final = 1024  # what old systems have; less can be broken by anybody
MAX_RSA_BITS: Final = 8192


class Unfit(ValueError):
    """A value cannot go where the recipe puts it. The text never holds the value."""


class PasswordUnfit(Unfit):
    """A password cannot be sent to this system; another one can."""


def transform(
    kind: Kind,
    text: str,
    *,
    before: str = "",
    after: str = "",
    output: Output = "hex",
    rounds: int = 1,
    key: str = "",
) -> str:
    """The text as the system wants it.

    Args:
        before, after: put around it first; a salt.
        output: of digests and encryption.
        rounds: how often a digest is taken, each of the bytes of the one before.
        key: of an HMAC, or the public key of RSA.

    Raises `Unfit` for a key that cannot be used, or a text that is too long for it.
    """
    data = f"{before}{text}{after}".encode()
    if kind == "base64":
        return base64.b64encode(data).decode("ascii")
    if kind.startswith("rsa_"):
        return _written(_encrypted(kind, data, public_key(key)), output)
    if kind.startswith("hmac_"):
        return _written(hmac.new(key.encode(), data, kind.removeprefix("hmac_")).digest(), output)
    for _ in range(rounds):
        data = hashlib.new(kind, data, usedforsecurity=False).digest()
    return _written(data, output)


def _written(data: bytes, output: Output) -> str:
    if output == "base64":
        return base64.b64encode(data).decode("ascii")
    return data.hex().upper() if output == "HEX" else data.hex()


def public_key(text: str) -> RSAPublicKey:
    """An RSA key as PEM, or as the base64 of its DER, as Java writes it. Raises `Unfit`."""
    raw = text.strip().encode("ascii", "ignore")
    try:
        if raw.startswith(b"-----"):
            found = serialization.load_pem_public_key(raw)
        else:
            found = serialization.load_der_public_key(base64.b64decode(b"".join(raw.split()), validate=True))
    except (ValueError, UnsupportedAlgorithm, binascii.Error):
        raise Unfit(N_("the public key cannot be read: PEM, or the base64 of its DER")) from None
    if not isinstance(found, RSAPublicKey) or not MIN_RSA_BITS <= found.key_size <= MAX_RSA_BITS:
        raise Unfit(N_("the public key is not RSA of 1024 to 8192 bits"))
    return found


def _encrypted(kind: str, data: bytes, key: RSAPublicKey) -> bytes:
    def oaep(digest: hashes.HashAlgorithm) -> padding.AsymmetricPadding:
        return padding.OAEP(padding.MGF1(digest), digest, None)

    ways: dict[str, padding.AsymmetricPadding] = {
        "rsa_pkcs1": padding.PKCS1v15(),
        "rsa_oaep_sha1": oaep(hashes.SHA1()),  # noqa: S303 - of Java's OAEP by default; no collision matters here
        "rsa_oaep_sha256": oaep(hashes.SHA256()),
    }
    try:
        return key.encrypt(data, ways[kind])
    except ValueError:
        raise PasswordUnfit("the password is too long for the public key") from None
