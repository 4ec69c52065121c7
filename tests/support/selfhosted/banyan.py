"""Banyan, an invented in-house CRM with odd choices: cookies and CSRF tokens that change at sign-in, digests with a
salt for each person, pages shorter than asked for, roles in one text, a redirect where a session has ended."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response

from tests.support.selfhosted.base import Act, Person, System

LOGIN, SECRET = "svc.keyback", "Keyback-pass-1"
MOST = 20
RECIPE = """\
format = 1
title = "Banyan"

[auth]
kind = "cookie"
cookies = ["BSESSION"]
headers = { X-Csrf = "{csrf}" }
[auth.before]
path = "/session/start"
query = { account = "{login}" }
read = { csrf = "/result/csrf", own_salt = "/result/salt" }
read_cookies = { anonymous = "BSESSION" }
[auth.request]
method = "POST"
path = "/session/login"
cookies = { BSESSION = "{anonymous}" }
form = { account = "{login}", pwd = "{secret|salted}", csrf = "{csrf}" }
read = { csrf = "/result/csrf" }

[transforms.salted]
kind = "md5"
before = "{own_salt}"

[answers]
code = "/rc"
done = "0"
text = "/msg"

[[errors]]
code = "E401"
means = "auth_expired"

[[errors]]
code = "E404"
means = "not_found"

[[errors]]
on = "verify"
code = "E110"
means = "wrong_password"

[[errors]]
code = "E999"
means = "uncertain"
on = "set"

[account]
id = "/user/uid"
username = "/user/account"
mail = "/user/contact/email"
disabled = { at = "/flags", has = "frozen" }
privileged = { at = "/groups", has = ["admin", "auditor"] }

[paging]
kind = "page"
first = 0
size = 100

[password_rules]
min_length = 8

[requests.find]
path = "/user/query"
query = { kw = "{identifier}", page = "{page}", rows = "{size}" }
items = "/result/records"

[requests.list]
path = "/user/query"
query = { page = "{page}", rows = "{size}" }
items = "/result/records"

[requests.key]
path = "/session/start"
auth = false
query = { account = "{username}" }
read = { their_csrf = "/result/csrf", own_salt = "/result/salt" }
read_cookies = { theirs = "BSESSION" }

[requests.set]
method = "POST"
path = "/user/resetpwd"
form = { uid = "{id}", pwd = "{password|salted}" }

[requests.revoke]
method = "POST"
path = "/user/kick"
form = { uid = "{id}" }

[requests.verify]
method = "POST"
path = "/session/login"
auth = false
cookies = { BSESSION = "{theirs}" }
form = { account = "{username}", pwd = "{password|salted}", csrf = "{their_csrf}" }
read = { new_csrf = "/result/csrf" }
read_cookies = { opened = "BSESSION" }

[requests.sign_out]
method = "POST"
path = "/session/logout"
auth = false
headers = { X-Csrf = "{new_csrf}" }
cookies = { BSESSION = "{opened}" }
"""


class Banyan(System):
    """It keeps digests; a person's `password` here is the digest of salt and password."""

    def __init__(self) -> None:
        super().__init__()
        self.salts: dict[str, str] = {}
        self.csrf: dict[str, str] = {}  # of a session, also of one that nobody signed in to

    def routes(self) -> Sequence[tuple[str, str, Act]]:
        return [
            ("GET", "/session/start", self._start),
            ("POST", "/session/login", self._login),
            ("POST", "/session/logout", self._logout),
            ("GET", "/user/query", self._query),
            ("POST", "/user/resetpwd", self._set),
            ("POST", "/user/kick", self._kick),
        ]

    def inner_failure(self) -> Response:
        return _said("E999", "System busy, please contact the administrator")

    def next_id(self) -> str:
        return f"U-{len(self.people) + 7:05}"

    def digest(self, account: str, password: str) -> str:
        salt = self.salts.setdefault(account.casefold(), secrets.token_hex(3))
        return hashlib.md5((salt + password).encode(), usedforsecurity=False).hexdigest()

    def add(self, username: str, mail: str, password: str, *, privileged: bool = False, disabled: bool = False) -> str:
        digest = self.digest(username, password)
        return super().add(username, mail, digest, privileged=privileged, disabled=disabled)

    async def _start(self, request: Request) -> Response:
        session, account = secrets.token_hex(12), request.query_params.get("account", "")
        self.csrf[session] = secrets.token_hex(6)
        self.digest(account, "")  # whoever asks gets a salt, also of nobody
        answer = _said("0", "", {"csrf": self.csrf[session], "salt": self.salts[account.casefold()]})
        answer.set_cookie("lang", "en")
        answer.set_cookie("BSESSION", session, httponly=True)
        return answer

    async def _login(self, request: Request) -> Response:
        sent, session = await request.form(), request.cookies.get("BSESSION", "")
        if not sent.get("csrf") or sent["csrf"] != self.csrf.get(session):
            return _said("E403", "Form has expired")
        account, digest = str(sent.get("account", "")), str(sent.get("pwd", ""))
        if account == LOGIN and digest == self.digest(LOGIN, SECRET):
            opened = self.new_token()
        elif not (opened := self.signs_in(self.by_name(account), digest)):
            return _said("E110", "Account or password is wrong")
        del self.csrf[session]
        self.csrf[opened] = secrets.token_hex(6)
        answer = _said("0", "", {"csrf": self.csrf[opened]})
        answer.set_cookie("BSESSION", opened, httponly=True)
        return answer

    async def _logout(self, request: Request) -> Response:
        session = request.cookies.get("BSESSION", "")
        if request.headers.get("x-csrf") != self.csrf.get(session):
            return _said("E403", "Form has expired")
        if one := self.owner(session):
            one.sessions.discard(session)
        return _said("0", "")

    def _denied(self, request: Request) -> Response | None:
        session = request.cookies.get("BSESSION", "")
        if session not in self.tokens:
            return RedirectResponse("/login.html", 302)
        if request.method == "POST" and request.headers.get("x-csrf") != self.csrf[session]:
            return _said("E403", "Form has expired")
        return None

    async def _query(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        query = request.query_params
        wanted, size = query.get("kw", "").casefold(), min(int(query.get("rows", 10)), MOST)
        found = [p for p in self.people if wanted in p.username.casefold() or wanted in p.mail.casefold()]
        first = int(query.get("page", 0)) * size
        records = [_record(p) for p in found[first : first + size]]
        return _said("0", "", {"records": records} if records else {})

    async def _set(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        sent = await request.form()
        one = self.by_id(sent.get("uid", ""))
        if one is None:
            return _said("E404", "No such user")
        return await self.set_password(request, one, str(sent["pwd"]), _said("0", "OK"))

    async def _kick(self, request: Request) -> Response:
        if denied := self._denied(request):
            return denied
        if one := self.by_id((await request.form()).get("uid", "")):
            one.sessions.clear()
        return _said("0", "OK")


def _record(one: Person) -> dict[str, Any]:
    who = {"uid": one.id, "account": one.username, "contact": {"email": one.mail or None, "phone": None}}
    groups = "sales,admin" if one.privileged else "sales,administrative staff"
    return {"user": who, "flags": "frozen" if one.disabled else "", "groups": groups}


def _said(code: str, message: str, result: Any = None) -> Response:
    return JSONResponse({"rc": code, "msg": message, "result": result})
