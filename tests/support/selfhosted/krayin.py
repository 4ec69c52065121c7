"""Krayin with krayin/rest-api: Laravel; users are changed as a whole, and whoever asks for no JSON is redirected."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from tests.support.selfhosted.base import Act, Person, System, page_of

LOGIN, SECRET = "keyback@example.com", "Keyback-pass-1"


class Krayin(System):
    def __init__(self) -> None:
        super().__init__()
        self.groups: dict[str, list[int]] = {}
        self.view: dict[str, str] = {}

    def routes(self) -> Sequence[tuple[str, str, Act]]:
        at = "/api/v1"
        return [
            ("POST", at + "/login", self._login),
            ("DELETE", at + "/logout", self._logout),
            ("GET", at + "/settings/users", self._list),
            ("GET", at + "/settings/users/search", self._search),
            ("GET", at + "/settings/users/{id}", self._read),
            ("PUT", at + "/settings/users/{id}", self._update),
        ]

    def inner_failure(self) -> Response:
        return JSONResponse({"message": "Server Error"}, 500)

    def add(self, username: str, mail: str, password: str, *, privileged: bool = False, disabled: bool = False) -> str:
        key = super().add(username, mail, password, privileged=privileged, disabled=disabled)
        self.groups[key], self.view[key] = [1, 2], "group"
        return key

    def by_mail(self, mail: str) -> Person | None:
        return next((p for p in self.people if p.mail.casefold() == mail.casefold()), None)

    def signs_in(self, one: Person | None, password: str) -> str:
        if one is not None and one.password == password and not one.disabled:
            one.sessions.clear()  # the one call of theirs that makes a token ends all others
        return super().signs_in(one, password)

    def _denied(self, request: Request) -> Response | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token in self.tokens:
            return None
        if "application/json" not in request.headers.get("accept", ""):
            return RedirectResponse("/admin/login")
        if self.owner(token):
            return JSONResponse({"message": "This action is unauthorized."}, 403)
        return JSONResponse({"message": "Unauthenticated."}, 401)

    async def _login(self, request: Request) -> Response:
        json_sent = request.headers.get("content-type", "").startswith("application/json")
        sent = await request.json() if json_sent else await request.form()
        mail, password = str(sent.get("email", "")), str(sent.get("password", ""))
        if not (mail and password and sent.get("device_name")):
            return _invalid(request, "device_name", "The device name field is required.")
        if (mail, password) == (LOGIN, SECRET):
            self.tokens.clear()
            return JSONResponse({"data": {"id": 1}, "message": "Logged in successfully.", "token": self.new_token()})
        one = self.by_mail(mail)
        if one is None or one.password != password:
            return _invalid(request, "email", "The provided credentials are incorrect.")
        token = "of a disabled one" if one.disabled else self.signs_in(one, password)  # nobody looks at the status here
        return JSONResponse({"data": self._shown(one), "message": "Logged in successfully.", "token": token})

    async def _logout(self, request: Request) -> Response:
        if one := self.owner(request.headers.get("authorization", "").removeprefix("Bearer ")):
            one.sessions.clear()
        return JSONResponse({"message": "Logged out successfully."})

    async def _list(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        query = request.query_params
        rows = list(reversed(self.people))
        for at, values in query.items():
            if at in {"email", "id", "name"}:
                kept = {v.strip().casefold() for v in values.split(",")}
                rows = [p for p in rows if {"email": p.mail, "id": p.id, "name": p.username}[at].casefold() in kept]
            elif at not in {"limit", "page", "pagination", "order", "sort", "entity_type"}:
                self.refuse_call(request, at)
                return JSONResponse({"message": "Server Error"}, 500)
        page, size = int(query.get("page", 1)), int(query.get("limit", 10))
        shown = [self._shown(p) for p in page_of(rows, page, size)]
        return JSONResponse({"data": shown, "links": {}, "meta": {"current_page": page, "total": len(rows)}})

    async def _search(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        query = request.query_params
        read = re.fullmatch(r"(email|name):([^;:]*);?", query.get("search", ""))
        rows = list(self.people)
        if read:
            exact = "like" not in query.get("searchFields", "")
            wanted = read[2].casefold()
            has = [(p, (p.mail if read[1] == "email" else p.username).casefold()) for p in rows]
            rows = [p for p, value in has if (value == wanted if exact else wanted in value)]
        return JSONResponse({"data": [self._shown(p) for p in rows[: int(query.get("limit", 10))]]})

    async def _read(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        one = self.by_id(request.path_params["id"])
        return JSONResponse({"data": self._shown(one)}) if one else JSONResponse({"message": "Not Found"}, 404)

    async def _update(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        one, sent = self.by_id(request.path_params["id"]), await request.json()
        if one is None:
            return JSONResponse({"message": "Not Found"}, 404)
        for field in ("email", "name", "role_id", "status"):
            if sent.get(field) in {None, ""}:
                return _invalid(request, field, f"The {field} field is required.")
        if str(int(sent["status"])) not in {"0", "1"}:
            return _invalid(request, "status", "The selected status is invalid.")
        if sent.get("password") and sent.get("confirm_password") != sent["password"]:
            return _invalid(request, "confirm_password", "The confirm password and password must match.")
        if "view_permission" not in sent or "password" not in sent:  # an undefined key
            return JSONResponse({"message": "Server Error"}, 500)
        answer = JSONResponse({"data": {"data": self._shown(one), "message": "User updated successfully."}})
        answer = await self.set_password(request, one, str(sent["password"]), answer)
        if self.trouble != "failing":
            one.mail, one.username, one.disabled = str(sent["email"]), str(sent["name"]), not int(sent["status"])
            one.privileged, self.view[one.id] = int(sent["role_id"]) == 1, str(sent["view_permission"])
            self.groups[one.id] = list(sent.get("groups") or [])
        return answer

    def _shown(self, one: Person) -> dict[str, Any]:
        kind = {"id": 1, "permission_type": "all"} if one.privileged else {"id": 2, "permission_type": "custom"}
        role = {**kind, "name": "Role", "description": "", "permissions": None if one.privileged else ["leads"]}
        who = {"id": int(one.id), "name": one.username, "email": one.mail, "status": int(not one.disabled)}
        return {**who, "view_permission": self.view[one.id], "role": role, "image": None, "image_url": None}


def _invalid(request: Request, field: str, message: str) -> Response:
    if "application/json" not in request.headers.get("accept", ""):
        return RedirectResponse("/", 302)
    return JSONResponse({"message": message, "errors": {field: [message]}}, 422)
