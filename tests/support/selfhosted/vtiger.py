"""Vtiger CE: one address, the operation in a parameter, sign-in by a digest of a challenge, every answer a 200."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.support.selfhosted.base import Act, Person, System

LOGIN, SECRET = "keyback", "qX3tAccessKey9z"
QUERY = re.compile(
    r"select (?P<what>\*|[\w, ]+) from Users"
    r"(?: where (?P<where>\w+ ?(?:=|like) ?'[^'\\]*'(?: or \w+ ?(?:=|like) ?'[^'\\]*')*))?"
    r"(?: order by \w+)?(?: limit (?P<a>\d+)(?: ?, ?(?P<b>\d+))?)? ?;",
    re.I,
)


class Vtiger(System):
    def __init__(self) -> None:
        super().__init__()
        self.challenges: dict[str, str] = {}

    def routes(self) -> Sequence[tuple[str, str, Act]]:
        return [("GET", "/webservice.php", self._read), ("POST", "/webservice.php", self._write)]

    def inner_failure(self) -> Response:
        return _failed("DATABASE_QUERY_ERROR", "Database error while performing requested operation")

    def next_id(self) -> str:
        return f"19x{len(self.people) + 5}"

    async def _read(self, request: Request) -> Response:
        sent = request.query_params
        operation = sent.get("operation", "").lower()
        if operation == "getchallenge":
            token = secrets.token_hex(7)
            self.challenges[sent.get("username", "")] = token
            return _done({"token": token, "serverTime": 1_790_000_000, "expireTime": 1_790_000_300})
        if failed := self._signed_in(sent.get("sessionName")):
            return failed
        if operation == "query":
            return self._query(request, sent.get("query", ""))
        if operation == "retrieve":
            return self._retrieve(sent.get("id", ""))
        return self._strange(request, operation)

    async def _write(self, request: Request) -> Response:
        sent = await request.form()
        operation = str(sent.get("operation", "")).lower()
        if operation == "login":
            name = str(sent.get("username", ""))
            token = self.challenges.pop(name, "")
            if not token:
                return _failed("INVALID_AUTH_TOKEN", "Specified token is invalid or expired")
            right = hashlib.md5((token + SECRET).encode(), usedforsecurity=False).hexdigest()
            if name != LOGIN or sent.get("accessKey") != right:
                return _failed("INVALID_USER_CREDENTIALS", "Invalid username or password")
            return _done({"sessionName": self.new_token(), "userId": "19x1", "version": "0.22", "vtigerVersion": "8.3"})
        session = sent.get("sessionName") or request.query_params.get("sessionName")  # wherever it is sent
        if failed := self._signed_in(session):
            return failed
        if operation == "logout":
            self.tokens.discard(str(session))
            return _done({"message": "successfull"})
        if operation != "changepassword":
            return self._strange(request, operation)
        new, again = str(sent.get("newPassword", "")), str(sent.get("confirmPassword", ""))
        one = self.by_id(sent.get("id", ""))
        if one is None:
            return _failed("ACCESS_DENIED", "Permission to perform the operation is denied for id")
        if "oldPassword" not in sent:
            return _failed("MANDATORY_FIELDS_MISSING", "Mandatory fields are missing")
        if new != again:
            return _failed("CHANGE_PASSWORD_FAILURE", "Failed to change the password")
        return await self.set_password(request, one, new, _done({"message": "Changed password successfully"}))

    def _signed_in(self, session: object) -> Response | None:
        if not session:
            return _failed("AUTHENTICATION_REQUIRED", "Authencation required")
        if session not in self.tokens:
            return _failed("INVALID_SESSIONID", "Session Identifier provided is Invalid")
        return None

    def _strange(self, request: Request, operation: str) -> Response:
        self.refuse_call(request, operation)
        return _failed("UNKNOWN_OPERATION", "Unknown operation requested")

    def _query(self, request: Request, text: str) -> Response:
        if not (read := QUERY.fullmatch(text.strip())):
            self.refuse_call(request, text)
            return _failed("QUERY_SYNTAX_ERROR", f"Syntax Error on line 1: {text}")
        rows = [_shown(p) for p in self.people]
        if where := read["where"]:
            kept = re.findall(r"(\w+) ?(=|like) ?'([^']*)'", where, re.I)
            rows = [r for r in rows if any(_fits(r, *k) for k in kept)]
        first, size = (int(read["a"]), int(read["b"])) if read["b"] else (0, int(read["a"] or 100))
        rows = rows[first : first + min(size, 100)]
        if read["what"] != "*":
            wanted = {w.strip() for w in read["what"].split(",")} | {"id"}
            rows = [{k: v for k, v in r.items() if k in wanted} for r in rows]
        return _done(rows)

    def _retrieve(self, key: str) -> Response:
        if not re.fullmatch(r"\d+x\d+", key):
            return _failed("INVALID_ID_ATTRIBUTE", "Id specified is incorrect")
        one = self.by_id(key)
        return (
            _done(_shown(one)) if one else _failed("RECORD_NOT_FOUND", "Record you are trying to access is not found")
        )


def _fits(row: dict[str, Any], at: str, how: str, value: str) -> bool:
    has = str(row.get(at, "")).casefold()
    if how == "=":
        return has == value.casefold()
    return re.fullmatch(re.escape(value.casefold()).replace("%", ".*"), has) is not None


def _shown(one: Person) -> dict[str, Any]:
    who = {"id": one.id, "user_name": one.username, "first_name": "", "last_name": one.username.title()}
    state = {"is_admin": "on" if one.privileged else "off", "status": "Inactive" if one.disabled else "Active"}
    return {**who, **state, "email1": one.mail, "phone_mobile": one.mobile, "roleid": "H2"}


def _done(result: object) -> Response:
    return JSONResponse({"success": True, "result": result})


def _failed(code: str, message: str) -> Response:
    return JSONResponse({"success": False, "error": {"code": code, "message": message}})
