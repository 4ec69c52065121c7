"""Both ceremonies of WebAuthn level 3, as py_webauthn does them: registration (section 7.1), authentication (7.2).

The only module that imports the library, which `method` does when somebody first comes with a passkey: it takes a tenth
of a second and 7 MB.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import webauthn
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from webauthn.helpers import bytes_to_base64url, parse_authentication_credential_json, parse_client_data_json
from webauthn.helpers.cose import COSEAlgorithmIdentifier
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    CredentialDeviceType,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from keyback.domain.people.factor import Factor

CEREMONY_MS = 300_000  # how long the browser waits; the question lives longer, for people who start over
MAX_ID = 1023  # bytes of a credential id (7.1)
MAX_ANSWER = 8192  # characters of an answer that are looked at
MAX_NEW = 32_768  # of a new passkey, which may hold a chain of certificates
ALGORITHMS = [
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]
TRANSPORTS = frozenset(t.value for t in AuthenticatorTransport)


# ── registration ────────────────────────────────────────────────────────────


def creation_options(
    rp_id: str, challenge: bytes, user_handle: bytes, names: tuple[str, str, str], known: Sequence[Factor]
) -> str:
    """JSON for the browser. `names`: of the company, the user and the person."""
    company, username, name = names
    options = webauthn.generate_registration_options(
        rp_id=rp_id,
        rp_name=company,
        user_id=user_handle,
        user_name=username,
        user_display_name=name or username,
        challenge=challenge,
        timeout=CEREMONY_MS,
        authenticator_selection=AuthenticatorSelectionCriteria(
            resident_key=ResidentKeyRequirement.REQUIRED, user_verification=UserVerificationRequirement.REQUIRED
        ),
        exclude_credentials=[_descriptor(f) for f in known],
        supported_pub_key_algs=ALGORITHMS,
    )
    return webauthn.options_to_json(options)


def registered(
    answer: str, challenge: bytes, user_handle: bytes, rp_id: str, origin: str
) -> tuple[Mapping[str, Any], bytes, int] | None:
    """Data to keep, credential id and signature count of a new passkey; None where the answer does not fit."""
    if len(answer) > MAX_NEW:
        return None
    try:
        given: Any = json.loads(answer)
        done = webauthn.verify_registration_response(
            credential=given,
            expected_challenge=challenge,
            expected_rp_id=rp_id,
            expected_origin=origin,
            require_user_verification=True,
            supported_pub_key_algs=ALGORITHMS,
        )
        client = parse_client_data_json(webauthn.base64url_to_bytes(given["response"]["clientDataJSON"]))
        transports = [t for t in given["response"].get("transports") or [] if t in TRANSPORTS]
    except Exception:  # whatever a hostile answer makes the parsers raise, it does not fit
        return None
    if client.cross_origin or len(done.credential_id) > MAX_ID:
        return None
    data = {
        "rp_id": rp_id,
        "credential_id": bytes_to_base64url(done.credential_id),
        "public_key": bytes_to_base64url(done.credential_public_key),
        "user_handle": bytes_to_base64url(user_handle),
        "transports": sorted(set(transports)),
        "aaguid": done.aaguid,
        "backup_eligible": done.credential_device_type == CredentialDeviceType.MULTI_DEVICE,
        "backed_up": done.credential_backed_up,
    }
    return data, done.credential_id, done.sign_count


# ── authentication ──────────────────────────────────────────────────────────


def request_options(rp_id: str, challenge: bytes, named: Sequence[Factor]) -> str:
    """JSON for the browser; with nobody named it offers every passkey for this host that the person has."""
    options = webauthn.generate_authentication_options(
        rp_id=rp_id,
        challenge=challenge,
        timeout=CEREMONY_MS,
        allow_credentials=[_descriptor(f) for f in named],
        user_verification=UserVerificationRequirement.REQUIRED,
    )
    return webauthn.options_to_json(options)


def read(answer: str) -> AuthenticationCredential | None:
    """What a browser posts (`AuthenticationResponseJSON`); None for anything else."""
    if len(answer) > MAX_ANSWER:
        return None
    try:
        given: Any = json.loads(answer)
        return parse_authentication_credential_json(given)
    except Exception:  # not JSON, too deep, another shape: all the same to us
        return None


def is_of(factor: Factor, given: AuthenticationCredential) -> bool:
    """Whether this passkey answered."""
    return factor.kind == "passkey" and webauthn.base64url_to_bytes(factor.data["credential_id"]) == given.raw_id


def signature_count(
    given: AuthenticationCredential, factor: Factor, challenge: bytes, rp_id: str, origin: str, *, needs_handle: bool
) -> int | None:
    """The signature count of an answer in which everything fits; None for any other.

    Args:
        needs_handle: nobody said who it is but the passkey itself (7.2, step 6).
    """
    handle = given.response.user_handle
    if (handle is None and needs_handle) or (
        handle is not None and handle != webauthn.base64url_to_bytes(factor.data["user_handle"])
    ):
        return None
    try:
        if parse_client_data_json(given.response.client_data_json).cross_origin:
            return None  # no page of ours is ever framed (W-8)
        done = webauthn.verify_authentication_response(
            credential=given,
            expected_challenge=challenge,
            expected_rp_id=rp_id,
            expected_origin=origin,
            credential_public_key=webauthn.base64url_to_bytes(factor.data["public_key"]),
            credential_current_sign_count=0,  # any will do: what a count means is for the caller to say
            require_user_verification=True,
        )
    except Exception:  # whatever a hostile answer makes the parsers raise, it is wrong
        return None
    eligible = done.credential_device_type == CredentialDeviceType.MULTI_DEVICE
    return done.new_sign_count if eligible == factor.data["backup_eligible"] else None  # it never changes


def waste() -> None:
    """The work of one signature, in vain, so that time does not tell whether a passkey was found."""
    try:
        _nobody().verify(encode_dss_signature(1, 1), b"", ec.ECDSA(SHA256()))
    except InvalidSignature:
        pass


@cache
def _nobody() -> ec.EllipticCurvePublicKey:
    return ec.generate_private_key(ec.SECP256R1()).public_key()


def _descriptor(factor: Factor) -> PublicKeyCredentialDescriptor:
    return PublicKeyCredentialDescriptor(
        id=webauthn.base64url_to_bytes(factor.data["credential_id"]),
        transports=[AuthenticatorTransport(t) for t in factor.data["transports"]] or None,
    )
