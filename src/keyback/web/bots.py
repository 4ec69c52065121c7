"""`/api/hooks/bots/{service}`: a company's bot in a chat service is asked for help, and says where to begin.

The answer is the same for everybody and has nothing of anybody: no account, no name, no token. Nothing is looked up,
begun or kept but digests of what was answered, so that a repeat is not answered again.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import Literal

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyback.application.ports.bots import BadCall, BotAnswer, BotCall, BotMessage
from keyback.application.ports.connectors import Unavailable
from keyback.application.ports.storage import Tx
from keyback.domain.people.help_words import asks_for_help, is_greeting, language_of
from keyback.locale import gettext
from keyback.web.http.problems import problem
from keyback.web.ui.context import AppContext, context_of, note_refusal

log = structlog.get_logger("keyback.web")
PER_SENDER = 20  # answers in an hour
PER_BOT = 2000
AT_ONCE = 20  # answers that are on their way
HEADERS = ("timestamp", "sign", "x-lark-signature", "x-lark-request-timestamp", "x-lark-request-nonce")
_turns = asyncio.Semaphore(AT_ONCE)


async def take(request: Request) -> Response:
    """GET and POST `/api/hooks/bots/{service}`."""
    desk, name = context_of(request), request.path_params["service"]
    method: Literal["GET", "POST"]
    bot = desk.services.bots.get(name)
    if bot is None:
        return problem(404, "not_found")
    if not await desk.allows("admin", request):
        note_refusal(request, "too_often")
        return problem(429, "too_often", retry_after=60)
    method = "POST" if request.method == "POST" else "GET"
    headers = {h: request.headers[h] for h in HEADERS if h in request.headers}
    now = await desk.services.db.read(lambda tx: tx.now)
    try:
        heard = bot.read(BotCall(method, dict(request.query_params), headers, await request.body()), now)
    except BadCall as e:
        note_refusal(request, e.code)
        return problem(422 if e.code == "malformed" else 401, e.code)
    if isinstance(heard, BotAnswer):
        return _as_response(heard)
    text = await _said(desk, name, heard)
    try:
        async with _turns:
            return _as_response(await bot.answer(heard, text, now))
    except Unavailable as e:
        log.warning("bot_not_answered", service=name, code=e.code)
        # Not an error for the service: it would send the message again, which was counted already.
        return Response(b"{}", media_type="application/json")


def _as_response(answer: BotAnswer) -> Response:
    return Response(answer.body, media_type=answer.media)


async def _said(desk: AppContext, name: str, heard: BotMessage) -> str:
    """What is answered; nothing to a repeat, to what is not for us, and to somebody who writes too much."""
    wants = asks_for_help(heard.text)
    if not wants and not (heard.direct and is_greeting(heard.text)):
        return ""
    seen = f"bot/g/{_digest(name, 'message', heard.id)}"
    limits = {f"bot/g/{_digest(name, 'sender', heard.sender)}": PER_SENDER, f"bot/g/{_digest(name)}": PER_BOT}

    def count(tx: Tx) -> bool:
        found = tx.counters.add([seen, *limits])
        return found[seen].total == 1 and all(found[n].hour <= most for n, most in limits.items())

    if not await desk.services.db.write(count):
        return ""
    locale = language_of(heard.text)
    if not wants:
        return gettext(locale, "Can’t sign in? Write “forgot password”, and I’ll tell you where to begin.")
    return gettext(
        locale,
        "Can’t sign in? Begin here: {address}\nThis address is the same for everyone. We never ask for a password or a "
        "code in a chat.",
        address=f"{desk.services.public_url}/",
    )


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:32]


ROUTES = [Route("/api/hooks/bots/{service:str}", take, methods=["GET", "POST"])]
