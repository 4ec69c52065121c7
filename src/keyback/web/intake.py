"""Taking a request to recover: written down and answered, nothing looked up (ADR 1, A1–A4).

Called before any routing. Every well-formed request gets the same answer but for the random handle.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from keyback.application import intake
from keyback.application.clock import wall_clock
from keyback.application.identity import network_of
from keyback.application.store import StorageDown
from keyback.domain.errors import BadInput
from keyback.locale import choose
from keyback.web import pages
from keyback.web.context import Desk, see
from keyback.web.forms import BadForm, one_string, parse_form, parse_json
from keyback.web.problems import problem

API_PATH = "/api/v1/recoveries"
JOURNEYS = {"password": "password", "locked": "password", "username": "username"}
KEY_LENGTH = range(16, 256)
WRONG = {
    "empty": pages.IDENTIFIER_EMPTY,
    "too_long": pages.IDENTIFIER_LONG,
    "not_text": pages.IDENTIFIER_MALFORMED,
    "missing": pages.IDENTIFIER_EMPTY,
}


def api_intake(desk: Desk) -> ASGIApp:
    """`POST /api/v1/recoveries`, as plain ASGI."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await _api(desk, request)
        except BadForm as e:
            response = problem(e.status, e.code, field=e.field)
        except BadInput as e:
            response = problem(422, f"identifier_{e.code}", field="identifier")
        except StorageDown:
            response = problem(503, "unavailable", retry_after=5)
        await response(scope, receive, send)

    return app


async def _api(desk: Desk, request: Request) -> Response:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise BadForm(415, "unsupported_media_type")
    origin = desk.origin(request)
    if not await desk.limiter.allows("recoveries", origin.source):
        return problem(429, "slow_down", retry_after=60)
    values = parse_json(await request.body())
    if set(values) - {"identifier", "journey", "system", "locale"}:
        raise BadForm(422, "unknown_field")
    identifier = one_string(values, "identifier")
    journey = one_string(values, "journey", required=False) or "password"
    system = one_string(values, "system", required=False)
    locale = one_string(values, "locale", required=False)
    if journey not in JOURNEYS:
        raise BadForm(422, "unknown_journey", "journey")
    if system and system not in desk.services.titles:
        raise BadForm(422, "unknown_system", "system")
    if locale and locale.replace("_", "-") not in ("zh", "zh-CN", "en"):
        raise BadForm(422, "unknown_locale", "locale")
    started = await intake.write_down(
        desk.services.db,
        desk.services.seals,
        identifier,
        journey=JOURNEYS[journey],  # type: ignore[arg-type]
        system=system,
        locale=choose(locale, request.headers.get("accept-language", ""), desk.settings.default_locale),
        origin=origin,
        now=wall_clock(),
        handle=_handle_for_key(desk, request, origin.source, values),
    )
    answer = {
        "handle": started.handle,
        "secret": started.secret,
        "status_url": f"{desk.services.public_url}{API_PATH}/{started.handle}",
        "expires_at": datetime.fromtimestamp(started.expires_at // 1000, UTC).isoformat().replace("+00:00", "Z"),
    }
    return Response(json.dumps(answer), 202, media_type="application/json")


def _handle_for_key(desk: Desk, request: Request, source: str, values: dict[str, object]) -> str | None:
    """The same key with the same request leads to the same handle; nothing has to be looked up for it."""
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if len(key) not in KEY_LENGTH or not key.isascii() or not key.isprintable():
        raise BadForm(400, "bad_idempotency_key")
    fingerprint = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    return intake.handle_for_key(desk.services.seals, key, network_of(source), fingerprint)


def form_intake(desk: Desk, journey: str) -> ASGIApp:
    """`POST /forgot` and `POST /find`, as plain ASGI: 303 to the recovery's page, with the cookie that holds it."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        response = await _form(desk, request, journey)
        await response(scope, receive, send)

    return app


async def _form(desk: Desk, request: Request, journey: str) -> Response:
    origin = desk.origin(request)
    if not await desk.limiter.allows("recoveries", origin.source):
        return _error(desk, request, 429, 60)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        return _error(desk, request, 415)
    values: dict[str, str] = {}
    try:
        values = parse_form(await request.body(), ("identifier", "system", "journey"))
        wanted = values["journey"] or journey
        if JOURNEYS.get(wanted) != journey or (values["system"] and values["system"] not in desk.services.titles):
            return _error(desk, request, 422)
        if journey == "username" and "@" not in values["identifier"].strip().strip("@"):
            raise BadInput("not_mail" if values["identifier"].strip() else "empty")
        started = await intake.write_down(
            desk.services.db,
            desk.services.seals,
            one_string(values, "identifier"),
            journey=JOURNEYS[wanted],  # type: ignore[arg-type]
            system=values["system"],
            locale=desk.locale(request),
            origin=origin,
            now=wall_clock(),
        )
    except BadForm as e:
        if e.field != "identifier":
            return _error(desk, request, e.status)
        return _again(desk, request, journey, values, pages.IDENTIFIER_MALFORMED)
    except BadInput as e:
        text = pages.MAIL_MALFORMED if e.code == "not_mail" else WRONG[e.code]
        return _again(desk, request, journey, values, text)
    except StorageDown:
        return _error(desk, request, 503, 5)
    response = see(f"/r/{started.handle}")
    desk.cookies.hold(request, response, started.handle, started.secret)
    return response


def _again(desk: Desk, request: Request, journey: str, values: dict[str, str], error: str) -> Response:
    typed = "".join(c for c in values.get("identifier", "")[:254] if c.isprintable())
    model: pages.Page
    if journey == "username":
        model = pages.Find(error=error, identifier=typed)
    else:
        model = pages.Forgot(
            systems=tuple(desk.services.titles.items()),
            journey="locked" if values.get("journey") == "locked" else "password",
            error=error,
            identifier=typed,
            system=values.get("system", ""),
        )
    return desk.page(request, model, 422, step=1)


def _error(desk: Desk, request: Request, status: int, retry_after: int = 0) -> Response:
    model = pages.ErrorPage(status, retry_after, request.url.path)
    response = desk.page(request, model, status)
    if retry_after:
        response.headers["retry-after"] = str(retry_after)
    return response
