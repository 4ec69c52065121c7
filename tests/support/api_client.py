"""A client of the API over the whole application, in memory: what the API's tests share."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2

from keyback.application.ports.storage import Imported
from keyback.testing.mailbox import Mailbox
from keyback.web.app import make_app, make_context
from keyback.worker import Worker
from tests.support.kit import Kit, person

BASE = "/api/v1"
NEW = "supper ladder teapot 7"
MAYA = person("maya")


class Client:
    """Calls `kit`'s API; `call` is for one request, `together` for many at the same time."""

    def __init__(self, kit: Kit, app: Any = None) -> None:
        self.kit = kit
        self.app = app or make_app(make_context(kit.settings, kit.services))
        self.worker = Worker(kit.services)

    async def send(
        self, method: str, path: str, body: Any = None, *, secret: str = "", raw: bytes | None = None, **headers: str
    ) -> httpx2.Response:
        """One request; `raw` goes as it is. Header names are written with `_`."""
        given = {k.replace("_", "-"): v for k, v in headers.items()}
        if body is not None or raw is not None:
            given.setdefault("content-type", "application/json")
        if secret:
            given["authorization"] = f"Bearer {secret}"
        content = raw if raw is not None else json.dumps(body).encode() if body is not None else None
        transport = httpx2.ASGITransport(app=self.app, client=("192.0.2.7", 40000))
        async with httpx2.AsyncClient(transport=transport, base_url=self.kit.settings.public_url) as http:
            return await http.request(method, BASE + path, content=content, headers=given)

    def call(self, method: str, path: str, body: Any = None, **more: Any) -> httpx2.Response:
        return self.kit.run(self.send(method, path, body, **more))  # type: ignore[no-any-return]

    def post(self, path: str, body: Any = None, **more: Any) -> httpx2.Response:
        return self.call("POST", path, body, **more)

    def get(self, path: str, **more: Any) -> httpx2.Response:
        return self.call("GET", path, **more)

    def together(self, calls: list[Callable[[], Awaitable[httpx2.Response]]]) -> list[httpx2.Response]:
        """All at once, with a worker running beside them."""

        async def run() -> list[httpx2.Response]:
            import asyncio

            worker = Worker(self.kit.services)
            worker.start()
            try:
                return list(await asyncio.gather(*(c() for c in calls)))
            finally:
                await worker.stop()

        return self.kit.run(run())  # type: ignore[no-any-return]

    def drain(self) -> None:
        self.kit.run(self.worker.drain())

    def people(self, *people: Imported) -> None:
        self.kit.write(lambda tx: tx.people.save_imported(people or [MAYA]))


class Recovery:
    """A recovery that the client started and holds."""

    def __init__(self, client: Client, identifier: str = "maya@example.com", **more: Any) -> None:
        self.client = client
        started = client.post("/recoveries", {"identifier": identifier, **more})
        assert started.status_code == 202, started.text
        self.handle, self.secret = started.json()["handle"], started.json()["secret"]
        self.path = f"/recoveries/{self.handle}"

    def see(self, **headers: str) -> dict[str, Any]:
        answer = self.client.get(self.path, secret=self.secret, **headers)
        assert answer.status_code == 200, answer.text
        return answer.json()  # type: ignore[no-any-return]

    def post(self, path: str, body: Any = None, **more: Any) -> httpx2.Response:
        return self.client.post(self.path + path, body, secret=self.secret, **more)

    def try_code(self, code: str) -> httpx2.Response:
        return self.post("/proofs/email_link/verify", {"code": code})

    def prove(self, mailbox: Mailbox, to: str = "maya@example.com") -> None:
        """Has the mail sent and types its code."""
        before = len(mailbox.messages(to))
        self.client.drain()
        code = mailbox.wait_for(to, before + 1)[-1]["codes"][0]
        answer = self.try_code(code)
        assert answer.status_code == 200, answer.text

    def choose(self, password: str = NEW, **more: Any) -> httpx2.Response:
        """Sends the new password while a worker runs."""
        body = {"new_password": password, **more.pop("body", {})}
        path = self.path + "/password"
        client = self.client
        return client.together([lambda: client.send("POST", path, body, secret=self.secret, **more)])[0]
