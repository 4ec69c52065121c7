"""What an ID token must say before anybody is believed to be who it names.

Signature and registered claims are checked by joserfc; what OpenID Connect adds is checked here. Nothing of a token
is ever part of a message, since it names a person.
Sources: OpenID Connect Core 1.0 section 3.1.3.7, RFC 8725 section 3, RFC 8176.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, JWKRegistry, OKPKey, RSAKey

from keyback.application.ports.sign_in import NOT_FRESH, SignedIn, SignInRefused

ALGORITHMS: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"}
)
"""Signatures by a key that the provider keeps to itself: never `none`, and never one made with our own secret."""
KIND_OF: Final = {"RS": "RSA", "PS": "RSA", "ES": "EC", "Ed": "OKP"}
LEEWAY_S = 120  # how far clocks may be apart
MAX_AGE_S = 600  # of a token: it is fetched right after it was made
MAX_TOKEN = 32_768
MAX_KEYS = 50
MAX_SUBJECT = 255  # characters (OpenID Connect Core 1.0 section 2)
RSA_BITS = range(2048, 8193)
Key = RSAKey | ECKey | OKPKey


class KeyUnknown(SignInRefused):
    """No key that we have signed it: the provider may have changed its keys."""

    def __init__(self) -> None:
        super().__init__("key_unknown")


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token has to fit.

    Args:
        issuer: exactly as the settings name it.
        client_id: ours at the provider.
        algorithms: those that the provider says it signs with; all of `ALGORITHMS` where it says nothing.
        acr: values of `acr` that show a second factor; `amr` shows it by `mfa`.
        since: seconds since 1970 before which nobody may have signed in, where the token says when; None for any time.
        says_when: refuses a token that does not say when.
    """

    issuer: str
    client_id: str
    algorithms: frozenset[str] = ALGORITHMS
    acr: frozenset[str] = frozenset()
    since: float | None = None
    says_when: bool = False


def usable_keys(jwks: Any) -> list[Key]:
    """The keys of a JWK set that may sign ID tokens; others are left out, as RFC 7517 section 5 asks."""
    given = jwks.get("keys") if isinstance(jwks, dict) else None
    out: list[Key] = []
    for data in given[:MAX_KEYS] if isinstance(given, list) else ():
        if not isinstance(data, dict) or data.get("use", "sig") != "sig" or data.get("kty") not in KIND_OF.values():
            continue
        try:
            key = JWKRegistry.import_key({k: v for k, v in data.items() if k != "key_ops"})
        except (JoseError, ValueError, TypeError, KeyError, AttributeError):
            continue
        if isinstance(key, RSAKey) and key.raw_value.key_size not in RSA_BITS:
            continue
        if isinstance(key, RSAKey | ECKey | OKPKey):
            out.append(key)
    return out


def read(token: str, keys: Sequence[Key], expected: Expected, nonce: str, now: float) -> SignedIn:
    """Whom a token is about. Arguments and errors as `claims_of`."""
    claims = claims_of(token, keys, expected, nonce, now)
    return SignedIn(str(claims["sub"]), _second_factor(claims, expected))


def claims_of(token: str, keys: Sequence[Key], expected: Expected, nonce: str, now: float) -> Mapping[str, Any]:
    """What a token says, once it was found to be for us, now.

    Args:
        nonce: what was sent along for this very sign-in.
        now: seconds since 1970.

    Raises:
        KeyUnknown: signed by a key that is not among `keys`.
        SignInRefused: anything else that does not fit.
    """
    key, algorithm = _key_of(token, keys, expected)
    try:
        claims = jwt.decode(token, key, algorithms=[algorithm]).claims
        jwt.JWTClaimsRegistry(
            now=lambda: int(now),
            leeway=LEEWAY_S,
            iss={"essential": True, "value": expected.issuer},
            sub={"essential": True},
            aud={"essential": True, "value": expected.client_id},
            exp={"essential": True},
            iat={"essential": True},
            nonce={"essential": True},
        ).validate(claims)
    except JoseError as e:
        raise SignInRefused(_word(e, algorithm)) from None
    except Exception:  # whatever a hostile token makes the parsers raise
        raise SignInRefused("token") from None
    _fits_client(claims, expected)
    _is_recent(claims, now)
    given = claims["nonce"]
    if not isinstance(given, str) or not hmac.compare_digest(given.encode(), nonce.encode()):
        raise SignInRefused("nonce")
    _is_fresh(claims, expected)
    subject = claims["sub"]
    if not isinstance(subject, str) or not 0 < len(subject) <= MAX_SUBJECT or not subject.isprintable():
        raise SignInRefused("sub")
    return claims


def _key_of(token: str, keys: Sequence[Key], expected: Expected) -> tuple[Key, str]:
    header = _header(token)
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in ALGORITHMS & expected.algorithms or "crit" in header:
        raise SignInRefused("alg")
    fitting = [k for k in keys if k.key_type == KIND_OF[algorithm[:2]] and k.get("alg") in (None, algorithm)]
    if kid is None:  # allowed where there is no choice (OpenID Connect Core 1.0 section 10.1)
        if len(fitting) > 1:
            raise SignInRefused("kid")
    else:
        fitting = [k for k in fitting if k.kid == kid]
    if len(fitting) != 1:
        raise KeyUnknown
    return fitting[0], algorithm


def _header(token: str) -> Mapping[str, Any]:
    parts = token.split(".")
    if len(token) > MAX_TOKEN or len(parts) != 3 or not token.isascii():
        raise SignInRefused("token")
    try:
        header = json.loads(base64.urlsafe_b64decode(parts[0] + "=" * (-len(parts[0]) % 4)))
    except (binascii.Error, ValueError, RecursionError):
        raise SignInRefused("token") from None
    if not isinstance(header, dict):
        raise SignInRefused("token")
    return header


def _word(e: JoseError, algorithm: str) -> str:
    claim = getattr(e, "claim", "")
    if e.error == "expired_token":
        return "exp"
    if e.error == "bad_signature":
        return "signature"
    return claim if claim in ("iss", "sub", "aud", "exp", "iat", "nbf", "nonce") else "token"


def _fits_client(claims: Mapping[str, Any], expected: Expected) -> None:
    audience, party = claims["aud"], claims.get("azp")
    if isinstance(audience, list) and len(audience) > 1 and party is None:
        raise SignInRefused("azp")
    if party is not None and party != expected.client_id:
        raise SignInRefused("azp")


def _is_recent(claims: Mapping[str, Any], now: float) -> None:
    for name in ("exp", "iat"):
        if isinstance(claims[name], bool) or not isinstance(claims[name], int | float):
            raise SignInRefused(name)
    if not now - MAX_AGE_S - LEEWAY_S <= claims["iat"] <= now + LEEWAY_S:
        raise SignInRefused("iat")
    if claims["exp"] <= now - LEEWAY_S:
        raise SignInRefused("exp")


def _is_fresh(claims: Mapping[str, Any], expected: Expected) -> None:
    """Some providers leave `auth_time` out even where it was asked for, so only one that is there can tell."""
    at = claims.get("auth_time")
    if at is None and expected.says_when:
        raise SignInRefused("auth_time")
    if expected.since is None or at is None:
        return
    if isinstance(at, bool) or not isinstance(at, int | float) or at < expected.since - LEEWAY_S:
        raise SignInRefused(NOT_FRESH)


def _second_factor(claims: Mapping[str, Any], expected: Expected) -> bool:
    methods, level = claims.get("amr"), claims.get("acr")
    return (isinstance(methods, list) and "mfa" in methods) or (isinstance(level, str) and level in expected.acr)
