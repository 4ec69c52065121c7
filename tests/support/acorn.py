"""Acorn, the invented in-house CRM of the page "Connect your own CRM", as a small server with a state of its own."""

from __future__ import annotations

import contextlib
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keyback.application.ports.connectors import Connector
from keyback.connectors.http import HttpConnector
from keyback.testing.connectors import OLD, FaultyProxy, OverProxy, Traits
from keyback.testing.serving import served
from tests.support.house import ROOT

KEY = "acorn-key-0123456789"


def printed(language: str = "en") -> str:
    """The recipe that the page takes its readers to, all its parts together."""
    page = (ROOT / "docs" / language / "own-crm.md").read_text("utf-8")
    parts = re.findall(r"```toml\n(.*?)```", page, re.S)
    return "\n".join(p for p in parts if "[systems." not in p)


@dataclass
class Staff:
    id: int
    login: str
    email: str
    password: str
    roles: list[str]
    enabled: bool = True
    changes: int = 0
    sessions: set[str] = field(default_factory=set)

    def shown(self) -> dict[str, Any]:
        roles = [{"key": r} for r in self.roles]
        who = {"id": self.id, "login": self.login, "email": self.email}
        return {**who, "enabled": self.enabled, "locked": False, "roles": roles}


class Acorn:
    """The app. `say` changes an answer before it goes out, by the route's name; `asked` are the
    paths that came."""

    def __init__(self) -> None:
        self.staff: dict[int, Staff] = {}
        self.say: dict[str, Callable[[], Response]] = {}
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        ways = [
            ("/api/v1/staff", "GET", self._search),
            ("/api/v1/staff/{id}", "GET", self._read),
            ("/api/v1/staff/{id}/password", "PUT", self._set),
            ("/api/v1/staff/{id}/sessions", "DELETE", self._end),
            ("/api/v1/login", "POST", self._login),
            ("/api/v1/logout", "POST", self._logout),
        ]
        self.app = Starlette(routes=[Route(path, self._guarded(act), methods=[verb]) for path, verb, act in ways])

    def add(self, login: str, email: str, roles: list[str], *, enabled: bool = True) -> Staff:
        made = Staff(len(self.staff) + 1, login, email, OLD, roles, enabled)
        self.staff[made.id] = made
        return made

    def named(self, login: str) -> Staff | None:
        return next((s for s in self.staff.values() if s.login == login), None)

    def _guarded(self, act: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
        name = act.__name__.removeprefix("_")

        async def endpoint(request: Request) -> Response:
            self.asked.append(f"{request.method} {request.scope['raw_path'].decode()}?{request.url.query}")
            self.headers.append(dict(request.headers))
            if name not in {"login", "logout"} and request.headers.get("x-api-key") != KEY:
                return _error(401, "NO_KEY", "The key is not valid.")
            if name in self.say:
                return self.say[name]()
            return await act(request)

        return endpoint

    async def _search(self, request: Request) -> Response:
        wanted = request.query_params.get("q", "").casefold()
        found = [s.shown() for s in self.staff.values() if wanted in s.login.casefold() or wanted in s.email.casefold()]
        return JSONResponse({"data": found})

    def _one(self, request: Request) -> Staff | None:
        key = request.path_params["id"]
        return self.staff.get(int(key)) if key.isdecimal() else None

    async def _read(self, request: Request) -> Response:
        one = self._one(request)
        return JSONResponse({"data": one.shown()}) if one else _error(404, "NOT_FOUND", "No such person.")

    async def _set(self, request: Request) -> Response:
        one, password = self._one(request), str((await request.json())["password"])
        if one is None:
            return _error(404, "NOT_FOUND", "No such person.")
        if len(password) < 10:
            return _error(422, "PASSWORD_TOO_SHORT", f"{password} is short: use at least 10 characters.")
        one.password, one.changes = password, one.changes + 1
        return Response(status_code=204)

    async def _end(self, request: Request) -> Response:
        if one := self._one(request):
            one.sessions.clear()
        return Response(status_code=204)

    async def _login(self, request: Request) -> Response:
        sent = await request.json()
        one = self.named(str(sent["login"]))
        if one is None or one.password != sent["password"] or not one.enabled:
            return _error(401, "BAD_CREDENTIALS", "Wrong login or password.")
        token = secrets.token_hex(16)
        one.sessions.add(token)
        answer = JSONResponse({"data": {"token": token}})
        answer.set_cookie("acorn_session", token)
        return answer

    async def _logout(self, request: Request) -> Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        for one in self.staff.values():
            one.sessions.discard(token)
        return Response(status_code=204)


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status)


@dataclass
class AcornHarness(OverProxy):
    """Acorn, connected by the recipe that the page prints."""

    acorn: Acorn
    proxy: FaultyProxy
    url: str
    recipe: Path
    connector: Connector
    traits = Traits()

    @classmethod
    @contextlib.asynccontextmanager
    async def over(cls, recipe: Path) -> AsyncIterator[AcornHarness]:
        """Acorn served behind a way that can break."""
        acorn = Acorn()
        with served(acorn.app) as at:
            proxy = FaultyProxy(("127.0.0.1", int(at.rpartition(":")[2])), b"/password HTTP")
            async with proxy.running() as url:
                harness = cls(acorn, proxy, url, recipe, connected(url, recipe))
                yield harness
                await proxy.set("")
                await harness.connector.close()

    async def add_user(self, username: str, mail: str, *, privileged: bool = False, disabled: bool = False) -> str:
        return str(self.acorn.add(username, mail, ["admin"] if privileged else [], enabled=not disabled).id)

    async def open_session(self, username: str, password: str) -> Callable[[], Awaitable[bool]] | None:
        one = self.acorn.named(username)
        if one is None or one.password != password or not one.enabled:
            return None
        token = secrets.token_hex(8)
        one.sessions.add(token)

        async def alive() -> bool:
            return token in one.sessions

        return alive

    async def changes(self, external_id: str) -> int:
        return self.acorn.staff[int(external_id)].changes

    async def renew(self, **more: Any) -> None:
        await self.connector.close()
        self.connector = connected(self.url, self.recipe, **more)


def connected(url: str, recipe: Path, **more: Any) -> HttpConnector:
    return HttpConnector.from_options("acorn", "Acorn", {"url": url, "recipe": str(recipe), "secret": KEY, **more})
