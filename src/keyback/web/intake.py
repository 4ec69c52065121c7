"""Taking a request to recover: written down and answered, nothing looked up (ADR 1, A1–A4).

Called before any routing. Every well-formed request gets the same answer but for the random handle. This is the one
route that a stranger may call at will, so it reads and answers plain ASGI: half of a framework's cost is objects that
nothing here needs (docs/en/performance.md).
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import lru_cache

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from keyback.application import handles
from keyback.application.clock import wall_clock
from keyback.application.origin import Origin, network_of
from keyback.application.ports.storage import StorageDown
from keyback.application.recovery import start
from keyback.domain import digests
from keyback.domain.characters import is_shown
from keyback.domain.errors import BadInput
from keyback.domain.people.pasted import pasted
from keyback.web.http.cookies import DEVICE
from keyback.web.http.problems import Why, down, problem, why_down
from keyback.web.portal import pages
from keyback.web.ui.context import AppContext, chosen, redirect
from keyback.web.ui.forms import BadForm, one_string, parse_form, parse_json
from keyback.web.ui.page import ErrorPage, Page

API_PATH = "/api/v1/recoveries"
JOURNEYS = frozenset({"password", "locked", "second_factor", "mailbox", "username", "still_locked_out"})
KEY_LENGTH = range(16, 256)


def api_intake(desk: AppContext) -> ASGIApp:
    """`POST /api/v1/recoveries`, as plain ASGI."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await _api(desk, scope, receive)
        except ClientDisconnect:
            return
        except BadForm as e:
            await problem(e.status, e.code, field=e.field)(scope, receive, send)
        except BadInput as e:
            await problem(422, f"identifier_{e.code}", field="identifier")(scope, receive, send)
        except StorageDown as e:
            await down(e)(scope, receive, send)
        else:
            if isinstance(answer, Response):
                await answer(scope, receive, send)
                return
            headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
            await send({"type": "http.response.start", "status": 202, "headers": headers})
            await send({"type": "http.response.body", "body": answer})

    return app


async def _api(desk: AppContext, scope: Scope, receive: Receive) -> bytes | Response:
    head = _head(scope)
    if _kind(head) != b"application/json":
        raise BadForm(415, "unsupported_media_type")
    origin = Origin(desk.proxies.source(scope), head.get(b"user-agent", b"").decode("latin-1"))
    if not await desk.limiter.allows("recoveries", origin.source):
        return problem(429, "slow_down", retry_after=60)
    values = parse_json(await _body(receive))
    if values.keys() - {"identifier", "journey", "system", "locale"}:
        raise BadForm(422, "unknown_field")
    identifier = pasted(one_string(values, "identifier"))
    journey = one_string(values, "journey", required=False) or "password"
    system = one_string(values, "system", required=False)
    locale = one_string(values, "locale", required=False)
    if journey not in JOURNEYS:
        raise BadForm(422, "unknown_journey", "journey")
    if system and system not in desk.services.titles:
        raise BadForm(422, "unknown_system", "system")
    key = head.get(b"idempotency-key")
    started = await start.write_down(
        desk.services.db,
        desk.services.seals,
        identifier,
        journey=journey,  # type: ignore[arg-type]
        system=system,
        locale=chosen(locale, head.get(b"accept-language", b"")[:200].decode("latin-1"), desk.settings.default_locale),
        origin=origin,
        now=wall_clock(),
        numbers=desk.services.numbers,
        handle=None if key is None else _handle_for_key(desk, key.decode("latin-1"), origin.source, values),
    )
    url = _quoted(f"{desk.services.public_url}{API_PATH}/")[:-1]
    # Handle and secret are base64url: nothing in them needs quoting.
    return (
        f'{{"handle": "{started.handle}", "secret": "{started.secret}", "status_url": {url}{started.handle}", '
        f'"expires_at": "{_instant(started.expires_at // 1000)}"}}'
    ).encode()


def _head(scope: Scope) -> dict[bytes, bytes]:
    """The headers; of a repeated one the first."""
    return dict(reversed(scope["headers"]))


def _kind(head: dict[bytes, bytes]) -> bytes:
    return head.get(b"content-type", b"").partition(b";")[0].strip().lower()


async def _body(receive: Receive) -> bytes:
    """The whole body; the front bounds it in size and time."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(parts)


_text = json.encoder.encode_basestring_ascii
_quoted = lru_cache(maxsize=8)(json.dumps)


@lru_cache(maxsize=8)
def _instant(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _handle_for_key(desk: AppContext, key: str, source: str, values: dict[str, object]) -> str:
    """The same key with the same request leads to the same handle; nothing has to be looked up for it."""
    if len(key) not in KEY_LENGTH or not key.isascii() or not key.isprintable():
        raise BadForm(400, "bad_idempotency_key")
    fingerprint = digests.digest(_as_json(values).encode()).hex()
    return handles.handle_for_key(desk.services.seals, key, network_of(source), fingerprint)


def _as_json(values: dict[str, object]) -> str:
    """`json.dumps(values, sort_keys=True)`, at a quarter of its cost where all are texts."""
    if not all(type(v) is str for v in values.values()):
        return json.dumps(values, sort_keys=True)
    return "{" + ", ".join(f"{_text(k)}: {_text(values[k])}" for k in sorted(values)) + "}"  # type: ignore[arg-type]


def form_intake(desk: AppContext, journey: str) -> ASGIApp:
    """`POST /forgot` and `POST /find`, as plain ASGI: 303 to the recovery's page, with the cookie that holds it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        try:
            response = await _form(desk, Request(scope), receive, journey)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    return app


async def _form(desk: AppContext, request: Request, receive: Receive, journey: str) -> Response:
    head = _head(request.scope)
    device = desk.cookies.get(request, DEVICE)
    origin = Origin(desk.proxies.source(request.scope), head.get(b"user-agent", b"").decode("latin-1"), device)
    if not await desk.limiter.allows("recoveries", origin.source) and not await desk.has_share("recoveries", request):
        return _error(desk, request, 429, 60)
    if _kind(head) != b"application/x-www-form-urlencoded":
        return _error(desk, request, 415)
    values: dict[str, str] = {}
    try:
        values = parse_form(await _body(receive), ("identifier", "system", "journey"))
        wanted = values["journey"] or journey
        fits = wanted in JOURNEYS and (wanted == "username") == (journey == "username")
        if not fits or (values["system"] and values["system"] not in desk.services.titles):
            return _error(desk, request, 422)
        identifier = pasted(one_string(values, "identifier"))
        mailed = "@" in identifier.strip().strip("@") or desk.services.numbers.number(identifier) is not None
        if journey == "username" and not mailed:
            raise BadInput("not_mail" if identifier.strip() else "empty")
        started = await start.write_down(
            desk.services.db,
            desk.services.seals,
            identifier,
            journey=wanted,  # type: ignore[arg-type]
            system=values["system"],
            locale=desk.locale(request),
            origin=origin,
            now=wall_clock(),
            numbers=desk.services.numbers,
        )
    except BadForm as e:
        if e.field != "identifier":
            return _error(desk, request, e.status)
        return _again(desk, request, journey, values, pages.IDENTIFIER_MALFORMED)
    except BadInput as e:
        text = pages.MAIL_MALFORMED if e.code == "not_mail" else pages.IDENTIFIER_WRONG[e.code]
        return _again(desk, request, journey, values, text)
    except StorageDown as e:
        return _error(desk, request, 503, 5, why_down(e))
    response = redirect(f"/r/{started.handle}")
    desk.cookies.hold(request, response, started.handle, started.secret)
    return response


def _again(desk: AppContext, request: Request, journey: str, values: dict[str, str], error: str) -> Response:
    typed = "".join(c for c in values.get("identifier", "")[:254] if is_shown(c))
    model: Page
    if journey == "username":
        model = pages.Find(error=error, identifier=typed)
    else:
        model = pages.Forgot(
            systems=tuple(desk.services.titles.items()),
            journey=values.get("journey", "") if values.get("journey") in pages.FORGOT else "password",  # type: ignore[arg-type]
            error=error,
            identifier=typed,
            system=values.get("system", ""),
        )
    return desk.page(request, model, 422, step=None if journey == "username" else 1)


def _error(desk: AppContext, request: Request, status: int, retry_after: int = 0, why: Why = "busy") -> Response:
    model = ErrorPage(status, retry_after, request.url.path, why)
    response = desk.page(request, model, status)
    if retry_after:
        response.headers["retry-after"] = str(retry_after)
    return response
