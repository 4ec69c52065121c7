"""`/healthz`: the process answers. `/readyz`: it can also take a request and somebody does the work."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keyback.application.store import StorageDown
from keyback.web.context import desk_of

PATIENCE_S = 5.0


async def healthz(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> Response:
    """200 when a transaction can be written now; else 503 and which part is missing."""
    desk = desk_of(request)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await desk.services.db.write(lambda tx: tx.now)
    except (StorageDown, TimeoutError):
        return JSONResponse({"status": "unavailable", "database": "down"}, 503)
    return JSONResponse({"status": "ok", "database": "ok"})


ROUTES = [Route("/healthz", healthz, methods=["GET"]), Route("/readyz", readyz, methods=["GET"])]
