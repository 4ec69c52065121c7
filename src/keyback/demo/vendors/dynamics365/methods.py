"""Authentication methods of Graph: what a person has, temporary passes, and removing one."""

from __future__ import annotations

import secrets
import uuid

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from keyback.demo.vendors.accounts import Account, Factor
from keyback.demo.vendors.dynamics365 import shapes
from keyback.demo.vendors.dynamics365.desk import Desk, Endpoint
from keyback.demo.vendors.dynamics365.entra import RESETS_ADMINS
from keyback.demo.vendors.dynamics365.errors import bad_request, denied, graph_error, missing

EVERY = "UserAuthenticationMethod.ReadWrite.All"
READ = "UserAuthenticationMethod.Read.All"
SIGN_IN = ("userId", "userPrincipalName", "createdDateTime", "appId", "ipAddress")
MINUTE_MS = 60_000


def endpoints(desk: Desk) -> list[tuple[str, str, Endpoint]]:
    """Path, method and what answers."""
    own = Methods(desk)
    at = "/users/{id}/authentication"
    return [
        (f"{at}/methods", "GET", own.list_all),
        (f"{at}/methods/{shapes.PASSWORD_METHOD}/resetPassword", "POST", own.reset_password),
        (f"{at}/temporaryAccessPassMethods", "GET", own.list_passes),
        (f"{at}/temporaryAccessPassMethods", "POST", own.create_pass),
        *((f"{at}/{shapes.METHODS[kind][0]}/{{methodId}}", "DELETE", own.removal(kind)) for kind in shapes.METHODS),
    ]


class Methods:
    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def list_all(self, request: Request) -> Response:
        account, refused = self._account(request, READ, EVERY)
        if refused or account is None:
            return refused or denied()
        password = {"@odata.type": "#microsoft.graph.passwordAuthenticationMethod", "id": shapes.PASSWORD_METHOD}
        now = self._desk.clock()
        rows = [
            {"@odata.type": f"#microsoft.graph.{shapes.METHODS[f.kind][1]}", **shapes.method(f, now)}
            for f in account.factors
        ]
        return JSONResponse({"value": [password, *rows]})

    async def reset_password(self, request: Request) -> Response:
        """For a signed-in administrator alone; an application is refused whatever it has."""
        if not self._desk.cloud.methods:
            return missing("resetPassword")
        return graph_error(403, "accessDenied", "Request Authorization failed")

    async def list_passes(self, request: Request) -> Response:
        account, refused = self._account(request, shapes.METHODS["temporary_pass"][2], READ, EVERY)
        if refused or account is None:
            return refused or denied()
        now = self._desk.clock()
        passes = [shapes.method(f, now) for f in account.factors if f.kind == "temporary_pass"]
        return JSONResponse({"value": passes})

    async def create_pass(self, request: Request) -> Response:
        """A new one takes the place of the one before."""
        account, refused = self._account(request, shapes.METHODS["temporary_pass"][2], EVERY)
        if refused or account is None:
            return refused or denied()
        body, now = request.state.body, self._desk.clock()
        minutes, once = body.get("lifetimeInMinutes", 60), body.get("isUsableOnce", False)
        if not set(body) <= {"lifetimeInMinutes", "isUsableOnce", "startDateTime"} or not isinstance(once, bool):
            return bad_request("Invalid property in the request.", "badRequest")
        if not isinstance(minutes, int) or not 10 <= minutes <= 43200:
            return bad_request("lifetimeInMinutes must be between 10 and 43200.", "badRequest")
        if not self._desk.passes:
            return bad_request("Temporary Access Pass is not enabled for this user by policy.", "badRequest")
        text = secrets.token_urlsafe(6)
        new = Factor(str(uuid.uuid4()), "temporary_pass", now, "", text, now + minutes * MINUTE_MS, once)
        account.factors = [*(f for f in account.factors if f.kind != "temporary_pass"), new]
        self._desk.accounts.save()
        return JSONResponse(shapes.method(new, now, shown=text), 201)

    def removal(self, kind: str) -> Endpoint:
        async def remove(request: Request) -> Response:
            account, refused = self._account(request, shapes.METHODS[kind][2], EVERY)
            if refused or account is None:
                return refused or denied()
            id = request.path_params["methodId"]
            left = [f for f in account.factors if f.id != id or f.kind != kind]
            if len(left) == len(account.factors):
                return graph_error(404, "resourceNotFound", "Authentication method not found.")
            account.factors = left
            self._desk.accounts.save()
            return Response(status_code=204)

        return remove

    def _account(self, request: Request, *permissions: str) -> tuple[Account | None, Response | None]:
        account = self._desk.target(request)
        if not self._desk.cloud.methods:
            return None, missing("authentication")
        if not self._desk.may(request, *permissions):
            return None, graph_error(403, "accessDenied", "Request Authorization failed")
        if account is None:
            return None, missing(request.path_params["id"])
        changes = request.method != "GET"
        if changes and account.privileged and not self._desk.roles.of(request.state.app.principal) & RESETS_ADMINS:
            return None, graph_error(403, "accessDenied", "Request Authorization failed")
        return account, None
