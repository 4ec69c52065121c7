"""Access tokens of systems that ask for OAuth 2.0: signed assertions, and one cached token for all who wait for it."""

from __future__ import annotations

import asyncio
import base64
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

from keyback.application.ports.connectors import Unavailable
from keyback.domain.secret import Secret
from keyback.outbound.http import NotDone

QUIET_SECONDS = 30.0  # after a refusal: nobody is served by asking at every look-up, and some vendors lock the client
EARLY_SECONDS = 60.0  # before its end a token is fetched again, so that none ends on its way


class AccessToken:
    """A token that is fetched once for all who need it, and again when it ended or was refused.

    Args:
        fetch: gives a token and the seconds it lives; raises `Unavailable`.
        clock: monotonic seconds.
    """

    def __init__(
        self, fetch: Callable[[], Awaitable[tuple[Secret, float]]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch, self._clock = fetch, clock
        self._token: Secret | None = None
        self._until = 0.0
        self._quiet_until = 0.0
        self._said = ""
        self._one = asyncio.Lock()

    async def get(self) -> Secret:
        """The token. Raises `Unavailable`; after `auth_expired` nothing is asked for a while."""
        async with self._one:
            if self._token and self._clock() < self._until:
                return self._token
            if self._clock() < self._quiet_until:
                raise NotDone("auth_expired", self._said)
            try:
                token, lifetime = await self._fetch()
            except Unavailable as e:
                if e.code == "auth_expired":
                    self._quiet_until, self._said = self._clock() + QUIET_SECONDS, str(e)
                raise
            self._token, self._until = token, self._clock() + max(lifetime - EARLY_SECONDS, lifetime / 2)
            return token

    def forget(self, token: Secret) -> None:
        """Called with a token that the system refused; the next one is fetched."""
        if self._token is token:
            self._token = None

    def drop(self) -> None:
        """Whatever token there is: what the client may do has changed, and tokens may say so."""
        self._token = None


def read_private_key(path: Path) -> RSAKey:
    """An RSA key of 2048 bits or more from a PEM file. Raises `ValueError` saying what is wrong with it."""
    try:
        key = RSAKey.import_key(path.read_bytes())
    except (JoseError, ValueError, TypeError):
        raise ValueError(f"{path} holds no private key that can be read: RSA in PEM, without a passphrase") from None
    if not key.is_private:
        raise ValueError(f"{path} holds a public key; the private one is needed")
    if int(key.raw_value.key_size) < 2048:
        raise ValueError(f"{path} holds a key of fewer than 2048 bits")
    return key


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a service knows a key by. `thumbprint` is what `x5t#S256` holds (RFC 7515); `ends_at` in ms since 1970."""

    thumbprint: str
    ends_at: int


def read_certificate(path: Path, key: RSAKey) -> Certificate:
    """The certificate of a key from a PEM file. Raises `ValueError` saying what is wrong with it."""
    try:
        found = x509.load_pem_x509_certificate(path.read_bytes())
    except ValueError:
        raise ValueError(f"{path} holds no certificate that can be read: X.509 in PEM") from None
    if found.public_key() != RSAKey.import_key(key.as_pem(private=False)).raw_value:
        raise ValueError(f"{path} holds the certificate of another key")
    thumbprint = str(base64.urlsafe_b64encode(found.fingerprint(SHA256())), "ascii").rstrip("=")
    return Certificate(thumbprint, int(found.not_valid_after_utc.timestamp() * 1000))


def signed_assertion(
    key: RSAKey,
    claims: Mapping[str, str],
    *,
    lifetime_s: int = 180,
    algorithm: str = "RS256",
    header: Mapping[str, str] | None = None,
    now: Callable[[], float] = time.time,
) -> Secret:
    """A JWT that shows who we are (RFC 7523): the claims given, with `iat`, `nbf`, `exp` and `jti`.

    Args:
        lifetime_s: seconds until it ends.
        header: members beside `alg` and `typ`, such as `x5t#S256`.
    """
    at = int(now())
    members = {**claims, "iat": at, "nbf": at, "exp": at + lifetime_s, "jti": secrets.token_urlsafe(16)}
    return Secret(jwt.encode({"alg": algorithm, "typ": "JWT", **(header or {})}, members, key, algorithms=[algorithm]))
