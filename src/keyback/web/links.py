"""Mailed links that a browser has open, several side by side. A form acts on the link that its page showed, or on none
(C24): it carries a keyed digest of the token, which is worth nothing without the cookie.
"""

from __future__ import annotations

import base64
import hashlib
import hmac

from starlette.requests import Request
from starlette.responses import Response

from keyback.application.store import Seals
from keyback.web.context import Desk, note_refusal, see
from keyback.web.cookies import LINK, SHOWN

FIELD = "of"
LENGTH = 22
MOST = 5
LIFE_S = 3600


def readable(token: str) -> bool:
    """Whether something can be a token at all."""
    return len(token) == LENGTH and token.isascii() and all(c.isalnum() or c in "-_" for c in token)


def mark_of(seals: Seals, token: str) -> str:
    """Names a token to a form and in an address: 96 bits, of no use to whoever reads them."""
    digest = hmac.digest(seals.derive("shown"), token.encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest)[:16].decode()


def _open(desk: Desk, request: Request) -> list[str]:
    """The tokens of this browser, the one that was opened last first."""
    return [t for t in desk.cookies.get(request, LINK).split("~")[:MOST] if readable(t)]


def enter(desk: Desk, request: Request, token: str, path: str) -> Response:
    """Moves a token out of the address bar: into the cookie, beside those of other tabs; the oldest falls out."""
    response = see(f"{path}?{FIELD}={mark_of(desk.services.seals, token)}")
    others = [t for t in _open(desk, request) if t != token]
    desk.cookies.put(response, LINK, "~".join([token, *others][:MOST]), max_age=LIFE_S)
    return response


def shown(desk: Desk, request: Request) -> str:
    """The token that a page is about: the one that its address names, else the newest; empty where there is none."""
    mark, tokens = request.query_params.get(FIELD, ""), _open(desk, request)
    token = _named(desk, tokens, mark) if mark else next(iter(tokens), "")
    _remember(desk, request, token)
    return token


def sent(desk: Desk, request: Request, mark: str) -> str:
    """The token that a form was shown for; empty where this browser has it open no more."""
    token = _named(desk, _open(desk, request), mark)
    _remember(desk, request, token)
    return token


def stale(request: Request, path: str, mark: str) -> Response:
    """The page of what a form showed, or of the newest link: nothing was done."""
    note_refusal(request, "wrong_state")
    good = 0 < len(mark) <= LENGTH and mark.isascii() and all(c.isalnum() or c in "-_" for c in mark)
    return see(f"{path}?{FIELD}={mark}" if good else path)


def drop(desk: Desk, request: Request, response: Response, token: str) -> None:
    """The link is done with; those of other tabs stay."""
    left = [t for t in _open(desk, request) if t != token]
    if left:
        desk.cookies.put(response, LINK, "~".join(left), max_age=LIFE_S)
    else:
        desk.cookies.drop(response, LINK)


def _named(desk: Desk, tokens: list[str], mark: str) -> str:
    seals = desk.services.seals
    wanted = mark.encode("utf-8", "replace")
    return next((t for t in tokens if hmac.compare_digest(mark_of(seals, t).encode(), wanted)), "")


def _remember(desk: Desk, request: Request, token: str) -> None:
    request.scope[SHOWN] = mark_of(desk.services.seals, token) if token else ""
