"""Dynamics 365 as account recovery sees it: Entra's tokens, Microsoft Graph and Dataverse behind one address."""

from __future__ import annotations

import json
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keyback.demo.vendors.accounts import Account
from keyback.demo.vendors.brands import Brand
from keyback.demo.vendors.dynamics365 import dataverse, methods, odata, roles, shapes
from keyback.demo.vendors.dynamics365.entra import CLOUDS, RESETS, RESETS_ADMINS, Denied, EntraApp, Roles, Tokens
from keyback.demo.vendors.dynamics365.errors import bad_request, denied, graph_error, missing, throttled
from keyback.demo.vendors.passwords import N_, Rules
from keyback.demo.vendors.signin import NO_MATCH, SECOND, Attempt
from keyback.demo.vendors.vendor import Clock, Deliver, Vendor, tried, wall_clock

TENANT = "9b1c2f3e-6d0a-4c58-8f21-3a7d5e904c11"
LOCK_AFTER, LOCK_MS = 10, 60_000
SIGN_INS, SIGN_INS_MS = 5, 10_000
WEAK = (
    "The specified password does not comply with password complexity requirements. Please provide a different password."
)
SYNCED = (
    "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects currently "
    "undergoing migration."
)
PAGE_TEXTS = {
    "mix": N_("Use three of these: lowercase letters, uppercase letters, digits, symbols."),
    "": N_("Choose a password of at least 8 characters that is hard to guess."),
}
LOCKED = N_("Your account is locked for a short time because of too many attempts. Try again later.")
DISABLED = N_("Your account has been disabled. Contact your administrator.")
NOT_MEMBER = N_("You are not a member of this organization’s CRM. Contact your administrator.")
BRAND = Brand(
    "dynamics365", "Meridian 365", "Dynamics 365", "/sign-in", True, N_("Work email"), N_("One world of customers.")
)
DELTA_MS = 7 * 86_400_000  # how long delta tokens live
Endpoint = Callable[[Request], Awaitable[Response]]


class Dynamics365(Vendor):
    """The fake.

    Args:
        cloud: `global` or `21vianet`: which hosts tokens are for, and which calls there are.

    `apps` are application registrations by client id; what each may do is in them, and may change at any time. `roles`
    are directory roles; `roles.lag` is how often they have to be looked at until a change has spread. `premium` says
    whether the tenant has Entra P1, `passes` whether it allows Temporary Access Passes. A user is read as they were for
    the next `stale_reads` reads after a change. `removed` are ids of users who were deleted, with the instants.
    """

    brand = BRAND
    tenant = TENANT

    def __init__(
        self,
        *,
        clock: Clock = wall_clock,
        state_file: Path | None = None,
        recovery_url: str = "",
        deliver: Deliver | None = None,
        cloud: Literal["global", "21vianet"] = "global",
    ) -> None:
        self.cloud = CLOUDS[cloud]
        self.rules = Rules(min_length=8, classes=3, history=0)
        self.apps: dict[str, EntraApp] = {}
        self.roles = Roles()
        self.premium, self.passes = True, True
        self.removed: dict[str, int] = {}
        self.stale_reads, self._stale, self._left = 0, dict[str, dict[str, Any]](), 0
        self._sign_ins_read: list[int] = []
        super().__init__(clock=clock, state_file=state_file, recovery_url=recovery_url, deliver=deliver)
        self.tokens = Tokens(TENANT, self.apps, self.cloud)

    def expire_tokens(self) -> None:
        self.tokens.expire()

    # ── routes ──

    def api(self) -> Sequence[Route]:
        graph: list[tuple[str, str, Endpoint]] = [
            ("/users", "GET", self._list),
            ("/users/delta", "GET", self._delta),
            ("/users/{id}", "GET", self._read),
            ("/users/{id}", "PATCH", self._update),
            ("/users/{id}/revokeSignInSessions", "POST", self._revoke),
            ("/users/{id}/licenseDetails", "GET", self._licenses),
            ("/domains/{id}", "GET", self._domain),
            ("/auditLogs/signIns", "GET", self._sign_ins),
            *methods.endpoints(self),
            *roles.endpoints(self),
        ]
        return [
            Route("/{tenant}/oauth2/v2.0/token", self._token, methods=["POST"]),
            *(Route(f"/v1.0{path}", self._guarded(act, "graph"), methods=[m]) for path, m, act in graph),
            *(
                Route(f"/api/data/v9.2{path}", self._guarded(act, "dataverse"), methods=[m])
                for path, m, act in dataverse.endpoints(self)
            ),
        ]

    async def unknown(self, request: Request, error: Exception) -> Response:
        return graph_error(getattr(error, "status_code", 404), "BadRequest", "Resource not found for the segment.")

    def throttled(self, retry_after: int, path: str) -> Response:
        return dataverse.throttled(retry_after) if path.startswith("/api/data/") else throttled(retry_after)

    def _guarded(self, act: Endpoint, audience: str) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            kind, _, token = request.headers.get("authorization", "").partition(" ")
            app = self.tokens.app_of(token, audience, self.clock()) if kind == "Bearer" else None
            if app is None:
                text = "Lifetime validation failed, the token is expired."
                if audience == "dataverse":
                    return Response(status_code=401, headers={"www-authenticate": "Bearer"})
                return graph_error(401, "InvalidAuthenticationToken", text)
            request.state.app = app
            try:
                request.state.body = dict(json.loads(await request.body() or b"{}"))
            except (ValueError, TypeError):
                return bad_request("Unable to read JSON request payload.")
            return await act(request)

        return endpoint

    async def _token(self, request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode("utf-8", "replace")))
        base = str(request.base_url).rstrip("/")
        try:
            token = self.tokens.give(request.path_params["tenant"], form, base, self.clock())
        except Denied as e:
            return JSONResponse(e.body(self.clock()), e.status)
        return JSONResponse({"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token})

    # ── people ──

    def may(self, request: Request, *permissions: str) -> bool:
        """Whether the application has one of these."""
        return bool(set(permissions) & request.state.app.permissions)

    def target(self, request: Request) -> Account | None:
        """The user that the path names, by id or user principal name."""
        id = request.path_params["id"]
        return self.accounts.get(id) or self.accounts.named(id)

    def shown(self, account: Account) -> dict[str, Any]:
        """A user as read now, or as they were while a change has not spread."""
        if self._left and account.id in self._stale:
            self._left -= 1
            return self._stale[account.id]
        return shapes.user(account)

    def changed(self, account: Account, before: dict[str, Any]) -> None:
        self._stale, self._left = {account.id: before}, self.stale_reads
        self.accounts.save()

    async def _list(self, request: Request) -> Response:
        if not self.may(request, "User.Read.All", "Directory.Read.All"):
            return denied()
        q = request.query_params
        wanted = q.get("$filter", "")
        advanced = any(f in wanted for f in (*shapes.ADVANCED, " ne "))
        if advanced and not (request.headers.get("consistencylevel") == "eventual" and q.get("$count") == "true"):
            return graph_error(400, "Request_UnsupportedQuery", "The query needs ConsistencyLevel and $count.")
        refused = self._activity_refused(request)
        if refused:
            return refused
        try:
            fits = odata.parse_filter(wanted, shapes.USER)
            rows = [r for r in map(self.shown, self.accounts) if fits(r)]
            shown = [odata.picked(r, q.get("$select", ""), shapes.USER, shapes.USER_DEFAULT) for r in rows]
        except odata.BadQuery as e:
            return bad_request(str(e), "BadRequest")
        page = shown[: int(q.get("$top", "100"))]
        count = {"@odata.count": len(shown)} if q.get("$count") == "true" else {}
        return JSONResponse({"@odata.context": f"{self.cloud.graph}/v1.0/$metadata#users", **count, "value": page})

    async def _delta(self, request: Request) -> Response:
        """Changes since a token, which is an instant here. Who was deleted is in `removed`, with the instant."""
        if not self.may(request, "User.Read.All", "Directory.Read.All"):
            return denied()
        q, now = request.query_params, self.clock()
        asked, rows = q.get("$deltatoken", ""), list[dict[str, Any]]()
        if asked != "latest":
            since = int(asked) if asked.isdecimal() else 0
            if now - since > DELTA_MS:
                return graph_error(410, "syncStateNotFound", "The delta token is expired, data must be synchronized.")
            rows = [
                {"id": a.id, "displayName": a.name} for a in self.accounts if a.extra.get("modified_at", 0) >= since
            ]
            rows += [{"id": i, "@removed": {"reason": "deleted"}} for i, at in self.removed.items() if at >= since]
        link = f"{str(request.base_url).rstrip('/')}/v1.0/users/delta?$deltatoken={now}"
        return JSONResponse({"@odata.deltaLink": link, "value": rows})

    async def _read(self, request: Request) -> Response:
        account = self.target(request)
        if not self.may(request, "User.Read.All", "Directory.Read.All"):
            return denied()
        if account is None:
            return missing(request.path_params["id"])
        refused = self._activity_refused(request)
        if refused:
            return refused
        try:
            select = request.query_params.get("$select", "")
            return JSONResponse(odata.picked(self.shown(account), select, shapes.USER, shapes.USER_DEFAULT))
        except odata.BadQuery as e:
            return bad_request(str(e), "BadRequest")

    def _activity_refused(self, request: Request) -> Response | None:
        if "signInActivity" not in request.query_params.get("$select", ""):
            return None
        return self._history_refused(request)

    def _history_refused(self, request: Request) -> Response | None:
        if not self.may(request, "AuditLog.Read.All"):
            return denied()
        if not self.premium:
            text = "Neither tenant is B2C or tenant doesn't have premium license"
            return graph_error(403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant", text)
        return None

    async def _update(self, request: Request) -> Response:
        account, body = self.target(request), request.state.body
        if account is None:
            return missing(request.path_params["id"])
        if not body or not set(body) <= {"accountEnabled", "passwordProfile"}:
            return bad_request("Invalid property in the request.")
        roles_now = self.roles.of(request.state.app.principal)
        enough = RESETS_ADMINS if account.privileged else RESETS
        if "passwordProfile" in body:
            permitted = self.may(request, "User-PasswordProfile.ReadWrite.All", "Directory.AccessAsUser.All")
            if not permitted or not roles_now & enough:
                return denied()
        if "accountEnabled" in body:
            permitted = self.may(request, "User.EnableDisableAccount.All", "User.ReadWrite.All")
            if not permitted or (account.privileged and not roles_now & RESETS_ADMINS):
                return denied()
        if account.synced or ("passwordProfile" in body and account.provider):
            return bad_request(SYNCED)
        return self._apply(account, body)

    def _apply(self, account: Account, body: Mapping[str, Any]) -> Response:
        before, profile = shapes.user(account), body.get("passwordProfile", {})
        known = {"password", "forceChangePasswordNextSignIn", "forceChangePasswordNextSignInWithMfa"}
        if not isinstance(profile, dict) or not set(profile) <= known:
            return bad_request("Invalid value specified for property 'passwordProfile' of resource 'User'.")
        if "password" in profile:
            password = profile["password"]
            if not isinstance(password, str) or self.rules.broken(account, password, self.clock()):
                return bad_request(WEAK)
            account.set_password(password, self.clock())
        if "forceChangePasswordNextSignIn" in profile:
            account.must_change = profile["forceChangePasswordNextSignIn"] is True
        account.active = body.get("accountEnabled", account.active) is True
        self.changed(account, before)
        return Response(status_code=204)

    async def _revoke(self, request: Request) -> Response:
        account = self.target(request)
        if not self.may(request, "User.RevokeSessions.All", "Directory.ReadWrite.All"):
            return denied()
        if account is None:
            return missing(request.path_params["id"])
        before = shapes.user(account)
        account.sessions, account.extra["sessions_from"] = [], self.clock()
        self.changed(account, before)
        return JSONResponse({"@odata.context": f"{self.cloud.graph}/v1.0/$metadata#Edm.Boolean", "value": True})

    async def _licenses(self, request: Request) -> Response:
        account = self.target(request)
        if not self.may(request, "User.Read.All", "LicenseAssignment.Read.All", "Directory.Read.All"):
            return denied()
        if account is None:
            return missing(request.path_params["id"])
        sku = {"id": "x1", "skuId": shapes.new_guid("sku", 1), "skuPartNumber": "DYN365_ENTERPRISE_SALES"}
        return JSONResponse({"value": [sku] if account.licensed else []})

    async def _domain(self, request: Request) -> Response:
        if not self.may(request, "Domain.Read.All", "Directory.Read.All"):
            return denied()
        name = request.path_params["id"]
        mine = [a for a in self.accounts if a.username.rpartition("@")[2] == name]
        if not mine:
            return missing(name)
        kind = "Federated" if mine[0].provider else "Managed"
        return JSONResponse({"id": name, "authenticationType": kind, "isVerified": True})

    async def _sign_ins(self, request: Request) -> Response:
        refused = self._history_refused(request)
        if refused:
            return refused
        now = self.clock()
        self._sign_ins_read = [t for t in self._sign_ins_read if now - t < SIGN_INS_MS] + [now]
        if len(self._sign_ins_read) > SIGN_INS:
            return throttled(10)
        try:
            fits = odata.parse_filter(request.query_params.get("$filter", ""), methods.SIGN_IN)
        except odata.BadQuery as e:
            return bad_request(str(e), "BadRequest")
        rows = [shapes.sign_in(a, s, n) for a in self.accounts for n, s in enumerate(a.sign_ins)]
        rows = sorted((r for r in rows if fits(r)), key=lambda r: str(r["createdDateTime"]), reverse=True)
        return JSONResponse({"value": rows[: int(request.query_params.get("$top", "1000"))]})

    # ── people who sign in ──

    def session_id(self) -> str:
        return secrets.token_hex(16)

    def find_login(self, typed: str) -> Account | None:
        return self.accounts.named(typed) or self.accounts.first(
            lambda a: a.mail is not None and a.mail.casefold() == typed.strip().casefold()
        )

    def weak(self, account: Account, password: str) -> str:
        broken = self.rules.broken(account, password, self.clock())
        if account.has_password(password):
            return N_("You used this password before. Choose a new one.")
        return PAGE_TEXTS.get(broken, PAGE_TEXTS[""]) if broken else ""

    def attempt(self, account: Account, password: str, seen: Mapping[str, str]) -> Attempt:
        """Smart lockout ends by itself after a minute; a temporary pass takes the place of password and second step."""
        now = self.clock()
        if account.locked and account.locked_until <= now:
            account.locked, account.failures = False, 0
        one = account.factor("temporary_pass")
        by_pass = one is not None and shapes.method(one, now)["isUsable"] and one.seed == password
        result, code, status = self._judge(account, account.has_password(password) or by_pass, by_pass)
        if one is not None and by_pass and result.outcome == "ok":
            one.used += 1
        if code == 50126:
            account.failures += 1
            if account.failures >= LOCK_AFTER:
                account.locked, account.locked_until = True, now + LOCK_MS
        elif result.outcome in ("ok", "change"):
            account.failures = 0
        account.note(tried(now, status, seen, code=code))
        self.accounts.save()
        return result

    def second_step(self, account: Account, passed: bool, seen: Mapping[str, str]) -> None:
        words = "Success" if passed else "Authentication failed during strong authentication request."
        account.note(tried(self.clock(), words, seen, code=0 if passed else 500121))
        self.accounts.save()

    def _judge(self, account: Account, right: bool, by_pass: bool) -> tuple[Attempt, int, str]:
        if account.locked:
            return Attempt("locked", LOCKED), 50053, "Account is locked because of too many tries."
        if not right:
            return Attempt("wrong", NO_MATCH), 50126, "Invalid username or password."
        if not account.active:
            return Attempt("inactive", DISABLED), 50057, "User account is disabled."
        if account.extra.get("crm_disabled") or account.extra.get("no_member"):
            return Attempt("inactive", NOT_MEMBER), 0, "Success"
        if account.must_change and not by_pass:
            return Attempt("change"), 50055, "Password is expired."
        if not by_pass and any(f.kind in SECOND for f in account.factors):
            return Attempt("ok"), 50074, "Strong Authentication is required."
        return Attempt("ok", strong=by_pass), 0, "Success"
