"""Zoho as account recovery sees it: refresh tokens, users of CRM v8, passwords by the Zoho Mail organization API."""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keyback.demo.vendors.accounts import Account
from keyback.demo.vendors.brands import Brand
from keyback.demo.vendors.passwords import N_, Rules
from keyback.demo.vendors.signin import Attempt
from keyback.demo.vendors.vendor import Clock, Deliver, Vendor, tried, wall_clock

ZOID = "8002"
LIVES_MS, TOKENS_MS, TOKENS = 3_600_000, 600_000, 10
LOCK_AFTER = 5
SCOPES = frozenset(
    {"ZohoCRM.users.READ", "ZohoCRM.users.UPDATE", "ZohoMail.organization.accounts.READ",
     "ZohoMail.organization.accounts.UPDATE"}
)  # fmt: skip
USER = ("id", "email", "full_name", "status", "confirm", "mobile", "zuid", "personal_account", "role", "profile")
TYPES: Mapping[str, Callable[[Account], bool]] = {
    "AllUsers": lambda a: not a.extra.get("deleted"),
    "ActiveUsers": lambda a: a.active,
    "DeactiveUsers": lambda a: not a.active,
    "ConfirmedUsers": lambda a: _confirmed(a),
    "NotConfirmedUsers": lambda a: not _confirmed(a),
    "DeletedUsers": lambda a: bool(a.extra.get("deleted")),
    "ActiveConfirmedUsers": lambda a: a.active and _confirmed(a),
    "AdminUsers": lambda a: a.privileged,
    "ActiveConfirmedAdmins": lambda a: a.active and _confirmed(a) and a.privileged,
    "CurrentUser": lambda a: bool(a.extra.get("me")),
}
Scheme = Literal["password", "one_time"]
WRONG = N_("That password isn’t right. Try again, or choose “Forgot your password?”.")
GONE = N_("This account is inactive. Contact your administrator.")
LOCKED = N_("Too many attempts. Your account is locked for a while, but you can set a new password.")
TEXT = N_("Choose a password of at least 8 characters with upper and lower case letters, digits and symbols.")
BRAND = Brand(
    "zoho",
    "Zephyra CRM",
    "Zoho CRM",
    "/signin",
    True,
    N_("Email or phone number"),
    N_("Light work, for everyone."),
    True,
)
Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(slots=True)
class ZohoClient:
    """A client of the API console. `refresh` are its refresh tokens with their scopes."""

    id: str
    secret: str
    refresh: dict[str, set[str]] = field(default_factory=dict)


class Zoho(Vendor):
    """The fake.

    `clients` are by client id. `mail` says whether the organization has Zoho Mail; `scheme` what it makes of a password
    that is set there: `password` it is one, `one_time` it has to be changed at the next sign-in whatever is asked for
    (the documents disagree). `credits` are the calls of a day that are left. Administrators cannot set passwords of the
    owner, of unverified domains (`verified`) and of personal accounts.
    """

    brand = BRAND
    zoid = ZOID

    def __init__(
        self,
        *,
        clock: Clock = wall_clock,
        state_file: Path | None = None,
        recovery_url: str = "",
        deliver: Deliver | None = None,
    ) -> None:
        self.rules = Rules(min_length=8, classes=4, history=1)
        self.clients: dict[str, ZohoClient] = {}
        self.mail, self.scheme, self.credits = True, "password", 50_000
        self.verified = {"qingyu.example.com"}
        self._tokens: dict[str, tuple[set[str], int]] = {}
        self._asked: dict[str, list[int]] = {}
        super().__init__(clock=clock, state_file=state_file, recovery_url=recovery_url, deliver=deliver)

    def expire_tokens(self) -> None:
        self._tokens.clear()

    # ── routes ──

    def api(self) -> Sequence[Route]:
        org = "/api/organization/{zoid}/accounts"
        own: list[tuple[str, str, str, Endpoint]] = [
            ("/crm/v8/users", "GET", "ZohoCRM.users.READ", self._list),
            ("/crm/v8/users/{id}", "GET", "ZohoCRM.users.READ", self._one),
            ("/crm/v8/users/{id}", "PUT", "ZohoCRM.users.UPDATE", self._status),
            (org, "GET", "ZohoMail.organization.accounts.READ", self._mail_accounts),
            (f"{org}/{{zuid}}", "PUT", "ZohoMail.organization.accounts.UPDATE", self._reset),
        ]
        return [
            Route("/oauth/v2/token", self._token, methods=["POST"]),
            *(Route(path, self._guarded(act, scope), methods=[m]) for path, m, scope, act in own),
        ]

    async def unknown(self, request: Request, error: Exception) -> Response:
        return _error(404, "INVALID_URL_PATTERN", "Please check if the URL trying to access is a correct one")

    def throttled(self, retry_after: int, path: str) -> Response:
        if path.startswith("/oauth/"):
            text = "You have made too many requests continuously. Please try again after some time."
            return JSONResponse({"error": "Access Denied", "error_description": text}, 400)
        return _error(429, "TOO_MANY_REQUESTS", "too many requests")

    def _guarded(self, act: Endpoint, scope: str) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            kind, _, token = request.headers.get("authorization", "").partition(" ")
            scopes, until = self._tokens.get(token, (set(), 0))
            if kind != "Zoho-oauthtoken" or self.clock() >= until:
                return _error(401, "INVALID_TOKEN", "invalid oauth token")
            every = scope.rpartition(".")[0] + ".ALL"
            if not {scope, every} & scopes:
                return _error(401, "OAUTH_SCOPE_MISMATCH", "invalid oauth scope to access this URL")
            if self.credits <= 0:
                return self.throttled(0, request.url.path)
            self.credits -= 1
            return await act(request)

        return endpoint

    async def _token(self, request: Request) -> Response:
        """Answers 200 to most that is wrong, as Zoho does."""
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
        client = self.clients.get(form.get("client_id", ""))
        given = form.get("client_secret", "")
        if client is None:
            return JSONResponse({"error": "invalid_client"})
        if not secrets.compare_digest(client.secret.encode(), given.encode()):
            return JSONResponse({"error": "invalid_client_secret"})
        if form.get("grant_type") != "refresh_token":
            return JSONResponse({"error": "unsupported_grant_type"})
        refresh, now = form.get("refresh_token", ""), self.clock()
        if refresh not in client.refresh:
            return JSONResponse({"error": "invalid_code"})
        self._asked[refresh] = [t for t in self._asked.get(refresh, ()) if now - t < TOKENS_MS] + [now]
        if len(self._asked[refresh]) > TOKENS:
            return self.throttled(0, "/oauth/v2/token")
        token = f"1000.{secrets.token_hex(16)}.{secrets.token_hex(16)}"
        self._tokens[token] = (client.refresh[refresh], now + LIVES_MS)
        return JSONResponse(
            {
                "access_token": token,
                "scope": " ".join(sorted(client.refresh[refresh])),
                "api_domain": str(request.base_url).rstrip("/"),
                "token_type": "Bearer",
                "expires_in": 3600,
            }
        )

    # ── CRM ──

    async def _list(self, request: Request) -> Response:
        q = request.query_params
        kind, page, size = q.get("type", "AllUsers"), int(q.get("page", "1")), int(q.get("per_page", "200"))
        if kind not in TYPES or page < 1 or not 1 <= size <= 200:
            return _error(400, "INVALID_DATA", "the given parameter is not valid")
        ids = set(q["ids"].split(",")) if "ids" in q else None
        since = request.headers.get("if-modified-since")
        after = int(datetime.fromisoformat(since).timestamp() * 1000) if since else 0
        found = [a for a in self.accounts if TYPES[kind](a) and (ids is None or a.id in ids)]
        found = [a for a in found if not since or int(a.extra.get("modified_at", 0)) >= after]
        part = found[(page - 1) * size : page * size]
        if not part:
            return Response(status_code=304 if since else 204)
        more = len(found) > page * size
        info = {"per_page": size, "count": len(part), "page": page, "more_records": more}
        return JSONResponse({"users": [user(a) for a in part], "info": info})

    async def _one(self, request: Request) -> Response:
        account = self.accounts.get(request.path_params["id"])
        return JSONResponse({"users": [user(account)]}) if account else Response(status_code=204)

    async def _status(self, request: Request) -> Response:
        account, body = self.accounts.get(request.path_params["id"]), await _body(request)
        rows = body.get("users")
        if not isinstance(rows, list) or len(rows) != 1 or not isinstance(rows[0], dict):
            return _error(400, "MANDATORY_NOT_FOUND", "required field not found")
        if account is None or rows[0].get("status") not in ("active", "inactive") or set(rows[0]) - {"id", "status"}:
            return _error(400, "INVALID_DATA", "the given data is not valid")
        if account.extra.get("owner"):
            return _error(403, "NO_PERMISSION", "permission denied")
        account.active = rows[0]["status"] == "active"
        self.accounts.save()
        done = {"code": "SUCCESS", "details": {"id": account.id}, "message": "User updated", "status": "success"}
        return JSONResponse({"users": [done]})

    # ── Mail ──

    async def _mail_accounts(self, request: Request) -> Response:
        if not self.mail or request.path_params["zoid"] != ZOID:
            return _mail_error(404, "Invalid Input", "INVALID_ORGANIZATION")
        start, limit = int(request.query_params.get("start", "1")), int(request.query_params.get("limit", "200"))
        rows = [
            {
                "zuid": int(a.extra["zuid"]),
                "accountId": a.extra["mail_id"],
                "primaryEmailAddress": a.mail,
                "role": "super_admin" if a.extra.get("owner") else "admin" if a.privileged else "member",
                "status": a.active,
            }
            for a in self.accounts
            if a.mail and not a.extra.get("personal")
        ]
        return JSONResponse({"status": _SUCCESS, "data": rows[start - 1 : start - 1 + limit]})

    async def _reset(self, request: Request) -> Response:
        account = self.accounts.first(lambda a: str(a.extra.get("zuid")) == request.path_params["zuid"])
        body = await _body(request)
        if not self.mail or request.path_params["zoid"] != ZOID:
            return _mail_error(404, "Invalid Input", "INVALID_ORGANIZATION")
        known = {"mode", "password", "zuid", "resetAuthtoken", "oneTimePassword"}
        if body.get("mode") != "resetPassword" or not isinstance(body.get("password"), str) or set(body) - known:
            return _mail_error(400, "Invalid Input", "INVALID_INPUT")
        if account is None:
            return _mail_error(404, "Invalid Input", "ACCOUNT_NOT_EXIST")
        domain = (account.mail or "").rpartition("@")[2]
        if account.extra.get("owner") or account.extra.get("personal") or domain not in self.verified:
            return _mail_error(403, "Access Denied", "OPERATION_NOT_PERMITTED")
        if self.rules.broken(account, body["password"], self.clock()):
            return _mail_error(400, "Invalid Input", "INVALID_PASSWORD")
        once = self.scheme == "one_time" or body.get("oneTimePassword", True) is True
        account.set_password(body["password"], self.clock(), must_change=once)
        account.locked, account.failures = False, 0
        if body.get("resetAuthtoken", True) is True:
            account.sessions = []
        self.accounts.save()
        return JSONResponse({"status": _SUCCESS})

    # ── people who sign in ──

    def find_login(self, typed: str) -> Account | None:
        wanted = typed.strip().casefold()
        return self.accounts.first(lambda a: bool(wanted) and wanted in ((a.mail or "").casefold(), a.mobile))

    def weak(self, account: Account, password: str) -> str:
        return TEXT if self.rules.broken(account, password, self.clock()) else ""

    def attempt(self, account: Account, password: str, seen: Mapping[str, str]) -> Attempt:
        """A try with the right address; what is wrong is said."""
        right = account.has_password(password)
        if not account.active:
            result, status = Attempt("inactive", GONE), "Inactive"
        elif account.locked:
            result, status = Attempt("locked", LOCKED), "Locked"
        elif not right:
            result, status = Attempt("wrong", WRONG), "Wrong password"
            account.failures += 1
            account.locked = account.failures >= LOCK_AFTER
        else:
            result, status = Attempt("change" if account.must_change else "ok"), "Success"
            account.failures = 0
        account.note(tried(self.clock(), status, seen))
        self.accounts.save()
        return result


_SUCCESS = {"code": 200, "description": "success"}


def _confirmed(a: Account) -> bool:
    return not a.extra.get("unconfirmed")


def user(a: Account) -> dict[str, Any]:
    """A user as the CRM shows them."""
    name = "Administrator" if a.privileged else "Standard"
    return {
        "id": a.id,
        "email": a.mail,
        "full_name": a.name,
        "status": "deleted" if a.extra.get("deleted") else "active" if a.active else "inactive",
        "confirm": _confirmed(a),
        "mobile": a.mobile or None,
        "zuid": a.extra["zuid"],
        "personal_account": bool(a.extra.get("personal")),
        "role": {"id": "4150868000000026005", "name": "CEO" if a.privileged else "Sales"},
        "profile": {"id": "4150868000000026011" if a.privileged else "4150868000000026014", "name": name},
    }


async def _body(request: Request) -> dict[str, Any]:
    try:
        return dict(json.loads(await request.body()))
    except (ValueError, TypeError):
        return {}


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"code": code, "details": {}, "message": message, "status": "error"}, status)


def _mail_error(status: int, description: str, code: str) -> Response:
    return JSONResponse({"status": {"code": status, "description": description}, "data": {"errorCode": code}}, status)
