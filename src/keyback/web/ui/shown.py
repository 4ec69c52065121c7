"""Forms name what their page showed (C24, ADR 29): by a keyed digest, which opens nothing and tells nothing."""

from __future__ import annotations

import base64
import hmac

from keyback.application.ports.storage import Seals
from keyback.application.showing import Fits
from keyback.domain import digests

FIELD = "of"


def mark_of(seals: Seals, what: str) -> str:
    """Names a token, or the words for anything else, to a form and in an address: 96 bits."""
    digest = digests.mac(seals.derive("shown"), what.encode())
    return base64.urlsafe_b64encode(digest)[:16].decode()


def same(seals: Seals, mark: str, what: str) -> bool:
    """Whether a form's mark names this."""
    return hmac.compare_digest(mark_of(seals, what).encode(), mark.encode("utf-8", "replace"))


def fits(seals: Seals, mark: str) -> Fits:
    """What tells whether something is what the form was drawn for. A form without a mark was drawn by the version
    before, which another node may run still, and is about whatever there is."""
    return lambda what: not mark or same(seals, mark, what)
