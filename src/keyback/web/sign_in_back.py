"""`/sign-in-with/{provider}/back`: where providers send browsers back to, for a recovery or for the security center.

A GET that acts, as the protocol wants it: what acts is the state, which only the browser that left has (RFC 6749
section 10.12).
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyback.web.account import providers
from keyback.web.portal import sign_in_with as recovery
from keyback.web.ui import sign_in_with
from keyback.web.ui.context import note_refusal, redirect


async def back(request: Request) -> Response:
    """GET `/sign-in-with/{provider}/back`."""
    kind, ref = sign_in_with.ref_of(request)
    if kind == sign_in_with.RECOVERY:
        return await recovery.back(request, ref)
    if kind == sign_in_with.ACCOUNT:
        return await providers.back(request)
    note_refusal(request, "wrong_state")
    return redirect("/")


ROUTES = [Route("/sign-in-with/{provider:str}/back", back, methods=["GET"])]
