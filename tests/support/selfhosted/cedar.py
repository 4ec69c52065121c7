"""Cedar, another invented in-house CRM: a token that says how long it lives, cursors instead of pages, roles and
sessions by requests of their own, locks, and HTTP statuses that mean what they say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.support.selfhosted.base import Act, Person, System

LOGIN, SECRET = "keyback@cedar.example", "Keyback-pass-1"
LONGEST_PAGE = 15
RECIPE = """\
format = 1
title = "Cedar"

[auth]
kind = "token"
expires_in = "/valid_s"
[auth.request]
method = "POST"
path = "/rpc/token"
json = { client = "{login}", key = "{secret}" }
read = { token = "/token" }

[answers]
code = "/problem"
text = "/detail"

[[errors]]
code = "too-weak"
means = "policy_rejected"

[[errors]]
on = "verify"
code = ["bad-login", "account-locked"]
means = "wrong_password"

[account]
id = "/no"
username = "/handle"
mail = "/mailbox"
disabled = { at = "/left_on", is_not = "" }
locked = { at = "/locked", is = true }
privileged = { at = "/roles/*", is = ["root", "people-manager"] }

[paging]
kind = "cursor"
size = 15

[requests.find]
path = "/people"
query = { q = "{identifier}", after = "{cursor}", take = "{size}" }
items = "/people"
next = "/more"

[requests.list]
path = "/people"
query = { after = "{cursor}", take = "{size}" }
items = "/people"
next = "/more"

[requests.read]
path = "/people/{id|int}"

[requests.roles]
path = "/people/{id|int}/roles"
items = "/roles"

[requests.unlock]
method = "DELETE"
path = "/people/{id|int}/lock"

[requests.set]
method = "PATCH"
path = "/people/{id|int}"
json = { new_password = "{password}" }

[requests.sessions]
path = "/people/{id|int}/devices"
items = "/devices"
id = "/ref"
owner = "/person"

[requests.revoke]
method = "DELETE"
path = "/devices/{session}"

[requests.verify]
method = "POST"
path = "/rpc/sign-in"
auth = false
json = { handle = "{username}", password = "{password}" }
read = { device = "/ref" }

[requests.sign_out]
method = "DELETE"
path = "/devices/{device}"
auth = false
headers = { X-Device = "{device}" }

[password_rules]
min_length = 10
"""


class Cedar(System):
    locks_after = 4

    def routes(self) -> Sequence[tuple[str, str, Act]]:
        return [
            ("POST", "/rpc/token", self._token),
            ("POST", "/rpc/sign-in", self._sign_in),
            ("GET", "/people", self._people),
            ("GET", "/people/{no}", self._one),
            ("PATCH", "/people/{no}", self._set),
            ("DELETE", "/people/{no}/lock", self._unlock),
            ("GET", "/people/{no}/roles", self._roles),
            ("GET", "/people/{no}/devices", self._devices),
            ("DELETE", "/devices/{ref}", self._end),
        ]

    def inner_failure(self) -> Response:
        return _problem(500, "internal", "Something broke. We have been told.")

    def _denied(self, request: Request) -> Response | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        return None if token in self.tokens else _problem(401, "token", "Get a token first.")

    def _named(self, request: Request) -> Person | Response:
        if denied := self._denied(request):
            return denied
        return self.by_id(request.path_params["no"]) or _problem(404, "nobody", "No person has this number.")

    async def _token(self, request: Request) -> Response:
        sent = await request.json()
        if (sent.get("client"), sent.get("key")) != (LOGIN, SECRET):
            return _problem(401, "bad-client", "Unknown client.")
        return JSONResponse({"token": self.new_token(), "valid_s": 300})

    async def _sign_in(self, request: Request) -> Response:
        sent = await request.json()
        one = self.by_name(str(sent.get("handle", "")))
        session = self.signs_in(one, str(sent.get("password", "")))
        if not session:
            locked = one is not None and self.locked(one)
            return _problem(403, "account-locked" if locked else "bad-login", "That didn't work.")
        return JSONResponse({"ref": session})

    async def _people(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        query = request.query_params
        wanted, after = query.get("q", "").casefold(), query.get("after", "")
        take = min(int(query.get("take", 5)), LONGEST_PAGE)
        rows = [p for p in self.people if wanted in p.username.casefold() or wanted in p.mail.casefold()]
        rows = [p for p in rows if not after or int(p.id) > int(after)]
        shown = [self._shown(p) for p in rows[:take]]
        more = {"more": rows[take - 1].id} if len(rows) > take else {}
        return JSONResponse({"people": shown, **more})

    async def _one(self, request: Request) -> Response:
        one = self._named(request)
        return one if isinstance(one, Response) else JSONResponse(self._shown(one))

    async def _roles(self, request: Request) -> Response:
        one = self._named(request)
        if isinstance(one, Response):
            return one
        return JSONResponse({"roles": ["sales", "people-manager"] if one.privileged else ["sales"]})

    async def _unlock(self, request: Request) -> Response:
        one = self._named(request)
        if isinstance(one, Response):
            return one
        one.failed = 0
        return Response(status_code=204)

    async def _set(self, request: Request) -> Response:
        one = self._named(request)
        if isinstance(one, Response):
            return one
        password = str((await request.json())["new_password"])
        if len(password) < 10:
            return _problem(422, "too-weak", "Ten characters or more, please.")
        return await self.set_password(request, one, password, Response(status_code=204))

    async def _devices(self, request: Request) -> Response:
        one = self._named(request)
        if isinstance(one, Response):
            return one
        return JSONResponse({"devices": [{"ref": s, "person": int(one.id)} for s in sorted(one.sessions)]})

    async def _end(self, request: Request) -> Response:
        ref = request.path_params["ref"]
        if request.headers.get("x-device") != ref and (denied := self._denied(request)):
            return denied
        one = self.owner(ref)
        if one is None:
            return _problem(404, "nobody", "No such device.")
        one.sessions.discard(ref)
        return Response(status_code=204)

    def _shown(self, one: Person) -> dict[str, Any]:
        left = "2026-10-31" if one.disabled else ""
        who = {"no": int(one.id), "handle": one.username, "mailbox": one.mail, "left_on": left}
        return {**who, "locked": self.locked(one)}


def _problem(status: int, problem: str, detail: str) -> Response:
    return JSONResponse({"problem": problem, "detail": detail}, status)
