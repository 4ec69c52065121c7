"""The public name of a recovery, and the secrets that go with it."""

from __future__ import annotations

import base64
import hmac
import os
import secrets

from keyback.application.ports.storage import Seals
from keyback.domain import digests
from keyback.domain.challenges import challenge as ch


def new_handle() -> str:
    """128 random bits, the public name of a recovery."""
    return base64.urlsafe_b64encode(os.urandom(16))[:22].decode()


def handle_for_key(seals: Seals, key: str, network: str, fingerprint: str) -> str:
    """The handle that an idempotency key leads to, always the same for the same caller and request."""
    mac = digests.mac(seals.derive("idempotency"), "\0".join((key, network, fingerprint)).encode())
    return base64.urlsafe_b64encode(mac[:16])[:22].decode()


def subject_of(seals: Seals, canonical: str) -> bytes:
    """A keyed digest of an identifier: limits count by it without knowing whom it means."""
    return digests.mac(seals.derive("subject"), canonical.encode())[:16]


def holds(seals: Seals, handle: str, secret: str) -> bool:
    """Whether `secret` is the one that was given out with `handle`; any key of the ring counts."""
    given = secret.encode()
    return any(
        hmac.compare_digest(ch.holder_secret(seals.derive("holder", kid), handle).encode(), given) for kid in seals.ids
    )


def submission_digest(seals: Seals, form_id: str) -> str:
    """A keyed digest of the id that a form or a client gave its submission; an empty id is like no other."""
    if not form_id:
        return secrets.token_hex(16)
    return digests.mac(seals.derive("submission"), form_id[:200].encode()).hex()[:32]
