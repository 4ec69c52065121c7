"""yudao (ruoyi-vue-pro): a tenant in the header of every call, codes in the body, lists without roles."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.support.selfhosted.base import Act, Person, System, page_of

LOGIN, SECRET, TENANT = "keyback", "Keyback-pass-1", "1"


class Yudao(System):
    """`longest` is how long passwords may be: 16 as it comes, more in systems that others built on it."""

    longest = 16

    def routes(self) -> Sequence[tuple[str, str, Act]]:
        at = "/admin-api/system"
        return [
            ("POST", at + "/auth/login", self._login),
            ("POST", at + "/auth/logout", self._logout),
            ("GET", at + "/user/page", self._page),
            ("GET", at + "/user/get", self._get),
            ("PUT", at + "/user/update-password", self._set),
            ("GET", at + "/permission/list-user-roles", self._roles),
            ("GET", at + "/oauth2-token/page", self._tokens),
            ("DELETE", at + "/oauth2-token/delete", self._end),
        ]

    def inner_failure(self) -> Response:
        return _result(500, "系统异常")

    def no_such_route(self, request: Request) -> Response:
        return _result(404, f"请求地址不存在:{request.url.path}")

    def _denied(self, request: Request, *, signed_in: bool = True) -> Response | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if signed_in and token not in self.tokens:
            return _result(403, "没有该操作权限") if self.owner(token) else _result(401, "账号未登录")
        tenant = request.headers.get("tenant-id")
        if tenant is None and not signed_in:
            return _result(400, "请求的租户标识未传递，请进行排查")
        if tenant not in {None, TENANT}:
            return _result(403, "您无权访问该租户的数据")
        return None

    async def _login(self, request: Request) -> Response:
        if denied := self._denied(request, signed_in=False):
            return denied
        sent = await request.json()
        name, password = str(sent.get("username", "")), str(sent.get("password", ""))
        if not re.fullmatch("[a-zA-Z0-9]{4,30}", name):
            return _result(400, "请求参数不正确:账号格式为数字以及字母")
        if not 4 <= len(password) <= self.longest:
            return _result(400, f"请求参数不正确:密码长度为 4-{self.longest} 位")
        if (name, password) == (LOGIN, SECRET):
            return _result(0, "", {"userId": 1, "accessToken": self.new_token(), "refreshToken": "r", "expiresTime": 1})
        one = self.by_name(name)
        if one is None or one.password != password:
            return _result(1_002_000_000, "登录失败，账号密码不正确")
        if one.disabled:
            return _result(1_002_000_001, "登录失败，账号被禁用")
        session = self.signs_in(one, password)
        return _result(0, "", {"userId": int(one.id), "accessToken": session, "refreshToken": "r", "expiresTime": 1})

    async def _logout(self, request: Request) -> Response:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if one := self.owner(token):
            one.sessions.discard(token)
        return _result(0, "", True)

    async def _page(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        query = request.query_params
        for name in set(query) - {"pageNo", "pageSize", "username", "mobile", "status", "deptId", "roleId", "email"}:
            self.refuse_call(request, name)
        size = int(query.get("pageSize", 10))
        if not 1 <= size <= 200:
            return _result(400, "请求参数不正确:每页条数最大值为 200")
        wanted = query.get("username", "").casefold()
        found = [p for p in reversed(self.people) if wanted in p.username.casefold()]
        rows = [_shown(p) for p in page_of(found, int(query.get("pageNo", 1)), size)]
        return _result(0, "", {"list": rows, "total": len(found)})

    async def _get(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        key = request.query_params.get("id", "")
        if not re.fullmatch("-?[0-9]{1,18}", key):
            return _result(400, f"请求参数类型错误:Failed to convert value of type 'java.lang.String': {key}")
        one = self.by_id(key)
        return _result(0, "", _shown(one) if one else None)

    async def _roles(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        one = self.by_id(request.query_params.get("userId", ""))
        return _result(0, "", ([1] if one.privileged else [2]) if one else [])

    async def _set(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        sent = await request.json()
        password = str(sent["password"])
        if not 4 <= len(password) <= self.longest:
            return _result(400, f"请求参数不正确:密码长度为 4-{self.longest} 位")
        one = self.by_id(sent["id"])
        if one is None:
            return _result(1_002_003_003, "用户不存在")
        return await self.set_password(request, one, password, _result(0, "", True))

    async def _tokens(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        key = request.query_params.get("userId", "")
        rows: list[dict[str, Any]] = [
            {"id": 1, "accessToken": s, "refreshToken": "r", "userId": int(p.id), "userType": 2, "clientId": "default"}
            for p in self.people
            for s in sorted(p.sessions)
            if key in {"", p.id}
        ]
        # Customers of a shop are counted from 1 too, so each number is somebody else's as well.
        members = [
            {"id": 2, "accessToken": f"member-{key}", "refreshToken": "r", "userId": int(key or 1), "userType": 1}
        ]
        kind = request.query_params.get("userType", "")
        rows = [r for r in (*members, *rows) if kind in {"", str(r["userType"])}]
        shown = page_of(rows, int(request.query_params.get("pageNo", 1)), int(request.query_params.get("pageSize", 10)))
        return _result(0, "", {"list": shown, "total": len(rows)})

    async def _end(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        token = request.query_params["accessToken"]
        if token.startswith("member-"):
            self.strange.append(f"a customer was signed out: {token}")
        if one := self.owner(token):
            one.sessions.discard(token)
        self.tokens.discard(token)
        return _result(0, "", True)


def _result(code: int, msg: str, data: Any = None) -> Response:
    return JSONResponse({"code": code, "msg": msg, "data": data})


def _shown(one: Person) -> dict[str, Any]:
    who = {"id": int(one.id), "username": one.username, "nickname": one.username.title(), "email": one.mail}
    return {**who, "status": 1 if one.disabled else 0, "deptId": 100, "mobile": one.mobile}
