"""What every form behind a sign-in carries, so that it is known to have been drawn for this session (E11)."""

from __future__ import annotations

import base64
import hashlib
import hmac

from starlette.requests import Request

from keyback.web.ui.forms import FORM_TOKEN


def form_token(session: str) -> str:
    """A digest of the session's token, so that it changes with the session and nobody else can know it. A SameSite
    cookie alone is not sent by browsers that know no such thing."""
    digest = hashlib.blake2b(session.encode(), digest_size=18, person=b"keyback-form").digest()
    return base64.urlsafe_b64encode(digest).decode()


def fits(request: Request, session: str) -> bool:
    """Whether the form that was read was drawn for this session."""
    given = str(request.scope.get(FORM_TOKEN, ""))
    return hmac.compare_digest(given.encode(), form_token(session).encode())
