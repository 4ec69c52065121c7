"""Errors of the API: RFC 9457 problems with a stable `code`; what was sent is never echoed (L9)."""

from __future__ import annotations

import json
from typing import Any, Literal

import structlog
from starlette.responses import Response

from keyback.application.ports.outages import LimitsDown
from keyback.application.ports.storage import StorageDown, StorageUnsure
from keyback.observability import Seldom

log = structlog.get_logger("keyback.web")
Why = Literal["busy", "away", "unsure"]
RETRY_S = 5  # after which a database that was away may be tried again

TITLES = {
    400: "This cannot be read",
    401: "A secret is needed",
    403: "Not allowed",
    404: "Nothing here",
    405: "This method is not used here",
    409: "Not now",
    410: "Over",
    412: "It has changed",
    413: "Too much",
    414: "Too much",
    415: "Send JSON",
    422: "Something in it isn’t right",
    429: "Slow down",
    500: "Our fault",
    503: "Not available right now",
}


DETAILS = {"not_json": "The body must be JSON in UTF-8 (RFC 8259 section 8.1)."}


def problem(status: int, code: str, *, field: str = "", retry_after: int = 0, **more: Any) -> Response:
    """`application/problem+json` with `type`, `title`, `status`, `code` and what else is known.

    Args:
        code: stable, for programs.
        field: the member at fault.
        retry_after: seconds, also as a header.
    """
    body = {"type": "about:blank", "title": TITLES.get(status, "Error"), "status": status, "code": code, **more}
    if code in DETAILS:
        body["detail"] = DETAILS[code]
    if field:
        body["field"] = field
    headers = {"retry-after": str(retry_after)} if retry_after else {}
    return Response(json.dumps(body, ensure_ascii=False), status, headers, "application/problem+json")


def why_down(e: Exception) -> Why:
    """How a page words a 503: nothing was done, or nobody knows."""
    return "unsure" if isinstance(e, StorageUnsure) else "away"


def tell_down(seldom: Seldom, e: Exception, path: str) -> None:
    """Logs that the database is away, once a minute and not for each request. What counts limits tells of itself.

    Args:
        path: a pattern of ours.
    """
    more = None if isinstance(e, LimitsDown) else seldom.due("storage_down")
    if more is not None:
        log.warning("storage_down", path=path, more=more)


def down(e: StorageDown) -> Response:
    """The problem for a database that did not answer."""
    return problem(503, "unconfirmed" if isinstance(e, StorageUnsure) else "unavailable", retry_after=RETRY_S)
