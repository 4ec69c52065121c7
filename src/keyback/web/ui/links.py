"""What a browser has open side by side, in several tabs: mailed links, half sign-ins, challenges of the sign-in page.

A form acts on the one that its page showed, or on none (C24): it carries a digest of the token (`shown`), which is
worth nothing without the cookie.
"""

from __future__ import annotations

import re

from starlette.requests import Request
from starlette.responses import Response

from keyback.web.http.cookies import LINK, SHOWN, TICKET, WAITING
from keyback.web.ui.context import AppContext, note_refusal, redirect
from keyback.web.ui.shown import FIELD as FIELD
from keyback.web.ui.shown import mark_of, same

LENGTH = 22
LENGTHS = {LINK: LENGTH, WAITING: 43, TICKET: 32}
LIFE_S = {LINK: 3600, WAITING: 600, TICKET: 600}
MAX_LINKS = 5
_RUNS = re.compile(r"[A-Za-z0-9_-]+")


def readable(token: str, cookie: str = LINK) -> bool:
    """Whether something can be a token at all."""
    return len(token) == LENGTHS[cookie] and token.isascii() and all(c.isalnum() or c in "-_" for c in token)


def in_address(said: str) -> str:
    """The token in what follows `/l/`; empty where there is none. Mail programs and people take the full stop, bracket
    or quote behind an address for a part of it."""
    runs = _RUNS.findall(said)
    token, more = (runs[0][:LENGTH], runs[0][LENGTH:]) if len(runs) == 1 else ("", "")
    return token if readable(token) and not more.strip("-_") else ""


def _open(desk: AppContext, request: Request, cookie: str) -> list[str]:
    """The tokens of this browser, the one that was opened last first."""
    return [t for t in desk.cookies.get(request, cookie).split("~")[:MAX_LINKS] if readable(t, cookie)]


def others(desk: AppContext, request: Request, cookie: str) -> bool:
    """Whether another tab has something of the kind open."""
    return bool(_open(desk, request, cookie))


def keep(desk: AppContext, request: Request, response: Response, token: str, cookie: str = LINK) -> None:
    """Puts a token beside those of other tabs; the oldest falls out."""
    before = [t for t in _open(desk, request, cookie) if t != token]
    desk.cookies.put(response, cookie, "~".join([token, *before][:MAX_LINKS]), max_age=LIFE_S[cookie])


def enter(desk: AppContext, request: Request, token: str, path: str) -> Response:
    """Moves a token out of the address bar into the cookie."""
    response = redirect(f"{path}?{FIELD}={mark_of(desk.services.seals, token)}")
    keep(desk, request, response, token)
    return response


def shown(desk: AppContext, request: Request, cookie: str = LINK) -> str:
    """The token that a page is about: the one that its address names, else the newest; empty where there is none."""
    mark, tokens = request.query_params.get(FIELD, ""), _open(desk, request, cookie)
    token = _named(desk, tokens, mark) if mark else next(iter(tokens), "")
    _remember(desk, request, token)
    return token


def sent(desk: AppContext, request: Request, mark: str, cookie: str = LINK) -> str:
    """The token that a form was shown for; empty where this browser has it open no more."""
    token = _named(desk, _open(desk, request, cookie), mark)
    if cookie != TICKET:  # whose page never shows the same one again
        _remember(desk, request, token)
    return token


def stale(request: Request, path: str, mark: str) -> Response:
    """The page of what a form showed, or of the newest link: nothing was done."""
    note_refusal(request, "wrong_state")
    good = 0 < len(mark) <= LENGTH and mark.isascii() and all(c.isalnum() or c in "-_" for c in mark)
    return redirect(f"{path}?{FIELD}={mark}" if good else path)


def drop(desk: AppContext, request: Request, response: Response, token: str, cookie: str = LINK) -> None:
    """The token is done with; those of other tabs stay."""
    left = [t for t in _open(desk, request, cookie) if t != token]
    if left:
        desk.cookies.put(response, cookie, "~".join(left), max_age=LIFE_S[cookie])
    else:
        desk.cookies.drop(response, cookie)


def _named(desk: AppContext, tokens: list[str], mark: str) -> str:
    return next((t for t in tokens if same(desk.services.seals, mark, t)), "")


def _remember(desk: AppContext, request: Request, token: str) -> None:
    request.scope[SHOWN] = mark_of(desk.services.seals, token) if token else ""
