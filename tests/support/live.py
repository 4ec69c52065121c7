"""A whole Keyback on a free port of 127.0.0.1, in a thread of its own, with its log at hand."""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import re
import secrets
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import structlog
import uvloop

from keyback import serving
from keyback.application.services import Services
from keyback.bootstrap import build, close
from keyback.observability import configure
from keyback.settings import Settings
from keyback.storage.keys.keyring import Keyring
from keyback.web.http.server import ClientTimeouts, bind
from keyback.web.ui.form_tokens import form_token
from tests.support.cheaper import CHEAP, cheap_hashing
from tests.support.kit import person

AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


def drawn_for(path: str, cookies: str, data: Any) -> Any:
    """A form's fields with what the page would have put into it for the session of these cookies."""
    name, at = ("console", "/console") if path.startswith("/console") else ("session", ("/account", "/sign-out"))
    found = re.search(rf"keyback-{name}=([\w-]+)", cookies)
    if found and path.startswith(at) and (data is None or isinstance(data, dict)):
        return {"form_token": form_token(found[1]), **(data or {})}
    return data


class Browser(httpx2.Client):
    """Sends forms as the pages that it would have them from draw them."""

    def post(self, url: Any, *, data: Any = None, **more: Any) -> httpx2.Response:
        jar = "; ".join(f"{c.name}={c.value}" for c in self.cookies.jar)
        given = {**self.headers, **(more.get("headers") or {})}.get("cookie", "")
        return super().post(url, data=drawn_for(str(url), f"{jar}; {given}", data), **more)


@dataclass
class Live:
    """A running Keyback. `host` is what goes into the Host header."""

    port: int
    host: str
    settings: Settings
    services: Services = field(repr=False)
    loop: asyncio.AbstractEventLoop = field(repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def run(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(60)

    def read(self, fn: Any) -> Any:
        return self.run(self.services.db.read(fn))

    def client(self, **headers: str) -> httpx2.Client:
        """A client that sends what a browser on our own page would."""
        own = {"host": self.host, "sec-fetch-site": "same-origin", "user-agent": AGENT, **headers}
        return Browser(base_url=self.url, headers=own, timeout=60, trust_env=False)

    def raw(self, data: bytes, *, seconds: float = 10.0) -> bytes:
        """Everything that comes back for these bytes until the server closes the connection."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as s:
            s.sendall(data)
            return read_all(s)


def read_all(s: socket.socket) -> bytes:
    """All that comes until the other side closes; a reset counts as closing."""
    out = b""
    with contextlib.suppress(ConnectionError):
        while more := s.recv(65536):
            out += more
    return out


def request(line: str, host: str, *headers: str, body: bytes = b"") -> bytes:
    """The bytes of an HTTP/1.1 request on a connection of its own."""
    head = [f"{line} HTTP/1.1", f"Host: {host}", "Connection: close", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body


def status_of(answer: bytes) -> int:
    """0 when the connection was closed without an answer."""
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else 0


@contextlib.contextmanager
def live(
    database_url: str,
    folder: Path,
    *,
    mail_port: int = 1,
    public_url: str = "",
    patience: ClientTimeouts | None = None,
    worker: bool = True,
    **over: Any,
) -> Iterator[Live]:
    """Runs it while the block lasts, through the same function as `keyback serve`."""
    sock = bind("127.0.0.1:0")
    port = sock.getsockname()[1]
    mail = {"host": "127.0.0.1", "port": mail_port, "security": "plain", "sender": "keyback@example.com"}
    settings = Settings(
        public_url=public_url or f"http://127.0.0.1:{port}",
        listen=f"127.0.0.1:{port}",
        data_dir=folder,
        database_url=database_url,
        keyring=over.pop("keyring", None) or Keyring.fresh_line(),
        mail=mail,
        password=CHEAP,
        limits=over.pop("limits", dict.fromkeys(("recoveries", "proofs", "sign_ins", "checks"), 100_000)),
        **over,
    )
    up: threading.Event = threading.Event()
    held: list[Any] = []
    broken: list[BaseException] = []

    async def main() -> None:
        stop = asyncio.Event()
        with cheap_hashing():
            services = build(settings)
        held.extend((services, asyncio.get_running_loop(), stop))
        try:
            await serving.hold(
                settings, services, worker=worker, patience=patience, sock=sock, ready=up.set, stop=stop
            )  # fmt: skip
        finally:
            await close(services)

    def thread() -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(main())
        except BaseException as e:
            broken.append(e)
        up.set()

    t = threading.Thread(target=thread, name="live", daemon=True)
    t.start()
    assert up.wait(60)
    if broken:
        raise broken[0]
    services, loop, stop = held
    try:
        yield Live(port, urlsplit(settings.public_url).netloc, settings, services, loop)
    finally:
        loop.call_soon_threadsafe(stop.set)
        t.join(30)
        sock.close()
    if broken:
        raise broken[0]


def add_person(site: Live, key: str, *mails: str, **more: Any) -> None:
    site.run(site.services.db.write(lambda tx: tx.people.save_imported([person(key, *mails, **more)])))


@contextlib.contextmanager
def logged(level: str = "debug") -> Iterator[io.StringIO]:
    """Our log as `keyback serve` writes it, while the block lasts."""
    root = logging.getLogger()
    before = (root.handlers, root.level)
    out = io.StringIO()
    configure(level, out)
    try:
        yield out
    finally:
        root.handlers, level_before = before
        root.setLevel(level_before)
        structlog.reset_defaults()


def canary() -> str:
    return f"canary-{secrets.token_hex(8)}"
