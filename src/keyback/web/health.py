"""`/healthz`: the process answers. `/readyz`: it can also take a request and somebody does the work.

The address of the metrics answers both too, so that a worker that serves no pages has them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keyback.application.ports.storage import StorageDown, StorageFull
from keyback.web.ui.context import AppContext, context_of

PATIENCE_S = 5.0
READINESS = "readiness"


@dataclass(frozen=True, slots=True)
class Readiness:
    """What `/readyz` asks besides the database; hangs in the desk's `extras`.

    Args:
        beat_age: seconds since the worker's last round; None where no worker runs.
        schema_fits: whether the database's schema can be used; may raise StorageDown.
        probe: writes something small for real; raises StorageDown.
        beat_limit: seconds after which a worker counts as stuck. Its longest pause is 2 s.
    """

    beat_age: Callable[[], float] | None = None
    schema_fits: Callable[[], Awaitable[bool]] | None = None
    probe: Callable[[], Awaitable[None]] | None = None
    beat_limit: float = 30.0


async def healthz(request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def readyz(request: Request) -> Response:
    """200 when something was just written, the schema fits and the worker lives; else 503 naming what does not.

    `degraded`, still 200: Valkey is away. Requests are written down and mailed as ever, but nothing that checks a
    secret is done. It is away from all nodes alike, so taking this one out of service would help nobody.
    """
    desk = context_of(request)
    parts = await parts_of(_asked(desk))
    ready = is_ready(parts)
    if desk.limiter.shared:
        parts["limits"] = "ok" if await desk.limiter.up() else "down"
    status = "unavailable" if not ready else "degraded" if parts.get("limits") == "down" else "ok"
    return JSONResponse({"status": status, **parts}, 200 if ready else 503)


def _asked(desk: AppContext) -> Readiness:
    asked: Readiness = desk.extras.get(READINESS, Readiness())
    if asked.probe is not None:
        return asked

    async def probe() -> None:
        await desk.services.db.write(lambda tx: tx.now)

    return replace(asked, probe=probe)


def is_ready(parts: Mapping[str, str]) -> bool:
    return all(v == "ok" for v in parts.values())


async def parts_of(asked: Readiness) -> dict[str, str]:
    """How each part is: `ok`, or a word for what is the matter with it."""
    parts = {"database": "ok"}
    try:
        async with asyncio.timeout(PATIENCE_S):
            if asked.probe is not None:
                await asked.probe()
            if asked.schema_fits is not None:
                parts["schema"] = "ok" if await asked.schema_fits() else "outdated"
    except StorageFull:
        parts["database"] = "full"
    except (StorageDown, TimeoutError):
        parts["database"] = "down"
    if asked.beat_age is not None:
        parts["worker"] = "ok" if asked.beat_age() < asked.beat_limit else "stuck"
    return parts


ROUTES = [
    *(Route(f"/healthz{end}", healthz, methods=["GET"]) for end in ("", "/")),
    *(Route(f"/readyz{end}", readyz, methods=["GET"]) for end in ("", "/")),
]
