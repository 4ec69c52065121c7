"""What the parts of the API ask of the fake."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response

from keyback.demo.vendors.accounts import Account, Accounts
from keyback.demo.vendors.dynamics365.entra import Cloud, Roles

Endpoint = Callable[[Request], Awaitable[Response]]


class Desk(Protocol):
    """See `app.Dynamics365`."""

    accounts: Accounts
    cloud: Cloud
    roles: Roles
    passes: bool
    clock: Callable[[], int]

    def may(self, request: Request, *permissions: str) -> bool: ...
    def target(self, request: Request) -> Account | None: ...
