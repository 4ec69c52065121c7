"""Kestrel, an invented in-house CRM with pages: a form to sign in with a hidden token, redirects for answers, and an
interface of one address, in envelopes, that lists everybody by pages and looks nobody up."""

from __future__ import annotations

import html
import secrets
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response

from tests.support.selfhosted.base import Act, Person, System

LOGIN, SECRET = "svc-keyback", "Keyback-pass-1"
SHORTEST = 8
RECIPE = """\
format = 1
title = "Kestrel"
find_in_list = true

[auth]
kind = "cookie"
cookies = ["KSID"]
headers = { X-Csrf-Token = "{csrf}" }

[auth.before]
path = "/login"
read_fields = { form_token = "_csrf" }
read_cookies = { anonymous = "KSID" }

[auth.request]
method = "POST"
path = "/login"
cookies = { KSID = "{anonymous}" }
form = { username = "{login}", password = "{secret}", _csrf = "{form_token}" }
location = "/"

[auth.after]
path = "/"
read_fields = { csrf = "csrf-token" }

[answers]
code = "/error/code"
text = "/error/message"

[[errors]]
code = -32004
means = "not_found"

[[errors]]
code = -32099
means = "uncertain"

[[errors]]
on = "set"
status = 422
means = "policy_rejected"
says = "Use at least 8 characters."

[[errors]]
on = "verify"
location = "/login"
means = "wrong_password"

[account]
id = "/uid"
username = "/account"
mail = "/email"
disabled = { at = "/state", is_not = "on" }
privileged = { at = "/level", is = [8, 9] }

[paging]
kind = "page"
first = 0
size = 50

[requests.list]
method = "POST"
path = "/rpc"
repeatable = true
json = { id = 1, method = "user.page", params = { page = "{page}", size = "{size}" } }
items = "/result/rows"
total = "/result/total"

[requests.read]
method = "POST"
path = "/rpc"
repeatable = true
json = { id = 1, method = "user.get", params = { uid = "{id|int}" } }
item = "/result"

[requests.set]
method = "POST"
path = "/users/{id}/password"
form = { password = "{password}", password2 = "{password}", _csrf = "{csrf}" }
location = "/users/list"
ends_sessions = true

[requests.key]
path = "/login"
auth = false
read_fields = { their_token = "_csrf" }
read_cookies = { theirs = "KSID" }

[requests.verify]
method = "POST"
path = "/login"
auth = false
cookies = { KSID = "{theirs}" }
form = { username = "{username}", password = "{password}", _csrf = "{their_token}" }
location = "/"
read_cookies = { opened = "KSID" }

[requests.sign_out]
path = "/logout"
auth = false
cookies = { KSID = "{opened}" }
location = "/login"
"""


class Kestrel(System):
    def __init__(self) -> None:
        super().__init__()
        self.csrf: dict[str, str] = {}  # by session

    def routes(self) -> Sequence[tuple[str, str, Act]]:
        return [
            ("GET", "/login", self._form),
            ("POST", "/login", self._login),
            ("GET", "/logout", self._logout),
            ("GET", "/", self._home),
            ("POST", "/rpc", self._rpc),
            ("POST", "/users/{uid}/password", self._set),
        ]

    def inner_failure(self) -> Response:
        return HTMLResponse("<!doctype html><title>500</title><h1>Something went wrong</h1>", 500)

    async def _form(self, request: Request) -> Response:
        session = secrets.token_hex(12)
        self.csrf[session] = secrets.token_urlsafe(9) + '"&<'
        token = html.escape(self.csrf[session])
        page = HTMLResponse(
            '<!doctype html><meta name="viewport" content="width=device-width"><form method=post action=/login>'
            f'<input name="username"><input type=password name="password"><input type=hidden name="_csrf" '
            f'value="{token}">'
            "<button>Sign in</button></form>"
        )
        page.set_cookie("KSID", session, httponly=True)
        return page

    async def _login(self, request: Request) -> Response:
        sent, session = await request.form(), request.cookies.get("KSID", "")
        if not sent.get("_csrf") or sent["_csrf"] != self.csrf.pop(session, None):
            return HTMLResponse("<h1>403</h1>", 403)
        name, password = str(sent.get("username", "")), str(sent.get("password", ""))
        if (name, password) == (LOGIN, SECRET):
            opened = self.new_token()
        elif not (opened := self.signs_in(self.by_name(name), password)):
            return RedirectResponse("/login?error", 302)
        self.csrf[opened] = secrets.token_urlsafe(9)
        answer = RedirectResponse("/", 302)
        answer.set_cookie("KSID", opened, httponly=True)
        return answer

    async def _logout(self, request: Request) -> Response:
        session = request.cookies.get("KSID", "")
        if one := self.owner(session):
            one.sessions.discard(session)
        return RedirectResponse("/login?bye", 302)

    def _denied(self, request: Request) -> Response | None:
        return None if request.cookies.get("KSID", "") in self.tokens else RedirectResponse("/login", 302)

    async def _home(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        token = self.csrf[request.cookies["KSID"]]
        return HTMLResponse(f'<!doctype html><meta name="csrf-token" content="{token}"><h1>Kestrel</h1>')

    async def _rpc(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        if request.headers.get("x-csrf-token") != self.csrf[request.cookies["KSID"]]:
            return HTMLResponse("<h1>403</h1>", 403)
        asked = await request.json()
        given = asked.get("params", {})
        match asked.get("method"):
            case "user.page":
                first, size = given["page"] * given["size"], given["size"]
                rows = [_record(p) for p in self.people[first : first + size]]
                return _result(asked, {"rows": rows, "total": len(self.people)})
            case "user.get":
                one = self.by_id(given["uid"])
                return _result(asked, _record(one)) if one else _error(asked, -32004, "No such user")
            case other:
                self.refuse_call(request, str(other))
                return _error(asked, -32601, "Method not found")

    async def _set(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        sent = await request.form()
        if sent.get("_csrf") != self.csrf[request.cookies["KSID"]] or sent.get("password") != sent.get("password2"):
            return HTMLResponse("<h1>403</h1>", 403)
        one, password = self.by_id(request.path_params["uid"]), str(sent["password"])
        if one is None:
            return HTMLResponse("<h1>404</h1>", 404)
        if len(password) < SHORTEST:
            return HTMLResponse("<h1>Password</h1><p class=error>Too short</p>", 422)
        answer = await self.set_password(request, one, password, RedirectResponse("/users/list?saved", 302))
        if self.trouble != "failing":
            one.sessions.clear()
        return answer


def _record(one: Person) -> dict[str, Any]:
    state, level = "off" if one.disabled else "on", 9 if one.privileged else 3
    return {"uid": int(one.id), "account": one.username, "email": one.mail or None, "state": state, "level": level}


def _result(asked: dict[str, Any], result: Any) -> Response:
    return JSONResponse({"id": asked.get("id"), "result": result})


def _error(asked: dict[str, Any], code: int, message: str) -> Response:
    return JSONResponse({"id": asked.get("id"), "error": {"code": code, "message": message}})
