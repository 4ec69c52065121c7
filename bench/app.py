"""What is measured, a process of its own: `python -m bench.app FILE`, FILE being JSON.

`{"what": "keyback", "worker": true, "settings": {…}}` runs what `keyback serve` runs; `{"what": "bare", "listen": …}`
answers every request with the same bytes through the same server and nothing else.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path
from typing import Any

import uvloop

from keyback.cli.serve import imported

BODY = b'{"status":"accepted"}'
HEADERS = [(b"content-type", b"application/json"), (b"content-length", str(len(BODY)).encode())]


async def bare(scope: Any, receive: Any, send: Any) -> None:
    """The least that an ASGI application can do for a POST."""
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 202, "headers": HEADERS})
    await send({"type": "http.response.body", "body": BODY})


async def serve_bare(listen: str) -> None:
    from keyback.web.http.server import bind, make_server

    server = make_server(bare, lifespan=False)

    def stop() -> None:
        server.should_exit = True

    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop)
    await server.serve([bind(listen)])


def main(path: str) -> int:
    config = json.loads(Path(path).read_text(encoding="utf-8"))
    if config["what"] == "bare":
        uvloop.run(serve_bare(config["listen"]))
        return 0
    serve = imported("keyback.serving", "serve")  # as the command imports it
    settings = imported("keyback.settings", "Settings")
    return int(serve(settings(**config["settings"]), config["worker"]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
