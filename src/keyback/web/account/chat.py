"""`/account/chat`: linking a work chat by signing in there, in place of an ID that nobody knows."""

from __future__ import annotations

from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyback.application import locking
from keyback.application.enrolment import chat
from keyback.application.ports.connectors import Unavailable
from keyback.application.ports.sign_in import SignInRefused
from keyback.application.ports.storage import Tx
from keyback.domain.errors import Refusal
from keyback.locale import told
from keyback.web.account.pages_contacts import AddContact, ChatStart
from keyback.web.account.session import Me, mine, page
from keyback.web.ui.context import AppContext, note_refusal, redirect
from keyback.web.ui.routes import Values, get, post
from keyback.web.ui.sign_in_with import leave

log = structlog.get_logger("keyback.chat_sign_in")
LIST = "/account/contacts"
ADD = "/account/contacts/add/im"
BACK = "/account/chat/back"
MAX_CODE = 1024  # WeCom: 512 bytes
MAX_STATE = 128
WHY = frozenset({"denied", "stranger", "away", "too_many"})


def title_of(desk: AppContext, request: Request) -> str:
    """What people call the service that they link by signing in; empty where its ID is typed."""
    found = desk.services.chat
    return told(found.title, desk.locale(request)) if found else ""


def _back_uri(desk: AppContext) -> str:
    return f"{desk.services.public_url}{BACK}"


@post(mine(fresh=True, back=ADD))
async def start(desk: AppContext, request: Request, _: Values, me: Me) -> Response:
    """POST `/account/chat`: asks for a challenge."""
    if desk.services.chat is None:
        return redirect(LIST)
    try:
        challenge_id = await desk.services.db.write(lambda tx: chat.start(tx, locking.own(tx, me.session)))
    except Refusal as e:
        note_refusal(request, e.code)
        return redirect(f"/account/chat/failed/{e.code}" if e.code in WHY else LIST)
    return redirect(f"/account/chat/{challenge_id}")


@get(mine(fresh=True, back=ADD))
async def ready(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/chat/{id}`: what will happen, and the way there. A link, since a form of ours leads nowhere else
    (`form-action`)."""
    challenge_id, title = request.path_params["id"], title_of(desk, request)
    found = await desk.services.db.read(lambda tx: chat.open_challenge(tx, me.person, challenge_id))
    return page(desk, request, me, ChatStart(challenge_id, title), path=LIST) if found and title else redirect(ADD)


@get(mine(fresh=True, back=ADD))
async def go(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/chat/{id}/go`: sends the browser to the service; changes nothing."""
    service, challenge_id = desk.services.chat, request.path_params["id"]

    def ask(tx: Tx) -> tuple[str, str] | None:
        c = chat.open_challenge(tx, me.person, challenge_id)
        return (chat.state_of(tx, c, me.session), chat.verifier_of(tx, c, me.session)) if c else None

    asked = await desk.services.db.read(ask)
    if service is None or asked is None:
        return redirect(ADD)
    inside = service.is_inside(request.headers.get("user-agent", "")[:400])
    return leave(service.address(_back_uri(desk), *asked, inside=inside))


@get(mine(fresh=True, back=ADD))
async def back(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/chat/back`: where the service sends browsers back to. A GET that acts, as the protocol wants it:
    what acts is the state, which only the session that left has."""
    s, query, origin = desk.services, request.query_params, desk.origin(request)
    state, code = query.get("state", ""), query.get("code", "") or query.get("authCode", "")  # DingTalk's word
    if s.chat is None or len(state) > MAX_STATE or len(code) > MAX_CODE:
        note_refusal(request, "wrong_state")
        return redirect(LIST)
    try:
        claimed, verifier = await s.db.write(lambda tx: chat.claim(tx, me.session, state))
        if not code:
            raise SignInRefused("denied")
        address = await s.chat.who(code, _back_uri(desk), verifier)
        done = await s.db.write(lambda tx: chat.finish(tx, me.session, claimed, address, origin))
    except Refusal as e:
        note_refusal(request, "wrong_state" if e.code == "over" else e.code)
        return redirect(f"/account/chat/failed/{e.code}" if e.code in WHY else LIST)
    except (SignInRefused, Unavailable) as e:
        log.warning("chat_refused", reason=e.code)
        return redirect(f"/account/chat/failed/{e.code if e.code in WHY else 'away'}")
    return redirect(f"{LIST}?done={done}")


@get(mine(fresh=True, back=ADD))
async def failed(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/chat/failed/{why}`: nothing was linked. A page of its own, so that what the service sent stays in
    no address bar."""
    why: Any = request.path_params["why"]
    model = AddContact("im", why if why in WHY else "", link=title_of(desk, request))
    return page(desk, request, me, model, path=LIST)


ROUTES = [
    Route("/account/chat", start, methods=["POST"]),
    Route(BACK, back, methods=["GET"]),
    Route("/account/chat/failed/{why:str}", failed, methods=["GET"]),
    Route("/account/chat/{id:str}", ready, methods=["GET"]),
    Route("/account/chat/{id:str}/go", go, methods=["GET"]),
]
