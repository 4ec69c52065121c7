"""How the API reads and refuses: strict JSON before any model sees it, and one shape of error for everything."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from keyback.application.ports.hashing import Busy
from keyback.application.ports.storage import StorageDown
from keyback.domain.errors import Refusal
from keyback.web.http.edge import TooLong, TooSlow
from keyback.web.http.problems import down, problem, tell_down
from keyback.web.ui.context import context_of, note_refusal
from keyback.web.ui.forms import BadForm, parse_json

log = structlog.get_logger("keyback.api")
Handler = Callable[[Request], Coroutine[Any, Any, Response]]
CODES = {
    "missing": "missing",
    "extra_forbidden": "unknown_field",
    "string_type": "not_a_string",
    "string_unicode": "not_text",
    "value_error": "not_text",  # the one check of our own
    "string_too_long": "too_long",
    "string_too_short": "empty",
    "list_type": "not_a_list",
    "too_long": "too_long",
    "too_short": "empty",
    "string_pattern_mismatch": "malformed",
}
EXPECTED = frozenset({"second_factor_required"})  # says how to go on
CHALLENGE = {"www-authenticate": 'Bearer realm="keyback"'}


class ApiError(Exception):
    """Ends a request with a problem; `more` are further members of it."""

    def __init__(self, status: int, code: str, *, retry_after: int = 0, **more: Any) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.retry_after = retry_after
        self.more = more

    def response(self) -> Response:
        answer = problem(self.status, self.code, retry_after=self.retry_after, **self.more)
        if self.status == 401:
            answer.headers.update(CHALLENGE)
        return answer


class _Read(Request):
    """A request whose body was read and understood already."""

    def __init__(self, request: Request, raw: bytes, value: Any) -> None:
        super().__init__(request.scope, request.receive)
        self._raw = raw
        self._value = value

    async def body(self) -> bytes:
        return self._raw

    async def json(self) -> Any:
        return self._value


class StrictRoute(APIRoute):
    """Reads the body itself: JSON by its content type, no member twice; routes without a body take `{}` or nothing.

    A failure of ours is answered and logged by kind and place only: a traceback may hold what was typed (A-16.2.5).
    """

    def get_route_handler(self) -> Handler:
        handle, wants_body = super().get_route_handler(), self.body_field is not None

        async def strict(request: Request) -> Response:
            try:
                if request.method == "POST":
                    request = await _read(request, wants_body)
                return await handle(request)
            except tuple(HANDLERS) as e:
                return await answer(request, e)
            except ClientDisconnect:
                return problem(400, "not_json")  # nobody is there to read it
            except Exception as e:
                return await broken(request, e)

        return strict


async def _read(request: Request, wants_body: bool) -> Request:
    raw = await request.body()
    if raw or wants_body:
        if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise BadForm(415, "unsupported_media_type")
        value = parse_json(raw)
        if value and not wants_body:
            raise BadForm(422, "unknown_field")
        return _Read(request, raw, value)
    return request


async def answer(request: Request, e: Exception) -> Response:
    """The problem for an exception that says what is wrong."""
    match e:
        case ApiError():
            if e.code in EXPECTED:
                note_refusal(request, "")
            elif e.code == "wrong_state":
                note_refusal(request, e.code)
            return e.response()
        case BadForm():
            return problem(e.status, e.code, field=e.field)
        case RequestValidationError():
            return _invalid(e)
        case Refusal():
            note_refusal(request, e.code)
            return problem(409, e.code)
        case StorageDown():
            tell_down(context_of(request).seldom, e, _template(request))
            return down(e)
        case Busy():
            return problem(503, "busy", retry_after=2)
        case TooLong() | TooSlow():
            too_long = isinstance(e, TooLong)
            response = problem(413 if too_long else 408, "too_long" if too_long else "too_slow")
            response.headers["connection"] = "close"
            return response
        case HTTPException():
            code = {404: "not_found", 405: "method_not_allowed"}.get(e.status_code, "error")
            response = problem(e.status_code, code)
            response.headers.update(e.headers or {})
            return response
    return await broken(request, e)


def _invalid(e: RequestValidationError) -> Response:
    """Which members do not fit, by name and code; never what was sent, nor a name that we do not know (L9)."""
    found = e.errors()
    if any(f["loc"][0] == "path" for f in found):
        return problem(404, "not_found")
    if any(f["loc"][0] == "header" for f in found):
        of_version = any(f["loc"][-1] == "If-Match" for f in found)
        return problem(400, "bad_if_match" if of_version else "bad_idempotency_key")
    errors = []
    for f in found:
        unknown = f["type"] == "extra_forbidden"
        path = f["loc"][1:-1] if unknown else f["loc"][1:]
        code = CODES.get(f["type"], "unknown_value" if f["type"] == "literal_error" else "malformed")
        errors.append({"field": ".".join(map(str, path)), "code": code})
    return problem(422, "invalid", errors=errors[:20])


async def broken(request: Request, e: Exception) -> Response:
    """A fault of ours."""
    frame: Any = e.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    where = f"{frame.tb_frame.f_globals.get('__name__')}:{frame.tb_lineno}" if frame else ""
    log.error("request_failed", path=_template(request), error=type(e).__name__, where=where)
    return problem(500, "error")


def _template(request: Request) -> str:
    return str(getattr(request.scope.get("route"), "path", ""))


HANDLERS: tuple[type[Exception], ...] = (
    ApiError, BadForm, RequestValidationError, Refusal, StorageDown, Busy, TooLong, TooSlow, HTTPException,
)  # fmt: skip
