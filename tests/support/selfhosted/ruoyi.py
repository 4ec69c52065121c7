"""RuoYi-Vue: every answer is a 200 with a code in the body; the list has no roles and searches by part of a name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.support.selfhosted.base import Act, Person, System, page_of

LOGIN, SECRET = "keyback", "Keyback-pass-1"


class RuoYi(System):
    locks_after = 5

    def routes(self) -> Sequence[tuple[str, str, Act]]:
        return [
            ("POST", "/login", self._login),
            ("POST", "/logout", self._logout),
            ("GET", "/system/user/list", self._list),
            ("PUT", "/system/user/resetPwd", self._set),
            ("GET", "/system/user/{id}", self._read),
            ("GET", "/system/user/authRole/{id}", self._roles),
            ("GET", "/monitor/online/list", self._online),
            ("DELETE", "/monitor/online/{token}", self._end),
            ("GET", "/monitor/logininfor/unlock/{name}", self._unlock),
        ]

    def inner_failure(self) -> Response:
        return _ajax(500, "nested exception is java.sql.SQLException: Connection is closed")

    def no_such_route(self, request: Request) -> Response:
        return _ajax(500, f"No endpoint {request.method} {request.url.path}.")

    def _token(self, request: Request) -> str:
        return request.headers.get("authorization", "").removeprefix("Bearer ")

    def _denied(self, request: Request) -> Response | None:
        token = self._token(request)
        if token in self.tokens:
            return None
        if self.owner(token):
            return _ajax(403, "没有权限，请联系管理员授权")
        return _ajax(401, f"请求访问：{request.url.path}，认证失败，无法访问系统资源")

    async def _login(self, request: Request) -> Response:
        sent = await request.json()
        name, password = str(sent.get("username", "")), str(sent.get("password", ""))
        if (name, password) == (LOGIN, SECRET):
            return _ajax(200, "操作成功", token=self.new_token())
        if not (5 <= len(password) <= 20 and 2 <= len(name) <= 20):
            return _ajax(500, "用户不存在/密码错误")
        one = self.by_name(name)
        if one is None:
            return _ajax(500, "登录用户：" + name + " 不存在.")
        if one.disabled:
            return _ajax(500, "对不起，您的账号：" + name + " 已停用")
        if self.locked(one):
            return _ajax(500, "密码输入错误5次，帐户锁定10分钟")
        session = self.signs_in(one, password)
        return _ajax(200, "操作成功", token=session) if session else _ajax(500, "用户不存在/密码错误")

    async def _logout(self, request: Request) -> Response:
        if one := self.owner(self._token(request)):
            one.sessions.discard(self._token(request))
        return _ajax(200, "退出成功")

    async def _list(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        query = request.query_params
        for name in set(query) - {"pageNum", "pageSize", "userName", "userId", "status", "phonenumber", "deptId"}:
            if name != "email":  # it is taken, and not looked at
                self.refuse_call(request, name)
        wanted = query.get("userName", "").casefold()
        rows = [p for p in self.people if wanted in p.username.casefold()]
        if key := query.get("userId"):
            rows = [p for p in rows if p.id == key]
        shown = page_of(rows, int(query.get("pageNum", 1)), int(query.get("pageSize", 10)))
        body = {"total": len(rows), "rows": [_row(p) for p in shown], "code": 200, "msg": "查询成功"}
        return JSONResponse(body)

    async def _read(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        key = request.path_params["id"]
        if not key.isdecimal():
            return _ajax(500, f"请求参数类型不匹配，参数[userId]要求类型为：'java.lang.Long'，但输入值为：'{key}'")
        one = self.by_id(key)
        if one is None:  # to a user who is no super administrator
            return _ajax(500, "没有权限访问用户数据！")
        roles = _roles(one)
        data = {**_row(one), "roles": roles, "admin": key == "1"}
        return _ajax(200, "操作成功", data=data, roleIds=[r["roleId"] for r in roles], roles=_all_roles(), posts=[])

    async def _roles(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        one = self.by_id(request.path_params["id"])
        return _ajax(200, "操作成功", user=one and {**_row(one), "roles": _roles(one)}, roles=_all_roles())

    async def _set(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        sent = await request.json()
        one = self.by_id(sent["userId"])
        if one is None:
            return _ajax(500, "操作失败")
        if one.id == "1":
            return _ajax(500, "不允许操作超级管理员用户")
        return await self.set_password(request, one, str(sent["password"]), _ajax(200, "操作成功"))

    async def _online(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        wanted = request.query_params.get("userName", "")
        whose = [(p, s) for p in self.people for s in sorted(p.sessions) if wanted in {"", p.username}]
        rows: list[dict[str, Any]] = [{"tokenId": s, "userName": p.username, "ipaddr": "127.0.0.1"} for p, s in whose]
        if not wanted:
            rows += [{"tokenId": t, "userName": LOGIN, "ipaddr": "127.0.0.1"} for t in self.tokens]
        return JSONResponse({"total": len(rows), "rows": rows, "code": 200, "msg": "查询成功"})

    async def _end(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        token = request.path_params["token"]
        if one := self.owner(token):
            one.sessions.discard(token)
        self.tokens.discard(token)
        return _ajax(200, "操作成功")

    async def _unlock(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        if one := self.by_name(request.path_params["name"]):
            one.failed = 0
        return _ajax(200, "操作成功")


def _ajax(code: int, msg: str | None, **more: Any) -> Response:
    return JSONResponse({"msg": msg, "code": code, **more})


def _row(one: Person) -> dict[str, Any]:
    """As in the list: no roles there."""
    who = {"userId": int(one.id), "userName": one.username, "nickName": one.username.title(), "email": one.mail}
    who["phonenumber"] = one.mobile
    return {**who, "status": "1" if one.disabled else "0", "delFlag": "0", "roles": [], "dept": None, "admin": False}


def _roles(one: Person) -> list[dict[str, Any]]:
    role = {"roleId": 1, "roleKey": "admin"} if one.privileged else {"roleId": 2, "roleKey": "common"}
    return [{**role, "roleName": "", "status": "0", "admin": one.privileged}]


def _all_roles() -> list[dict[str, Any]]:
    return [{"roleId": 2, "roleKey": "common", "roleName": "", "status": "0", "admin": False}]
