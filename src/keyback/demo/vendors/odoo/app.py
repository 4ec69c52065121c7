"""Odoo as account recovery sees it: JSON-2 (19 and later), JSON-RPC, and the sign-in that a browser makes."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from keyback.demo.vendors.accounts import Account
from keyback.demo.vendors.brands import Brand
from keyback.demo.vendors.odoo.records import ARGUMENTS, ON_RECORDS, OdooError, access_denied, call
from keyback.demo.vendors.passwords import N_
from keyback.demo.vendors.signin import Attempt
from keyback.demo.vendors.vendor import Clock, Deliver, Vendor, tried, wall_clock

DATABASE = "qingyu"
COOL_AFTER, COOL_MS = 5, 60_000
WRONG = N_("Wrong login/password")
BRAND = Brand(
    "odoo", "Orchard ERP", "Odoo", "/web/login", False, N_("Email"), N_("Every part of the business, in one place.")
)
Body = dict[str, Any]


class Odoo(Vendor):
    """The fake of one server with one database.

    Args:
        version: major version; JSON-2 is there from 19, JSON-RPC until 21.
        min_length: of passwords, as the module `auth_password_policy` sets it; None without that module.
        hr: whether the module for employees is, who have `extra["work_mobile"]`.
        oauth, ldap: whether the modules `auth_oauth` and `auth_ldap` are installed. Who has `provider` signs in there;
            `extra["ldap"]` is a password that the directory takes.

    `keys` holds API keys with the id of the user whose they are. `companies` is how many the database has; a user
    with `extra["companies"]` sees only so many.
    """

    brand = BRAND

    def __init__(
        self,
        *,
        version: int = 19,
        min_length: int | None = 8,
        oauth: bool = False,
        ldap: bool = False,
        hr: bool = False,
        clock: Clock = wall_clock,
        state_file: Path | None = None,
        recovery_url: str = "",
        deliver: Deliver | None = None,
    ) -> None:
        self.version, self.min_length, self.oauth, self.ldap = version, min_length, oauth, ldap
        self.hr = hr
        self.companies = 1
        self.keys: dict[str, str] = {}
        self._failures: dict[str, tuple[int, int]] = {}
        super().__init__(clock=clock, state_file=state_file, recovery_url=recovery_url, deliver=deliver)

    def new_key(self, account: Account) -> str:
        """An API key of theirs, as made under Account Security."""
        key = secrets.token_hex(20)
        self.keys[key] = account.id
        return key

    # ── routes ──

    def api(self) -> Sequence[Route]:
        routes = [Route(f"/web/session/{n}", self._session(n), methods=["POST"]) for n in ("authenticate", "destroy")]
        routes.append(Route("/web/session/get_session_info", self._session("info"), methods=["POST"]))
        if self.version >= 19:
            routes.append(Route("/json/2/{model}/{method}", self._json2, methods=["POST"]))
        if self.version < 22:
            routes.append(Route("/jsonrpc", self._rpc, methods=["POST"]))
        return routes

    async def unknown(self, request: Request, error: Exception) -> Response:
        return HTMLResponse("<!doctype html><title>404 Not Found</title>", 404)

    def throttled(self, retry_after: int, path: str) -> Response:
        return HTMLResponse("<title>429</title>", 429, {"Retry-After": str(retry_after)})

    async def _json2(self, request: Request) -> Response:
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        caller = self.accounts.get(self.keys.get(key, ""))
        try:
            if request.headers.get("x-odoo-database", DATABASE) != DATABASE:
                return await self.unknown(request, Exception())
            if scheme.casefold() != "bearer" or caller is None or not caller.active:
                raise OdooError("werkzeug.exceptions.Unauthorized", "Invalid apikey", 401)
            body = await _body(request)
            ids = body.pop("ids", ())
            path = request.path_params
            return JSONResponse(call(self, caller, path["model"], path["method"], ids, body))
        except OdooError as e:
            return JSONResponse(_raised(e), e.status)

    async def _rpc(self, request: Request) -> Response:
        body = await _body(request)
        params = body.get("params", {})
        service, method, args = params.get("service"), params.get("method"), params.get("args", [])
        try:
            if (service, method) == ("common", "version"):
                return _result(body, {"server_serie": f"{self.version}.0", "protocol_version": 1})
            if (service, method) == ("common", "authenticate"):
                caller = self._allowed(args[0], self.find_login(str(args[1])), str(args[2]), _source(request))
                return _result(body, int(caller.id) if caller else False)
            if (service, method) != ("object", "execute_kw"):
                raise OdooError("builtins.NameError", "Method not available", 500)
            database, uid, password, model, name, positional = args[:6]
            caller = self._allowed(database, self.accounts.get(str(uid)), str(password), _source(request))
            if caller is None:
                raise access_denied()
            ids: Sequence[int] = ()
            if name in ON_RECORDS:
                ids, positional = positional[0], positional[1:]
            given = {**dict(zip(ARGUMENTS.get(name, ()), positional, strict=False)), **(args[6] if args[6:] else {})}
            return _result(body, call(self, caller, model, name, ids, given))
        except OdooError as e:
            if e.name == "werkzeug.exceptions.NotFound":  # the method is looked up on the object
                e.name = "builtins.AttributeError"
            return self._error(body, e)

    def _allowed(self, database: str, account: Account | None, secret: str, source: str) -> Account | None:
        """Whom a call by RPC is made as: API keys, and passwords of people without a second factor."""
        if database != DATABASE:
            text = f'connection to server failed: FATAL:  database "{database}" does not exist'
            raise OdooError("psycopg2.OperationalError", text, 500)
        if account and account.active and self.keys.get(secret) == account.id:
            return account
        self._cooling(source)
        if account and account.active and not account.factors and secret and account.has_password(secret):
            self._failures.pop(source, None)
            return account
        self._failed(source)
        return None

    # ── a browser's session ──

    def _session(self, what: str) -> Any:
        async def endpoint(request: Request) -> Response:
            body = await _body(request)
            try:
                if what == "authenticate":
                    return self._authenticate(body, request)
                account, sid = self._signed_in(request)
                if what == "destroy":
                    account.sessions = [s for s in account.sessions if s.id != sid]
                    self.accounts.save()
                    return _result(body, None)
                return _result(body, {"uid": int(account.id), "username": account.username})
            except OdooError as e:
                return self._error(body, e)

        return endpoint

    def _authenticate(self, body: Body, request: Request) -> Response:
        params, source = body.get("params", {}), _source(request)
        if params.get("db") != DATABASE:
            raise OdooError("odoo.exceptions.AccessError", "Database not found.", 403)
        self._cooling(source)
        account = self.find_login(str(params.get("login", "")))
        if (
            account is None
            or self.attempt(account, str(params.get("password", "")), {"source": source}).outcome != "ok"
        ):
            self._failed(source)
            raise access_denied()
        self._failures.pop(source, None)
        if account.factors:  # the page would ask for a code now, and this call cannot
            return _result(body, {"uid": None})
        sid = self.open_session(account, source=source)
        answer = _result(body, {"uid": int(account.id), "username": account.username, "db": DATABASE})
        answer.set_cookie("session_id", sid, httponly=True)
        return answer

    def _signed_in(self, request: Request) -> tuple[Account, str]:
        sid = request.cookies.get("session_id", "")
        account = self.accounts.first(lambda a: any(s.id == sid for s in a.sessions))
        if not sid or account is None:
            raise OdooError("odoo.http.SessionExpiredException", "Session expired", 403)
        return account, sid

    def _cooling(self, source: str) -> None:
        """After so many failures in a row an address is kept out for a while, whatever it sends."""
        failures, at = self._failures.get(source, (0, 0))
        if failures >= COOL_AFTER and self.clock() - at < COOL_MS:
            raise access_denied("Too many login failures, please wait a bit before trying again.")

    def _failed(self, source: str) -> None:
        self._failures[source] = (self._failures.get(source, (0, 0))[0] + 1, self.clock())

    def _error(self, body: Body, e: OdooError) -> Response:
        code, message = 200 if self.version < 19 else 0, "Odoo Server Error"
        if e.name.endswith("SessionExpiredException"):
            code, message = 100, "Odoo Session Expired"
        error = {"code": code, "message": message, "data": _raised(e)}
        return JSONResponse({"jsonrpc": "2.0", "id": body.get("id"), "error": error})

    # ── people who sign in ──

    def find_login(self, typed: str) -> Account | None:
        return self.accounts.first(lambda a: bool(typed) and a.username == typed)

    def elsewhere(self, account: Account) -> str:
        return ""  # the page offers the provider beside the form, and a local password works too

    def weak(self, account: Account, password: str) -> str:
        return N_("Choose a longer password.") if len(password) < (self.min_length or 1) else ""

    def attempt(self, account: Account, password: str, seen: Mapping[str, str]) -> Attempt:
        right = account.has_password(password) or (self.ldap and account.extra.get("ldap") == password)
        right = right and bool(password)
        result = Attempt("ok") if right and account.active else Attempt("wrong", WRONG)
        account.note(tried(self.clock(), "Success" if result.outcome == "ok" else "Failed", seen))
        self.accounts.save()
        return result


def _raised(e: OdooError) -> Body:
    trace = f"Traceback (most recent call last):\n{e.name}: {e.message}\n"
    return {"name": e.name, "message": e.message, "arguments": [e.message], "context": {}, "debug": trace}


def _result(body: Body, result: Any) -> Response:
    answer = {"jsonrpc": "2.0", "id": body.get("id")}
    return JSONResponse(answer if result is None else {**answer, "result": result})


def _source(request: Request) -> str:
    return request.client.host if request.client else ""


async def _body(request: Request) -> Body:
    try:
        return dict(json.loads(await request.body()))
    except (ValueError, TypeError):
        return {}
