"""A Keyback of whatever version is installed, on given settings and a clock that stands still: for the two sides of an
upgrade."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import httpx2

from keyback.application.services import Services
from keyback.bootstrap import build, close
from keyback.settings import Settings
from keyback.testing.mailbox import Mailbox
from keyback.testing.phone import Phone
from keyback.web import intake
from keyback.web.app import make_app, make_context
from keyback.worker import Worker
from tests.support.live import drawn_for

T = TypeVar("T")
HERE = Path(__file__).parent
FIXTURE = HERE / "fixture"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
OFFICE, ELSEWHERE = "198.51.100.20", "192.0.2.7"  # of policy.known_networks; of nobody


@dataclass
class Place:
    """A Keyback without a socket, its mailbox and its phones. `now` is what its clock says, ms."""

    settings: Settings
    services: Services = field(repr=False)
    mailbox: Mailbox = field(repr=False)
    phone: Phone = field(repr=False)
    runner: asyncio.Runner = field(repr=False)
    clock: Callable[[], int]
    app: Any = field(repr=False)
    worker: Worker = field(repr=False)

    def run(self, awaitable: Any) -> Any:
        async def wait() -> Any:
            return await awaitable

        return self.runner.run(wait())

    def write(self, fn: Callable[[Any], T]) -> T:
        return self.run(self.services.db.write(fn))  # type: ignore[no-any-return]

    def read(self, fn: Callable[[Any], T]) -> T:
        return self.run(self.services.db.read(fn))  # type: ignore[no-any-return]

    def drain(self) -> None:
        """Lets the worker do all that is due."""
        self.run(self.worker.drain())

    def mails(self, to: str) -> list[dict[str, Any]]:
        return self.mailbox.messages(to)

    def api(
        self, method: str, path: str, body: Any = None, *, secret: str = "", source: str = ELSEWHERE
    ) -> httpx2.Response:
        """One call of the API; `secret` goes as Bearer."""
        headers = {"user-agent": FIREFOX}
        if secret:
            headers["authorization"] = f"Bearer {secret}"
        if body is not None:
            headers["content-type"] = "application/json"
        content = json.dumps(body).encode() if body is not None else b""
        return self.send(method, f"/api/v1{path}", content, headers, source)

    def send(
        self, method: str, path: str, content: bytes, headers: dict[str, str], source: str = ELSEWHERE
    ) -> httpx2.Response:
        return self.run(self._send(method, path, content, headers, source))  # type: ignore[no-any-return]

    async def _send(
        self, method: str, path: str, content: bytes, headers: dict[str, str], source: str
    ) -> httpx2.Response:
        transport = httpx2.ASGITransport(app=self.app, client=(source, 40000))
        async with httpx2.AsyncClient(transport=transport, base_url=self.settings.public_url) as http:
            return await http.request(method, path, headers=headers, content=content)

    def state(self, held: dict[str, str]) -> dict[str, Any]:
        """Where a recovery stands; `held` has its handle and secret."""
        answer = self.api("GET", f"/recoveries/{held['handle']}", secret=held["secret"])
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]


class Browser:
    """A browser: cookies, and forms that are sent as they stand on their page."""

    def __init__(self, place: Place, cookies: dict[str, str] | None = None, source: str = ELSEWHERE) -> None:
        self.place, self.cookies, self.source = place, dict(cookies or {}), source

    def __call__(self, method: str, path: str, **values: str) -> httpx2.Response:
        headers = {"user-agent": FIREFOX, "cookie": "; ".join(f"{k}={v}" for k, v in self.cookies.items())}
        if method == "POST":
            headers |= {
                "origin": self.place.settings.public_url,
                "sec-fetch-site": "same-origin",
                "content-type": "application/x-www-form-urlencoded",
            }
            values = drawn_for(path, headers["cookie"], values)
        answer = self.place.send(method, path, urlencode(values).encode(), headers, self.source)
        for line in answer.headers.get_list("set-cookie"):
            name, _, value = line.split(";")[0].partition("=")
            self.cookies[name] = value.strip('"')
        return answer

    def get(self, path: str) -> httpx2.Response:
        return self("GET", path)

    def press(self, path: str, action: str, **values: str) -> httpx2.Response:
        """Sends the form of a page that goes to `action`, with what is hidden in it."""
        page = self.get(path)
        form = re.search(rf'<form[^>]*action="{re.escape(action)}".*?</form>', page.text, re.S)
        assert form, (page.status_code, page.headers.get("location"), path, action)
        hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form[0])
        return self("POST", action, **{**{k: unescape(v) for k, v in hidden}, **values})

    def open(self, link: str) -> str:
        """Opens a mailed link; where it leads to."""
        return str(self.get(urlsplit(link).path).headers["location"])

    def follow(self, link: str, page: str, action: str = "", **values: str) -> httpx2.Response:
        """Opens a mailed link, which has to lead to `page`, and sends the form there that goes to `action`."""
        where = self.open(link)
        assert urlsplit(where).path == page, where
        return self.press(where, action or page, **values)


def link_in(mail: dict[str, Any], start: str = "/l/") -> str:
    """The first link of a mail that leads to such a path."""
    return next(str(x) for x in mail["links"] if urlsplit(x).path.startswith(start))


@contextmanager
def opened(
    folder: Path, clock: Callable[[], int], database_url: str, first: Callable[[], object] = lambda: None
) -> Iterator[Place]:
    """Starts on the fixture's settings, whose mail and messages come here; `keyback` commands find them too.

    Args:
        folder: for settings and data; the keyring is there already.
        first: done once the settings are in place, before anything starts on them.
    """
    with ExitStack() as stack:
        mailbox = stack.enter_context(Mailbox(clock=clock))
        phone = Phone(lambda: clock() / 1000)
        words = {
            "@DATA_DIR@": str(folder), "@DATABASE_URL@": database_url, "@MAIL_PORT@": str(mailbox.port),
            "@PHONE_URL@": stack.enter_context(phone.serving()), "@PHONE_SECRET@": phone.secret,
        }  # fmt: skip
        text = (FIXTURE / "keyback.toml").read_text("utf-8")
        for name, value in words.items():
            text = text.replace(name, value)
        path = folder / "keyback.toml"
        path.write_text(text, "utf-8")
        path.chmod(0o600)
        before = {k: v for k, v in os.environ.items() if k.startswith("KEYBACK_")}
        stack.callback(lambda: (_without_ours(), os.environ.update(before)))
        _without_ours()
        os.environ["KEYBACK_CONFIG"] = str(path)
        first()
        yield stack.enter_context(_running(mailbox, phone, clock))


def _without_ours() -> None:
    for name in [k for k in os.environ if k.startswith("KEYBACK_") and k != "KEYBACK_TEST_POSTGRES"]:
        del os.environ[name]


@contextmanager
def _running(mailbox: Mailbox, phone: Phone, clock: Callable[[], int]) -> Iterator[Place]:
    settings = Settings()
    with asyncio.Runner() as runner:

        async def start() -> Services:
            return build(settings, clock=clock)

        services = runner.run(start())
        app = make_app(make_context(settings, services))
        place = Place(settings, services, mailbox, phone, runner, clock, app, Worker(services))
        real = intake.wall_clock
        intake.wall_clock = clock
        try:
            yield place
        finally:
            intake.wall_clock = real
            place.run(close(services))
