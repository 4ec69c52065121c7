"""Salesforce as account recovery sees it: tokens, queries, passwords, UserLogin, sessions, factors, grants, limits."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keyback.demo.vendors.accounts import KEPT_SIGN_INS, Account, Session
from keyback.demo.vendors.brands import Brand
from keyback.demo.vendors.passwords import N_, Rules
from keyback.demo.vendors.salesforce import objects, soql
from keyback.demo.vendors.salesforce.tokens import ClientApp, Denied, Tokens
from keyback.demo.vendors.signin import NO_MATCH, Attempt
from keyback.demo.vendors.vendor import Clock, Deliver, Vendor, tried, wall_clock

VERSIONS = range(31, 68)
RETIRED = range(7, 31)
LOCK_AFTER = 10
PERMISSIONS = frozenset(
    {"ApiEnabled", "ViewAllUsers", "ManageUsers", "ManageMfaInApi", "CustomizeApplication", "MonitorLoginHistory"}
)
TEXTS = {
    "short": "Your password must be at least 8 characters long.",
    "long": "Your password is too long.",
    "mix": "Your password must have a mix of letters and numbers.",
    "name": "Your password cannot equal or contain your user name.",
    "easy": "Your password cannot be easy to guess. Please choose a different one.",
    "repeated": "invalid repeated password",
    "young": "You cannot change your password more than once in 24 hours.",
}
PAGE_TEXTS = {
    "short": N_("Your password must have at least 8 characters."),
    "long": N_("This password is too long."),
    "mix": N_("Use letters and numbers in your password."),
    "name": N_("Your password can’t contain your username."),
    "easy": N_("This password is too easy to guess. Choose another one."),
    "repeated": N_("You used this password before. Choose a new one."),
    "young": N_("This password was changed less than a day ago. Try again tomorrow."),
}
BRAND = Brand(
    "salesforce", "Cirrus Sales", "Salesforce", "/login", True, N_("Username"), N_("Every customer, one clear sky.")
)
Endpoint = Callable[[Request], Awaitable[Response]]


class Salesforce(Vendor):
    """The fake.

    Args:
        sandbox: what Organization says, and which audience assertions need.

    `apps` are the External Client Apps by consumer key, `permissions` what the user has that they run as (each one
    missing has Salesforce's own error), `rules` the password policy, `daily_limit` the calls of a day. With `my_domain`
    False it answers as login.salesforce.com does. `grants_by_delete_token` says whether revoking takes the DeleteToken
    of an OauthToken, which is not verified of the real one.
    """

    brand = BRAND

    def __init__(
        self,
        *,
        clock: Clock = wall_clock,
        state_file: Path | None = None,
        recovery_url: str = "",
        deliver: Deliver | None = None,
        sandbox: bool = False,
    ) -> None:
        self.sandbox, self.my_domain = sandbox, True
        self.permissions = set(PERMISSIONS)
        self.rules = Rules(min_length=8, classes=2, letters=True, history=3)
        self.apps: dict[str, ClientApp] = {}
        self.daily_limit, self.used = 100_000, 0
        self.grants_by_delete_token = True
        self.lock_after = LOCK_AFTER
        super().__init__(clock=clock, state_file=state_file, recovery_url=recovery_url, deliver=deliver)
        self.tokens = Tokens(self.accounts, self.apps, sandbox)

    def expire_tokens(self) -> None:
        self.tokens.expire()

    # ── routes ──

    def api(self) -> Sequence[Route]:
        at = "/services/data/{v}"
        own: list[tuple[str, str, Endpoint]] = [
            (f"{at}/query", "GET", self._query),
            (f"{at}/limits", "GET", self._limits),
            (f"{at}/sobjects/User/{{userId}}/password", "GET", self._expired),
            (f"{at}/sobjects/User/{{userId}}/password", "POST", self._set),
            (f"{at}/sobjects/User/{{userId}}/password", "DELETE", self._reset),
            (f"{at}/sobjects/UserLogin/{{id}}", "PATCH", self._unlock),
            (f"{at}/sobjects/AuthSession/{{id}}", "DELETE", self._end_session),
            (f"{at}/sobjects/TwoFactorInfo/{{id}}", "DELETE", self._remove_factor),
            (f"{at}/composite/sobjects", "DELETE", self._remove_many),
        ]
        return [
            Route("/services/oauth2/token", self._token, methods=["POST"]),
            Route("/services/oauth2/revoke", self._revoke, methods=["POST"]),
            Route("/services/data", self._versions, methods=["GET"]),
            *(Route(path, self._guarded(act), methods=[method]) for path, method, act in own),
        ]

    async def unknown(self, request: Request, error: Exception) -> Response:
        if getattr(error, "status_code", 404) == 405:
            return _error(405, "METHOD_NOT_ALLOWED", f"HTTP Method '{request.method}' not allowed.")
        return _error(404, "NOT_FOUND", "The requested resource does not exist")

    def throttled(self, retry_after: int, path: str) -> Response:
        return _error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")

    def _guarded(self, act: Endpoint) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            version = re.fullmatch(r"v(\d\d)\.0", request.path_params["v"])
            if version and int(version[1]) in RETIRED:
                return _error(410, "GONE", f"API version {version[1]}.0 has been retired.")
            if not version or int(version[1]) not in VERSIONS:
                return _error(404, "NOT_FOUND", "The requested resource does not exist")
            kind, _, token = request.headers.get("authorization", "").partition(" ")
            user = self.tokens.user_of(token, self.clock()) if kind in ("Bearer", "OAuth") else None
            if user is None or not user.active or user.frozen:
                return _error(401, "INVALID_SESSION_ID", "Session expired or invalid")
            if "ApiEnabled" not in self.permissions:
                return _error(403, "API_CURRENTLY_DISABLED", "API is disabled for this User")
            if self.used >= self.daily_limit:
                return _error(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
            self.used += 1
            request.state.user = user
            response = await act(request)
            response.headers["sforce-limit-info"] = f"api-usage={self.used}/{self.daily_limit}"
            return response

        return endpoint

    # ── tokens ──

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
        try:
            token, user = self.tokens.give(form, self.clock(), my_domain=self.my_domain)
        except Denied as e:
            return JSONResponse({"error": e.error, "error_description": e.description}, 400)
        base = str(request.base_url).rstrip("/")
        answer = {
            "access_token": token,
            "scope": "api",
            "instance_url": base,
            "id": f"{base}/id/{objects.record_id('00D', 1)}/{user.id}",
            "token_type": "Bearer",
        }
        if form["grant_type"] == "client_credentials":
            answer |= {"issued_at": str(self.clock()), "signature": secrets.token_urlsafe(24)}
        return JSONResponse(answer)

    async def _revoke(self, request: Request) -> Response:
        token = dict(parse_qsl((await request.body()).decode("utf-8", "replace"))).get("token", "")
        if self.tokens.revoke(token):
            return Response(status_code=200)
        for a in self.accounts:
            left = [g for g in a.grants if g.token != token]
            if self.grants_by_delete_token and len(left) < len(a.grants):
                a.grants = left
                self.accounts.save()
                return Response(status_code=200)
        return JSONResponse({"error": "invalid_token", "error_description": "token not found"}, 400)

    # ── reading ──

    async def _versions(self, request: Request) -> Response:
        return JSONResponse(
            [{"label": f"Release {n}", "url": f"/services/data/v{n}.0", "version": f"{n}.0"} for n in VERSIONS]
        )

    async def _limits(self, request: Request) -> Response:
        left = self.daily_limit - self.used
        return JSONResponse({"DailyApiRequests": {"Max": self.daily_limit, "Remaining": left}})

    async def _query(self, request: Request) -> Response:
        try:
            query = soql.parse(request.query_params.get("q", ""), objects.TABLES)
            name = query.table.name
            if name in objects.NEEDS and not objects.NEEDS[name] & self.permissions:
                raise soql.BadQuery("INVALID_TYPE", f"sObject type '{name}' is not supported.")
            found = query.run(objects.rows(name, self._visible(name, request.state.user), self.sandbox))
        except soql.BadQuery as e:
            return _error(400, e.code, e.message)
        return JSONResponse({"totalSize": len(found), "done": True, "records": found})

    def _visible(self, name: str, me: Account) -> Iterable[Account]:
        """Whose rows are shown: without the permission, one's own."""
        needed = "ManageUsers" if name == "AuthSession" else "ViewAllUsers"
        return self.accounts if needed in self.permissions else [me]

    # ── passwords ──

    async def _expired(self, request: Request) -> Response:
        account, refused = self._target(request)
        return refused or JSONResponse({"isExpired": bool(account and account.must_change)})

    async def _set(self, request: Request) -> Response:
        account, refused = self._target(request)
        body = await _body(request)
        if refused or account is None:
            return refused or _missing()
        if body is None or set(body) != {"NewPassword"} or not isinstance(body["NewPassword"], str):
            return _error(400, "JSON_PARSER_ERROR", "The request needs the field NewPassword and no other.")
        broken = self.rules.broken(account, body["NewPassword"], self.clock())
        if broken:
            return _error(400, "INVALID_NEW_PASSWORD", TEXTS[broken])
        account.set_password(body["NewPassword"], self.clock())
        self.accounts.save()
        return Response(status_code=204)

    async def _reset(self, request: Request) -> Response:
        """A password of Salesforce's own; resetting unlocks, setting does not."""
        account, refused = self._target(request)
        if refused or account is None:
            return refused or _missing()
        password = f"{secrets.token_hex(4)}Xq7"
        account.set_password(password, self.clock(), must_change=True)
        account.locked, account.failures, account.locked_until = False, 0, 0
        self.accounts.save()
        self.tell(
            account.mail, f"{BRAND.name}: password reset", f"Your username is {account.username}. Finish the reset."
        )
        return JSONResponse({"NewPassword": password})

    def _target(self, request: Request) -> tuple[Account | None, Response | None]:
        account = self._by_id(request.path_params["userId"])
        if account is None or not ({"ViewAllUsers"} & self.permissions or account is request.state.user):
            return None, _missing()
        if not {"ManageUsers", "ResetPasswords"} & self.permissions or not account.active:
            return None, _error(403, "INSUFFICIENT_ACCESS", "You do not have permission to view this record.")
        return account, None

    def _by_id(self, id: str) -> Account | None:
        if not re.fullmatch(r"005[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?", id):
            return None
        return self.accounts.get(objects.full_id(id[:15]))

    # ── locks, sessions, factors ──

    async def _unlock(self, request: Request) -> Response:
        body = await _body(request)
        login = request.path_params["id"]
        account = self.accounts.first(lambda a: a.id[3:15] == login[3:15] and login.startswith("0Yw"))
        if "ManageUsers" not in self.permissions:
            return _error(403, "INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id")
        if account is None:
            return _missing()
        if not body or not set(body) <= {"IsFrozen", "IsPasswordLocked"}:
            return _error(400, "INVALID_FIELD", f"No such column on entity 'UserLogin': {', '.join(body or {})}")
        if body.get("IsPasswordLocked") is True:
            return _error(400, "INVALID_FIELD_FOR_INSERT_UPDATE", "Unable to create/update fields: IsPasswordLocked.")
        if "IsPasswordLocked" in body:
            account.locked, account.failures, account.locked_until = False, 0, 0
        account.frozen = bool(body.get("IsFrozen", account.frozen))
        self.accounts.save()
        return Response(status_code=204)

    async def _end_session(self, request: Request) -> Response:
        return self._removed("AuthSession", request.path_params["id"])

    async def _remove_factor(self, request: Request) -> Response:
        return self._removed("TwoFactorInfo", request.path_params["id"])

    def _removed(self, name: str, id: str) -> Response:
        code, message = self._remove(name, id)
        if not code:
            return Response(status_code=204)
        return _missing() if code == "NOT_FOUND" else _error(403, code, message)

    async def _remove_many(self, request: Request) -> Response:
        """Up to 200 at once; `allOrNone` is not offered, since sessions and factors do not roll back."""
        ids = [i for i in request.query_params.get("ids", "").split(",") if i]
        if not ids or len(ids) > 200 or request.query_params.get("allOrNone", "false") != "false":
            return _error(400, "REQUIRED_FIELD_MISSING", "ids: 1 to 200; allOrNone: false")
        out = []
        for id in ids:
            code, message = self._remove("TwoFactorInfo" if id.startswith("0Yp") else "AuthSession", id)
            errors = [{"statusCode": code, "message": message, "fields": []}] if code else []
            out.append({"id": id, "success": not code, "errors": errors})
        return JSONResponse(out)

    def _remove(self, name: str, id: str) -> tuple[str, str]:
        needed = "ManageUsers" if name == "AuthSession" else "ManageMfaInApi"
        if needed not in self.permissions:
            return "INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id"
        for a in self.accounts:
            sessions = [s for s in a.sessions if id not in (s.id, s.parent)]
            factors = [f for f in a.factors if f.id != id or f.kind != "totp"]
            if name == "AuthSession" and len(sessions) < len(a.sessions):
                a.sessions = sessions
            elif name == "TwoFactorInfo" and len(factors) < len(a.factors):
                a.factors = factors
                self.tell(
                    a.mail, f"{BRAND.name}: verification method removed", "An authenticator app was disconnected."
                )
            else:
                continue
            self.accounts.save()
            return "", ""
        return "NOT_FOUND", "The requested resource does not exist"

    # ── people who sign in ──

    def session_id(self) -> str:
        return objects.full_id(f"0Ak{secrets.token_hex(6)}")

    def open_session(self, account: Account, *, kind: str = "UI", source: str = "127.0.0.1", parent: str = "") -> str:
        """A session of a browser has a second one that hangs on it."""
        id = super().open_session(account, kind=kind, source=source, parent=parent)
        account.sessions.append(Session(self.session_id(), self.clock(), source, "Content", id))
        self.accounts.save()
        return id

    def find_login(self, typed: str) -> Account | None:
        return self.accounts.named(typed)

    def weak(self, account: Account, password: str) -> str:
        broken = self.rules.broken(account, password, self.clock())
        return PAGE_TEXTS[broken] if broken else ""

    def attempt(self, account: Account, password: str, seen: Mapping[str, str]) -> Attempt:
        """Salesforce tells everybody the same; its sign-in history has the cause."""
        right = account.has_password(password)
        outcome, status = self._judge(account, right)
        account.note(tried(self.clock(), status, seen))
        if outcome == "wrong":
            account.failures += 1
            account.locked = account.locked or account.failures >= self.lock_after
        elif outcome in ("ok", "change"):
            account.failures = 0
        self.accounts.save()
        return Attempt(outcome, "" if outcome in ("ok", "change") else NO_MATCH)

    def second_step(self, account: Account, passed: bool, seen: Mapping[str, str]) -> None:
        kept = [*account.extra.get("verifications", ()), [self.clock(), passed]]
        account.extra["verifications"] = kept[-KEPT_SIGN_INS:]
        self.accounts.save()

    def _judge(self, account: Account, right: bool) -> tuple[Any, str]:
        if not account.active:
            return "inactive", "User is Inactive"
        if account.frozen:
            return "frozen", "User is Frozen"
        if account.locked:
            return "locked", "Password Lockout"
        if account.provider:
            return "elsewhere", "Invalid Login - Single Sign-On Required"
        if not right:
            return "wrong", "Invalid Password"
        return ("change" if account.must_change else "ok"), "Success"


async def _body(request: Request) -> dict[str, Any] | None:
    try:
        return dict(json.loads(await request.body()))
    except (ValueError, TypeError):
        return None


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse([{"message": message, "errorCode": code}], status)


def _missing() -> Response:
    return _error(404, "NOT_FOUND", "The requested resource does not exist")
