"""Graph's errors."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response


def graph_error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message, "innerError": {}}}, status)


def bad_request(message: str, code: str = "Request_BadRequest") -> Response:
    return graph_error(400, code, message)


def denied() -> Response:
    return graph_error(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


def missing(name: str) -> Response:
    text = f"Resource '{name}' does not exist or one of its queried reference-property objects are not present."
    return graph_error(404, "Request_ResourceNotFound", text)


def throttled(retry_after: int) -> Response:
    response = graph_error(429, "TooManyRequests", "Too many requests")
    response.headers["retry-after"] = str(retry_after)
    return response
