"""纷享销客 as account recovery sees it: tokens, look-up, list, stopping and starting; no call sets a password."""

from __future__ import annotations

import json
import secrets
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keyback.demo.vendors.accounts import Account
from keyback.demo.vendors.brands import Brand
from keyback.demo.vendors.passwords import N_, Rules
from keyback.demo.vendors.signin import Attempt
from keyback.demo.vendors.vendor import Clock, Deliver, Vendor, tried, wall_clock

EA, CORP = "qingyu88", "FSCID_5F0A91C2"
LIVES_S, BURST, BURST_MS, TOKENS, TOKENS_MS = 7200, 100, 20_000, 10, 60_000
LOCK_AFTER = 5
FIELDS = ("_id", "name", "full_name", "phone", "email", "user_id", "status")
OPERATORS: Mapping[str, Callable[[str, Sequence[str]], bool]] = {
    "EQ": lambda have, wanted: have == wanted[0],
    "N": lambda have, wanted: have != wanted[0],
    "IN": lambda have, wanted: have in wanted,
    "LIKE": lambda have, wanted: wanted[0] in have,
}
WORDS = {
    -1: "系统繁忙",
    10006: "参数错误或者路径不存在",
    14001: "接口调用超过限制",
    20005: "accessToken不存在或者已经过期",
    20006: "appId或appSecret错误",
    20012: "用户不存在",
    20014: "应用没有权限",
    20015: "永久授权码错误",
    20016: "corpAccessToken不存在或者已经过期",
    20020: "应用没有数据权限",
    30002: "当天访问频次超限",
    30003: "客户没有购买openapi配额",
    30004: "接口访问过于频繁",
    30027: "员工不存在",
}
WRONG = N_("The account or the password isn’t right.")
STOPPED = N_("This employee account has been deactivated. Contact your administrator.")
LOCKED = N_("Too many attempts. Reset your password, or ask your administrator.")
TEXT = N_("Choose a password of 8 to 20 characters with letters and digits.")
BRAND = Brand(
    "fxiaoke", "远客 Yuanke", "纷享销客", "/login", False, N_("Mobile number or account"),
    N_("Bring distant customers close."), True,
)  # fmt: skip
Endpoint = Callable[[Request], Awaitable[Response]]
Body = dict[str, Any]


class Fxiaoke(Vendor):
    """The fake. Every answer has status 200; `errorCode` in it says what came of the call.

    `app_id`, `app_secret` and `permanent_code` get tokens. `bought` says whether the customer has bought API calls,
    `quota` how many are left today, `personnel` whether PersonnelObj is shared with the application.
    """

    brand = BRAND
    ea, corp = EA, CORP

    def __init__(
        self,
        *,
        clock: Clock = wall_clock,
        state_file: Path | None = None,
        recovery_url: str = "",
        deliver: Deliver | None = None,
    ) -> None:
        self.rules = Rules(min_length=8, max_length=20, classes=2, letters=True, history=1)
        self.app_id, self.app_secret = "FSAID_13189a", secrets.token_hex(16)
        self.permanent_code = secrets.token_hex(16).upper()
        self.admin = ""  # openUserId that calls are made as
        self.bought, self.personnel, self.quota = True, True, 100_000
        self._tokens: dict[str, int] = {}
        self._traces: set[str] = set()
        self._made: dict[str, list[int]] = {}
        super().__init__(clock=clock, state_file=state_file, recovery_url=recovery_url, deliver=deliver)

    def expire_tokens(self) -> None:
        self._tokens.clear()

    def administrator_resets(self, username: str, password: str) -> None:
        """What an administrator does by hand under departments and employees. Raises `KeyError` for nobody."""
        account = self.find_login(username)
        if account is None:
            raise KeyError(username)
        account.set_password(password, self.clock(), must_change=True)
        account.locked, account.failures, account.sessions = False, 0, []
        self.accounts.save()

    # ── routes ──

    def api(self) -> Sequence[Route]:
        new: list[tuple[str, Callable[[Body], Response]]] = [
            ("/cgi/user/list", self._list),
            ("/cgi/crm/v2/data/query", self._query),
        ]
        legacy: list[tuple[str, Callable[[Body], Response]]] = [
            ("/cgi/user/getByMobile", self._by_mobile),
            ("/cgi/user/setStatus", self._set_status),
        ]
        return [
            Route("/oauth2.0/token", self._token, methods=["POST"]),
            Route("/cgi/corpAccessToken/get/V2", self._legacy_token, methods=["POST"]),
            *(Route(path, self._guarded(act, legacy=False), methods=["POST"]) for path, act in new),
            *(Route(path, self._guarded(act, legacy=True), methods=["POST"]) for path, act in legacy),
        ]

    async def unknown(self, request: Request, error: Exception) -> Response:
        return failed(10006)

    def throttled(self, retry_after: int, path: str) -> Response:
        return failed(14001)

    def _guarded(self, act: Callable[[Body], Response], *, legacy: bool) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            body, headers = await _body(request), request.headers
            if legacy:
                token, right = str(body.pop("corpAccessToken", "")), body.pop("corpId", "") == CORP
            else:
                kind, _, token = headers.get("authorization", "").partition(" ")
                right = kind == "Bearer" and headers.get("x-fs-ea") == EA
                right = right and headers.get("x-fs-userid") == self.admin
                if not self._new_trace(request):
                    return failed(10006)
            if not right or self._tokens.get(token, 0) <= self.clock():
                return failed(20016 if legacy else 20005)
            refused = self._metered(request.url.path)
            return failed(refused) if refused else act(body)

        return endpoint

    def _new_trace(self, request: Request) -> bool:
        """Every call has a `thirdTraceId` of its own."""
        trace = request.query_params.get("thirdTraceId", "")
        try:
            fresh = uuid.UUID(trace).version == 4 and trace not in self._traces
        except ValueError:
            return False
        self._traces.add(trace)
        return fresh

    def _metered(self, path: str) -> int:
        if not self.bought:
            return 30003
        if self.quota <= 0:
            return 30002
        self.quota -= 1
        return 14001 if self._too_many(path, BURST, BURST_MS) else 0

    def _too_many(self, path: str, most: int, within_ms: int) -> bool:
        now = self.clock()
        self._made[path] = [t for t in self._made.get(path, ()) if now - t < within_ms] + [now]
        return len(self._made[path]) > most

    # ── tokens ──

    async def _token(self, request: Request) -> Response:
        body = await _body(request)
        if not self._new_trace(request) or body.get("grantType") != "app_secret":
            return failed(10006)
        wrong = self._refused(body)
        if wrong:
            return failed(wrong)
        answer = {"accessToken": self._new_token(), "expiresIn": LIVES_S, "openUserId": self.admin}
        return done({**answer, "appId": self.app_id, "ea": EA})

    async def _legacy_token(self, request: Request) -> Response:
        wrong = self._refused(await _body(request))
        if wrong:
            return failed(wrong)
        return done({"corpAccessToken": self._new_token(), "corpId": CORP, "expiresIn": LIVES_S})

    def _refused(self, body: Body) -> int:
        if self._too_many("token", TOKENS, TOKENS_MS):
            return 30004
        if body.get("appId") != self.app_id or body.get("appSecret") != self.app_secret:
            return 20006
        return 0 if body.get("permanentCode") == self.permanent_code else 20015

    def _new_token(self) -> str:
        token = secrets.token_hex(24).upper()
        self._tokens[token] = self.clock() + LIVES_S * 1000
        return token

    # ── people ──

    def _list(self, body: Body) -> Response:
        if body.get("departmentId") != 999999 or not {"fetchChild", "showDepartmentIdsDetail"} <= set(body):
            return failed(10006)
        return done({"userList": [member(a) for a in self.accounts]})

    def _query(self, body: Body) -> Response:
        data = body.get("data", {})
        info = data.get("search_query_info", {})
        if data.get("dataObjectApiName") != "PersonnelObj" or not {"limit", "offset", "filters"} <= set(info):
            return failed(10006)
        if info["limit"] > 100 or info["offset"] > 10_000:
            return failed(10006)
        if not self.personnel:
            return failed(20020)
        found = []
        for row in map(personnel, self.accounts):
            for f in info["filters"]:
                if f.get("field_name") not in FIELDS or f.get("operator") not in OPERATORS or not f.get("field_values"):
                    return failed(10006)
                if not OPERATORS[f["operator"]](str(row[f["field_name"]] or ""), f["field_values"]):
                    break
            else:
                found.append(row)
        part = found[info["offset"] : info["offset"] + info["limit"]]
        fields = info.get("fieldProjection") or FIELDS
        rows = [{k: v for k, v in r.items() if k in (*fields, "_id")} for r in part]
        return done({"data": {"dataList": rows, "total": len(found), "offset": info["offset"], "limit": info["limit"]}})

    def _by_mobile(self, body: Body) -> Response:
        found = [a for a in self.accounts if a.mobile and a.mobile == body.get("mobile")]
        if not found:
            return failed(20012)
        rows = [{"openUserId": a.id, "name": a.name, "status": int(not a.active), "mobile": a.mobile} for a in found]
        return done({"empList": rows})

    def _set_status(self, body: Body) -> Response:
        account = self.accounts.get(str(body.get("openUserId", "")))
        if body.get("status") not in (1, 2) or set(body) != {"openUserId", "status"}:
            return failed(10006)
        if account is None:
            return failed(30027)
        account.active = body["status"] == 2
        if not account.active:
            account.sessions = []
        self.accounts.save()
        return done({})

    # ── people who sign in ──

    def find_login(self, typed: str) -> Account | None:
        wanted = typed.strip().casefold()
        names = ("mobile", "username", "mail")
        return self.accounts.first(
            lambda a: bool(wanted) and wanted in [(getattr(a, n) or "").casefold() for n in names]
        )

    def weak(self, account: Account, password: str) -> str:
        return TEXT if self.rules.broken(account, password, self.clock()) else ""

    def attempt(self, account: Account, password: str, seen: Mapping[str, str]) -> Attempt:
        """Account and password in one form; both wrong look alike."""
        right = account.has_password(password)
        if not account.active and right:
            result, status = Attempt("inactive", STOPPED), "Stopped"
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


def member(a: Account) -> Body:
    """Somebody as the list of a department shows them."""
    return {
        "openUserId": a.id,
        "account": a.username,
        "name": a.name,
        "nickName": a.name,
        "isStop": not a.active,
        "email": a.mail or "",
        "mobile": a.mobile,
    }


def personnel(a: Account) -> Body:
    """Somebody as PersonnelObj shows them; a status of "0" is somebody who works here."""
    return {
        "_id": a.id.removeprefix("FSUID_"),
        "name": a.name,
        "full_name": a.name,
        "phone": a.mobile or None,
        "email": a.mail,
        "user_id": a.id.removeprefix("FSUID_"),
        "status": "0" if a.active else "1",
    }


def done(answer: Body) -> Response:
    return JSONResponse({"errorCode": 0, "errorMessage": "OK", "traceId": f"E-O.{secrets.token_hex(4)}", **answer})


def failed(code: int) -> Response:
    text = WORDS[code]
    return JSONResponse({"errorCode": code, "errorMessage": text, "traceId": f"E-O.{secrets.token_hex(4)}"})


async def _body(request: Request) -> Body:
    try:
        return dict(json.loads(await request.body()))
    except (ValueError, TypeError):
        return {}
