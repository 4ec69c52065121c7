"""Frappe: a key and a secret in one header, the mail address is the key of a record, refusals are 417 with a class."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.support.selfhosted.base import Act, Person, System

LOGIN, SECRET = "frappe-api-key", "frappe-api-secret"
SHORTEST = 8
VERY_COMMON = "This is a very common password. Better add a few more letters or another word."


class Frappe(System):
    def __init__(self) -> None:
        super().__init__()
        self.second_factors: set[str] = set()
        self.mailed: list[str] = []
        self.newer = False  # as versions 15 and 16 are, unless somebody debugs them

    def routes(self) -> Sequence[tuple[str, str, Act]]:
        return [
            ("GET", "/api/resource/User", self._list),
            ("GET", "/api/resource/User/{name}", self._read),
            ("PUT", "/api/resource/User/{name}", self._set),
            ("POST", "/api/method/login", self._login),
            ("GET", "/api/method/logout", self._logout),
            ("POST", "/api/method/logout", self._logout),
        ]

    def inner_failure(self) -> Response:
        return self._thrown(500, "QueryDeadlockError", "Deadlock found when trying to get lock")

    def add(self, username: str, mail: str, password: str, *, privileged: bool = False, disabled: bool = False) -> str:
        one = Person(mail.lower(), username, mail.lower(), password, privileged, disabled)
        self.people.append(one)
        return one.id

    def _denied(self, request: Request) -> Response | None:
        if request.headers.get("authorization") == f"token {LOGIN}:{SECRET}":
            return None
        if "authorization" in request.headers:
            return self._thrown(401, "AuthenticationError", "")
        return self._thrown(403, "PermissionError", "Insufficient Permission for User")

    async def _list(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        query = request.query_params
        known = {"filters", "or_filters", "fields", "limit", "limit_page_length", "limit_start", "order_by"}
        for name in set(query) - known:
            self.refuse_call(request, name)
        rows = [_record(p) for p in self.people]
        try:
            filters = json.loads(query.get("filters", "[]"))
            fields = json.loads(query.get("fields", '["name"]'))
        except ValueError:
            return self._thrown(500, "JSONDecodeError", "Expecting value")
        if isinstance(filters, dict):
            filters = [[at, "=", value] for at, value in filters.items()]
        for *_, at, how, value in filters:
            if at not in {"name", "email", "username", "enabled", "user_type"} or how != "=":
                self.refuse_call(request, f"{at} {how}")
            rows = [r for r in rows if str(r.get(at)).casefold() == str(value).casefold()]
        first = int(query.get("limit_start", 0))
        size = int(query.get("limit_page_length", query.get("limit", 20)))
        shown = rows[first : first + size] if size else rows[first:]
        if fields != ["*"]:
            shown = [{k: v for k, v in r.items() if k in fields} for r in shown]
        return JSONResponse({"data": [{k: v for k, v in r.items() if k != "roles"} for r in shown]})

    async def _read(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        one = self.by_id(request.path_params["name"].lower())
        if one is None:
            return self._thrown(404, "DoesNotExistError", f"User {request.path_params['name']} not found")
        return JSONResponse({"data": _record(one)})

    async def _set(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        one, sent = self.by_id(request.path_params["name"].lower()), await request.json()
        if one is None:
            return self._thrown(404, "DoesNotExistError", f"User {request.path_params['name']} not found")
        if set(sent) - {"new_password", "logout_all_sessions", "send_password_update_notification"}:
            self.refuse_call(request, str(sorted(sent)))
        password = str(sent["new_password"])
        if len(password) < SHORTEST:
            why = VERY_COMMON
            return self._thrown(417, "ValidationError", why, title="Invalid Password")
        answer = JSONResponse({"data": _record(one)})
        self.mailed += [password] if sent.get("send_password_update_notification", 1) and not self.newer else []
        answer = await self.set_password(request, one, password, answer)
        if sent.get("logout_all_sessions") and self.trouble != "failing":
            one.sessions.clear()
        return answer

    async def _login(self, request: Request) -> Response:
        json_sent = request.headers.get("content-type", "").startswith("application/json")
        sent = await request.json() if json_sent else await request.form()
        name = str(sent.get("usr", "")).lower()
        one = self.by_id(name)
        if one is None or one.password != sent.get("pwd"):
            return self._thrown(401, "AuthenticationError", "Invalid login credentials")
        if one.disabled:
            return self._thrown(401, "AuthenticationError", "User disabled or missing")
        if one.id in self.second_factors:
            asked = JSONResponse({"verification": {"method": "OTP App", "token_delivery": True}, "tmp_id": "b4cd"})
            asked.set_cookie("sid", "Guest")
            return asked
        answer = JSONResponse({"message": "Logged In", "home_page": "/app", "full_name": one.username.title()})
        answer.set_cookie("sid", self.signs_in(one, str(sent["pwd"])), httponly=True)
        answer.set_cookie("user_id", one.id)
        return answer

    async def _logout(self, request: Request) -> Response:
        if one := self.owner(request.cookies.get("sid", "")):
            one.sessions.discard(request.cookies["sid"])
        return JSONResponse({})

    def _thrown(self, status: int, kind: str, message: str, *, title: str = "Message") -> Response:
        body: dict[str, Any] = {"exc_type": kind}
        if not self.newer:
            body["exception"] = f"frappe.exceptions.{kind}: {message}"
        if message:
            told = {"message": message, "title": title, "indicator": "red", "raise_exception": 1}
            more = {"__frappe_exc_id": "9f3c"} if self.newer else {}
            body["_server_messages"] = json.dumps([json.dumps(told | more)])
        return JSONResponse(body | ({"message": message} if status == 401 else {}), status)


def _record(one: Person) -> dict[str, Any]:
    roles = ["System Manager", "All"] if one.privileged else ["Sales User"]
    who = {"name": one.id, "email": one.mail, "username": one.username, "full_name": one.username.title()}
    kind = {"enabled": int(not one.disabled), "mobile_no": one.mobile, "user_type": "System User", "doctype": "User"}
    return {**who, **kind, "roles": [{"role": r, "doctype": "Has Role"} for r in roles]}
