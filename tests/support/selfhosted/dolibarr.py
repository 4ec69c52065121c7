"""Dolibarr: a key in a header, filters in a language of its own, numbers as texts, a failed update is a 500."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.support.selfhosted.base import Act, Person, System

SECRET = "d0libarr-api-key-of-keyback"
SHORTEST = 12
FILTER = r"\(t\.(?:login|email|lastname|statut):(?:=|like):'[^'()]*'\)"


class Dolibarr(System):
    """`older`: before version 21 or so, a list with nobody is a 404."""

    older = False

    def routes(self) -> Sequence[tuple[str, str, Act]]:
        at = "/api/index.php/users"
        return [
            ("GET", at, self._list),
            ("GET", at + "/login/{name}", self._by_login),
            ("GET", at + "/email/{mail}", self._by_mail),
            ("GET", at + "/{id}", self._read),
            ("PUT", at + "/{id}", self._set),
        ]

    def inner_failure(self) -> Response:
        return _error(500, "Internal Server Error: DB_ERROR_1213 Deadlock found when trying to get lock")

    def _denied(self, request: Request) -> Response | None:
        if request.headers.get("dolapikey") == SECRET:
            return None
        return _error(401, "Unauthorized: Failed to login to API. No parameter 'HTTP_DOLAPIKEY' on HTTP header")

    async def _list(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        query = request.query_params
        for name in set(query) - {"sqlfilters", "limit", "page", "sortfield", "sortorder", "user_ids", "properties"}:
            self.refuse_call(request, name)
        rows = list(self.people)
        if text := query.get("sqlfilters"):
            if not re.fullmatch(rf"\(?{FILTER}(?: (?:or|and) {FILTER})*\)?", text):
                return _error(400, f"Bad Request: Error when validating parameter sqlfilters -> Bad syntax of {text}")
            kept = re.findall(r"\(t\.(\w+):(=|like):'([^']*)'\)", text)
            rows = [p for p in rows if any(_fits(p, *k) for k in kept)]
        size, page = int(query.get("limit", 100)), int(query.get("page", 0))
        rows = rows[page * size : (page + 1) * size]
        if not rows and self.older:
            return _error(404, "Not Found: No User found")
        return JSONResponse([_shown(p) for p in rows])

    async def _read(self, request: Request) -> Response:
        return self._denied(request) or _found(self.by_id(request.path_params["id"]))

    async def _by_login(self, request: Request) -> Response:
        return self._denied(request) or _found(self.by_name(request.path_params["name"]))

    async def _by_mail(self, request: Request) -> Response:
        wanted = request.path_params["mail"].casefold()
        return self._denied(request) or _found(next((p for p in self.people if p.mail.casefold() == wanted), None))

    async def _set(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        one, sent = self.by_id(request.path_params["id"]), await request.json()
        if one is None:
            return _error(404, "Not Found: Account not found")
        if set(sent) != {"pass"}:
            self.refuse_call(request, str(sorted(sent)))
            return _error(405, "Method Not Allowed: The property can't be set/modified using the APIs")
        if len(sent["pass"]) < SHORTEST:
            return _error(500, f"Internal Server Error: Your password must have at least {SHORTEST} chars")
        return await self.set_password(request, one, str(sent["pass"]), JSONResponse(_shown(one)))


def _fits(one: Person, at: str, how: str, value: str) -> bool:
    has = (one.username if at == "login" else one.mail if at == "email" else "").casefold()
    if how == "=":
        return has == value.casefold()
    return re.fullmatch(re.escape(value.casefold()).replace("%", ".*"), has) is not None


def _found(one: Person | None) -> Response:
    return JSONResponse(_shown(one)) if one else _error(404, "Not Found: User not found")


def _shown(one: Person) -> dict[str, Any]:
    state = "0" if one.disabled else "1"
    who = {"id": one.id, "login": one.username, "email": one.mail, "lastname": one.username.title(), "firstname": ""}
    who["user_mobile"] = one.mobile
    return {**who, "admin": "1" if one.privileged else "0", "status": state, "statut": state, "entity": "1"}


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": {"code": status, "message": message}, "debug": {"source": "x.php"}}, status)
