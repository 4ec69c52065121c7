"""What every fake shares: how it is mounted, what it notes of its calls, how it is broken, what it sends to people."""

from __future__ import annotations

import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from keyback.demo.vendors.accounts import Account, Accounts, Session, SignIn
from keyback.demo.vendors.brands import Brand
from keyback.demo.vendors.faults import Broken, Faults
from keyback.demo.vendors.signin import SECOND, Attempt, SignInPages

KEPT_CALLS = 1000
Clock = Callable[[], int]
Deliver = Callable[[str, str, str], None]


def tried(at: int, status: str, seen: Mapping[str, str], kind: str = "Application", code: int = 0) -> SignIn:
    """A line of the sign-in history; `seen` as in `Vendor.attempt`, and may lack anything."""
    return SignIn(
        at,
        status,
        seen.get("source", "127.0.0.1"),
        kind,
        seen.get("browser", "Unknown"),
        seen.get("platform", "Unknown"),
        code=code,
    )


def wall_clock() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Call:
    """One call of the API: never with what was in it."""

    method: str
    path: str
    status: int


@dataclass(frozen=True, slots=True)
class Sent:
    """What the vendor itself sent to a person."""

    to: str
    subject: str
    text: str


class Vendor(ABC):
    """One vendor's cloud; an ASGI app.

    Args:
        clock: ms since 1970; for those who move it.
        state_file: JSON file that keeps the people over restarts; None keeps them in memory.
        recovery_url: where "Can't get in?" on the sign-in page leads; empty for no such link.
        deliver: takes what the vendor sends: address, subject, text. `sent` keeps it in any case.

    `accounts` may be read and changed at any time. `faults` breaks calls. `calls` has method, path and status of each.
    """

    brand: ClassVar[Brand]

    def __init__(
        self,
        *,
        clock: Clock = wall_clock,
        state_file: Path | None = None,
        recovery_url: str = "",
        deliver: Deliver | None = None,
    ) -> None:
        self.clock = clock
        self.accounts = Accounts(state_file)
        self.faults = Faults()
        self.calls: list[Call] = []
        self.sent: list[Sent] = []
        self._deliver = deliver
        self.pages = SignInPages(self, self.brand, recovery_url)
        self.routes = self.api()
        self._app = Starlette(
            routes=[*self.pages.routes(), *self.routes],
            exception_handlers={404: self.unknown, 405: self.unknown},
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path = str(scope["path"]).removeprefix(scope.get("root_path", ""))
        if self.pages.has(path):
            await self._app(scope, receive, send)
            return
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        fault = self.faults.take(scope["method"], path)
        app = Broken(self._app, fault, lambda s: self.throttled(s, path)) if fault else self._app
        try:
            await app(scope, receive, watched)
        finally:
            self.calls = [*self.calls, Call(scope["method"], path, status)][-KEPT_CALLS:]

    @property
    def injected(self) -> int:
        """How many calls a fault has hit."""
        return self.faults.injected

    @abstractmethod
    def api(self) -> Sequence[Route]:
        """The routes of the API, as the contract names them."""

    @abstractmethod
    async def unknown(self, request: Request, error: Exception) -> Response:
        """The answer to a path or method that there is not."""

    @abstractmethod
    def throttled(self, retry_after: int, path: str) -> Response:
        """The answer to too many requests for a path."""

    # ── signing in, as a person does ──

    @abstractmethod
    def find_login(self, typed: str) -> Account | None:
        """Whom somebody means who typed this as a user name."""

    @abstractmethod
    def attempt(self, account: Account, password: str, seen: Mapping[str, str]) -> Attempt:
        """One try with a password, written down and counted.

        Args:
            seen: `source`, `browser` and `platform` of the one who tries.
        """

    @abstractmethod
    def weak(self, account: Account, password: str) -> str:
        """Why this may not be a password of theirs, in the vendor's words, or empty."""

    def elsewhere(self, account: Account) -> str:
        """Who signs this person in, if not this vendor; shown in place of the question for a password."""
        return account.provider

    def second_step(self, account: Account, passed: bool, seen: Mapping[str, str]) -> None:  # noqa: B027 - most keep none
        """A second factor was given after the right password, which vendors write down in different ways."""

    # ── for the ones above ──

    def tell(self, to: str | None, subject: str, text: str) -> None:
        """Sends something to a person, who may have no address."""
        if to:
            self.sent.append(Sent(to, subject, text))
            if self._deliver:
                self._deliver(to, subject, text)

    def open_session(self, account: Account, *, kind: str = "UI", source: str = "127.0.0.1", parent: str = "") -> str:
        session = Session(self.session_id(), self.clock(), source, kind, parent)
        account.sessions.append(session)
        self.accounts.save()
        return session.id

    def session_id(self) -> str:
        return secrets.token_hex(12)

    def sign_in(self, username: str, password: str, code: str = "") -> str:
        """Signs in as on the page, in one step: `ok`, `factor` (a code is missing or wrong), `change`, or why not."""
        account = self.find_login(username)
        if account is None:
            return "unknown"
        if self.elsewhere(account):
            return "elsewhere"
        result = self.attempt(account, password, {})
        asked = any(f.kind in SECOND for f in account.factors) and not result.strong
        if result.outcome == "ok" and asked:
            passed = account.takes_code(code, self.clock())
            if code:
                self.second_step(account, passed, {})
            if not passed:
                return "factor"
        if result.outcome == "ok":
            self.open_session(account)
        return result.outcome

    def facts(self) -> Mapping[str, Any]:
        """Counts for a page about the demo."""
        return {"people": len(self.accounts), "calls": len(self.calls)}
