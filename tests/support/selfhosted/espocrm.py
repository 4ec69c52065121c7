"""EspoCRM: Basic on every call, real status codes with the reason in a header, sessions as records."""

from __future__ import annotations

import base64
import binascii
import json
import re
import secrets
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.support.selfhosted.base import Act, Person, System

LOGIN, SECRET = "keyback", "Keyback-pass-1"
SHORTEST, MOST = 8, 200


class EspoCrm(System):
    def __init__(self) -> None:
        super().__init__()
        self.records: dict[str, tuple[str, str]] = {}  # of an AuthToken: the person's id and the session
        self.second_factors: set[str] = set()

    def routes(self) -> Sequence[tuple[str, str, Act]]:
        at = "/api/v1"
        return [
            ("GET", at + "/App/user", self._me),
            ("GET", at + "/User", self._users),
            ("GET", at + "/User/{id}", self._user),
            ("PUT", at + "/User/{id}", self._set),
            ("GET", at + "/AuthToken", self._tokens),
            ("PUT", at + "/AuthToken/{id}", self._end),
        ]

    def inner_failure(self) -> Response:
        return _refused(500, "")

    def no_such_route(self, request: Request) -> Response:
        return Response(status_code=404)

    def next_id(self) -> str:
        return secrets.token_hex(9)[:17]

    def signs_in(self, one: Person | None, password: str) -> str:
        session = super().signs_in(one, password)
        if session and one:
            self.records[self.next_id()] = (one.id, session)
        return session

    def _who(self, request: Request) -> Person | str:
        """Who calls: the API's own user, somebody else, or nobody. Only `Espo-Authorization` opens a session."""
        espo, basic = request.headers.get("espo-authorization"), request.headers.get("authorization", "")
        sent = espo if espo is not None else basic.removeprefix("Basic ")
        try:
            name, _, password = base64.b64decode(sent, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return ""
        if (name, password) == (LOGIN, SECRET):
            return LOGIN
        one = self.by_name(name)
        if one is None or one.disabled or one.password != password:
            return ""
        if one.id in self.second_factors:
            return "second-step-required"
        if espo is not None:
            self.signs_in(one, password)
        return one

    def _denied(self, request: Request) -> Response | None:
        who = self._who(request)
        if who == LOGIN:
            return None
        return _refused(403, "") if isinstance(who, Person) else Response(status_code=401)

    async def _me(self, request: Request) -> Response:
        who = self._who(request)
        if who == "":
            return Response(status_code=401)
        if who == "second-step-required":
            return _refused(401, who)
        user = self._shown(who) if isinstance(who, Person) else {"id": "system1", "userName": LOGIN, "type": "admin"}
        return JSONResponse({"user": user, "acl": {}, "preferences": {}, "token": None})

    async def _users(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        return self._listed(request, [self._shown(p) for p in self.people])

    async def _user(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        one = self.by_id(request.path_params["id"])
        return JSONResponse(self._shown(one)) if one else _refused(404, "")

    async def _set(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        one, sent = self.by_id(request.path_params["id"]), await request.json()
        if one is None:
            return _refused(404, "")
        if set(sent) - {"password", "passwordConfirm", "sendAccessInfo"}:
            self.refuse_call(request, str(sorted(sent)))
        if len(str(sent["password"])) < SHORTEST:
            return _refused(403, "Password is weak.")
        return await self.set_password(request, one, str(sent["password"]), JSONResponse(self._shown(one)))

    async def _tokens(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        rows = []
        for key, (owner, session) in self.records.items():
            alive = self.owner(session) is not None
            rows.append({"id": key, "userId": owner, "isActive": alive, "portalId": None, "ipAddress": "127.0.0.1"})
        return self._listed(request, rows)

    async def _end(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        record = self.records.get(request.path_params["id"])
        if record is None:
            return _refused(404, "")
        if (await request.json()).get("isActive") is False and (one := self.by_id(record[0])):
            one.sessions.discard(record[1])
        return JSONResponse({"id": request.path_params["id"], "isActive": False})

    def _listed(self, request: Request, rows: list[dict[str, Any]]) -> Response:
        query = dict(request.query_params)
        asked: dict[str, Any] = json.loads(query.pop("searchParams")) if "searchParams" in query else {}
        size, offset = int(asked.get("maxSize", query.get("maxSize", 20))), int(query.get("offset", 0))
        if size > MOST:
            return _refused(403, "Max size should should not exceed 200. Use offset and limit.")
        for name in query:
            if not re.fullmatch(
                r"(where\[\d\]\[(type|attribute|field|value)\]|maxSize|offset|orderBy|order|select)", name
            ):
                self.refuse_call(request, name)
        wheres: list[dict[str, Any]] = list(asked.get("where", []))
        for n in range(5):
            if kind := query.get(f"where[{n}][type]"):
                at = query.get(f"where[{n}][attribute]") or query.get(f"where[{n}][field]")
                wheres.append({"type": kind, "attribute": at, "value": query.get(f"where[{n}][value]")})
        for where in wheres:
            at, value = where["attribute"], where.get("value")
            if where["type"] == "equals":
                rows = [r for r in rows if str(r.get(at) or "").casefold() == str(value).casefold()]
            elif where["type"] in {"isTrue", "isFalse"}:
                rows = [r for r in rows if r.get(at) is (where["type"] == "isTrue")]
            else:
                self.refuse_call(request, f"{where['type']}")
        return JSONResponse({"total": len(rows), "list": rows[offset : offset + size]})

    @staticmethod
    def _shown(one: Person) -> dict[str, Any]:
        who = {"id": one.id, "userName": one.username, "name": one.username.title(), "emailAddress": one.mail or None}
        return {**who, "type": "admin" if one.privileged else "regular", "isActive": not one.disabled, "deleted": False}


def _refused(status: int, reason: str) -> Response:
    return Response(status_code=status, headers={"x-status-reason": reason} if reason else {})
