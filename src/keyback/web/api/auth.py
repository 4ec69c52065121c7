"""Who holds what: the secret of a recovery, the token of a session, and the limits of a network."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated

from fastapi import Depends, Path, Request
from fastapi.security import HTTPBearer

from keyback.application.handles import holds
from keyback.web.api.models import HANDLE
from keyback.web.api.strict import ApiError
from keyback.web.http.rate_limits import WAIT_S, What
from keyback.web.ui.context import AppContext, context_of

MAX_BEARER = 300
# They describe; the checks below are our own, so that every refusal is one and the same problem.
RECOVERY_SECRET = HTTPBearer(
    scheme_name="recoverySecret", description="The `secret` given once by `POST /recoveries`.", auto_error=False
)
SESSION_TOKEN = HTTPBearer(
    scheme_name="session", description="The `session` given by `POST /sign-in`.", auto_error=False
)


@dataclass(frozen=True, slots=True)
class Held:
    """A recovery whose secret the caller has shown."""

    desk: AppContext
    handle: str


def bearer(request: Request) -> str:
    """The Bearer token (RFC 6750 section 2.1); empty when there is none, or more than one header."""
    given = request.headers.getlist("authorization")
    scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
    token = token.strip()
    return token if scheme.lower() == "bearer" and len(token) <= MAX_BEARER and token.isascii() else ""


async def held(request: Request, handle: Annotated[str, Path(pattern=HANDLE)]) -> Held:
    """The recovery `handle`, for whoever has its secret; the same refusal whether there is such a recovery or not."""
    desk = context_of(request)
    if not holds(desk.services.seals, handle, bearer(request)):
        raise ApiError(401, "unauthorized")
    return Held(desk, handle)


async def session_token(request: Request) -> str:
    """The session's token, not checked yet.

    Raises:
        Stop: 401 when none was sent.
    """
    token = bearer(request)
    if not token:
        raise ApiError(401, "unauthorized")
    return token


async def limited(desk: AppContext, request: Request, what: What) -> None:
    """Counts one request of this network.

    Raises:
        Stop: 429 when it has to wait.
    """
    if not await desk.allows(what, request):
        raise ApiError(429, "slow_down", retry_after=WAIT_S)


def instant(ms: int) -> str:
    """RFC 3339 in UTC, whole seconds."""
    return datetime.fromtimestamp(ms // 1000, UTC).isoformat().replace("+00:00", "Z")


HeldRecovery = Annotated[Held, Depends(held)]
Token = Annotated[str, Depends(session_token)]
