"""What the stand-ins have in common: people, sessions, tokens of their own, and the ways in which they break."""

from __future__ import annotations

import secrets
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keyback.testing.serving import Cut, until_gone

Trouble = Literal["", "drop_reply", "late", "failing"]
Act = Callable[[Request], Awaitable[Response]]
T = TypeVar("T")


@dataclass
class Person:
    id: str
    username: str
    mail: str
    password: str
    privileged: bool = False
    disabled: bool = False
    mobile: str = ""
    changes: int = 0
    failed: int = 0
    sessions: set[str] = field(default_factory=set)


class System(ABC):
    """An ASGI app.

    `trouble` may be set at any time: `late` and `drop_reply` carry a set out and answer it late or not at all,
    `failing` answers sets with the system's own word for a failure inside it. `asked` are the calls that came;
    `strange` those that the real system does not have.
    """

    locks_after = 0

    def __init__(self) -> None:
        self.people: list[Person] = []
        self.trouble: Trouble = ""
        self.tokens: set[str] = set()
        self.asked: list[str] = []
        self.strange: list[str] = []
        self.sign_ins = 0
        self._app = Starlette(
            routes=[Route(path, self._guarded(act), methods=[verb]) for verb, path, act in self.routes()],
            exception_handlers={404: self._unknown, 405: self._unknown},
        )

    @abstractmethod
    def routes(self) -> Sequence[tuple[str, str, Act]]:
        """Method, path and what answers."""

    @abstractmethod
    def inner_failure(self) -> Response:
        """How the system says that it failed, in an answer of its own."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app(scope, receive, send)

    def add(self, username: str, mail: str, password: str, *, privileged: bool = False, disabled: bool = False) -> str:
        """Somebody new; gives the id."""
        one = Person(self.next_id(), username, mail, password, privileged, disabled)
        self.people.append(one)
        return one.id

    def next_id(self) -> str:
        return str(len(self.people) + 101)

    def by_id(self, key: object) -> Person | None:
        return next((p for p in self.people if p.id == str(key)), None)

    def by_name(self, username: str) -> Person | None:
        """As a database that does not tell capitals apart."""
        return next((p for p in self.people if p.username.casefold() == username.casefold()), None)

    def locked(self, one: Person) -> bool:
        return bool(self.locks_after) and one.failed >= self.locks_after

    def signs_in(self, one: Person | None, password: str) -> str:
        """A new session of theirs, or nothing."""
        if one is None or one.disabled or self.locked(one):
            return ""
        if one.password != password:
            one.failed += 1
            return ""
        one.failed = 0
        session = secrets.token_hex(16)
        one.sessions.add(session)
        return session

    def owner(self, session: str) -> Person | None:
        return next((p for p in self.people if session in p.sessions), None)

    def new_token(self) -> str:
        """For the account that calls the API."""
        token = secrets.token_hex(16)
        self.tokens.add(token)
        self.sign_ins += 1
        return token

    async def set_password(self, request: Request, one: Person, password: str, answer: Response) -> Response:
        """Sets it, and answers as the trouble of the moment has it."""
        if self.trouble == "failing":
            return self.inner_failure()
        one.password, one.changes = password, one.changes + 1
        if self.trouble == "late":
            await until_gone(request)
        return Cut() if self.trouble == "drop_reply" else answer

    def _guarded(self, act: Act) -> Act:
        async def endpoint(request: Request) -> Response:
            self.asked.append(f"{request.method} {request.url.path}")
            return await act(request)

        return endpoint

    async def _unknown(self, request: Request, error: Exception) -> Response:
        self.strange.append(f"{request.method} {request.url.path}")
        return self.no_such_route(request)

    def no_such_route(self, request: Request) -> Response:
        return JSONResponse({"message": "Not Found"}, 404)

    def refuse_call(self, request: Request, why: str) -> None:
        """Notes a call that the real system would not understand."""
        self.strange.append(f"{request.method} {request.url.path}: {why}")


def page_of(rows: list[T], number: int, size: int) -> list[T]:
    return rows[(number - 1) * size : number * size]
