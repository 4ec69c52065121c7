"""Sends the requests of a recipe: signs in, fills in placeholders, renews a token that ended, notes what was said."""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from keyback.connectors.http import answers, pointers
from keyback.connectors.http.page import fields_of
from keyback.connectors.http.recipe import CHANGING, Recipe, Request
from keyback.connectors.http.templates import Context
from keyback.connectors.http.trace import Trace
from keyback.connectors.http.transforms import Unfit
from keyback.domain.secret import Secret
from keyback.outbound.http import Endpoint, MaybeDone, NotDone, OutboundRefusal, Reply
from keyback.outbound.oauth import AccessToken

MAX_TOKEN: Final = 8192
MIN_HIDDEN: Final = 4
REDIRECTS: Final = range(300, 400)
Values = Mapping[str, Secret | str | int | bool | None]


class Caller:
    """One system's address and how to sign in there.

    Args:
        values: what the section gives: `login`, `secret`, and `values.…`.
    """

    def __init__(self, recipe: Recipe, endpoint: Endpoint, values: Values) -> None:
        self.recipe, self._http, self._values = recipe, endpoint, values
        self._read: dict[str, str] = {}
        self._signed_in = AccessToken(self._sign_in)
        self.trace: Trace | None = None
        self._lock = asyncio.Lock()

    def context(self, **more: Secret | str | int | bool | None) -> Context:
        """Placeholders of a request: the section's and these."""
        return Context(self.recipe, {**self._values, **more})

    async def ask(self, name: str, request: Request, context: Context) -> Any:
        """The JSON of an answer that means done. Once more with a new token where the old one has ended.

        Raises `Unfit` for a value that cannot be sent, and as `answers.body_of`.
        """
        return (await self._ask(name, request, context))[0]

    async def read(self, name: str, request: Request, context: Context) -> tuple[Any, Context]:
        """As `ask`, and the context with what the recipe reads of the answer."""
        body, reply = await self._ask(name, request, context)
        return body, context.with_(**{k: Secret(v) for k, v in _picked(request, body, reply).items()})

    async def _ask(self, name: str, request: Request, context: Context) -> tuple[Any, Reply]:
        auth = self.recipe.auth
        tokens = request.auth and auth.kind in {"token", "cookie"}
        for last in (False, True) if tokens else (True,):
            token = await self._signed_in.get() if tokens else None
            try:
                return await self._once(name, request, context, token)
            except NotDone as e:
                if last or token is None or not _ended(e):
                    raise
                self._signed_in.forget(token)
        raise NotDone("auth_expired")

    async def _once(self, name: str, request: Request, context: Context, token: Secret | None) -> tuple[Any, Reply]:
        signed = context.over(**{k: Secret(v) for k, v in self._read.items()}, token=token) if token else context
        try:
            headers, query = self._credentials(signed, token) if request.auth else ({}, {})
        except Unfit as e:
            raise NotDone("auth_expired", f"the secret or login cannot be sent: {e}") from None
        for k, v in request.headers.items():
            try:
                headers[k] = Secret(signed.text(v, "header"))
            except Unfit as e:  # not who was asked for is odd, but the recipe or its values
                raise NotDone("unavailable", f"header {k}: {e}") from None
        if request.cookies:
            own = [headers["Cookie"].reveal()] if "Cookie" in headers else []
            headers["Cookie"] = Secret("; ".join([*own, *(_cookie(k, v, signed) for k, v in request.cookies.items())]))
        query |= {k: signed.query(v) for k, v in request.query.items()}
        form = {k: signed.text(v, "form") for k, v in request.form.items()} if request.form is not None else None
        body = signed.json(request.body) if request.body is not None else None
        path = signed.path(request.path)
        # What is shorter is in every text by chance, and no secret.
        hide = [s for s in (*signed.hide, *headers.values()) if len(s.reveal()) >= MIN_HIDDEN]
        reads = request.repeatable or request.method == "GET"
        said: Reply | str = "no answer"
        try:
            said = await self._http.call(
                request.method,
                path,
                json=body,
                form=form,
                query=query or None,
                headers=headers,
                repeatable=reads,
                as_is=True,
            )
        except NotDone as e:
            said = str(e)
            raise
        except MaybeDone as e:
            said = str(e)
            if name not in CHANGING:  # nothing can have changed by it
                raise NotDone("unavailable", said) from None
            raise
        finally:
            if self.trace is not None:
                picked = [Secret(v) for v in _secrets_of(request, said)]
                shown = body if body is not None else form
                self.trace.add(request.method, path, query, headers, shown, said, [*hide, *picked])
        return answers.body_of(self.recipe, name, request, said, self._http.host, hide), said

    def _credentials(self, context: Context, token: Secret | None) -> tuple[dict[str, Secret], dict[str, str]]:
        """Headers and query that every call has."""
        auth = self.recipe.auth
        headers = {k: Secret(context.text(v, "header")) for k, v in auth.headers.items()}
        query = {k: context.text(v, "query") for k, v in auth.query.items()}
        login, secret = str(self._values.get("login") or ""), self._values.get("secret")
        word = secret.reveal() if isinstance(secret, Secret) else ""
        if auth.kind == "basic":
            pair = base64.b64encode(f"{login}:{word}".encode()).decode("ascii")
            headers["Authorization"] = Secret(f"Basic {pair}")
        elif auth.kind == "bearer":
            headers["Authorization"] = Secret(context.text("Bearer {secret}", "header"))
        elif auth.kind == "token" and token and not (auth.headers or auth.query):
            headers["Authorization"] = Secret(context.text("Bearer {token}", "header"))
        elif auth.kind == "cookie" and token:
            headers["Cookie"] = token
        return headers, query

    async def _sign_in(self) -> tuple[Secret, float]:
        """The token or the cookies, and the seconds they live. Raises `Unavailable`; a refusal is `auth_expired`."""
        auth = self.recipe.auth
        context = self.context()
        read: dict[str, str] = {}
        replies: list[Reply] = []
        try:
            if auth.before:
                body, reply = await self._once("before_sign_in", _bare(auth.before), context, None)
                read |= _picked(auth.before, body, reply)
                replies.append(reply)
                context = context.with_(**_hidden(read))
            assert auth.request is not None  # the format sees to it
            body, reply = await self._once("sign_in", _bare(auth.request), context, None)
        except (OutboundRefusal, Unfit) as e:
            raise NotDone("auth_expired", f"sign-in of Keyback's own user: {e}") from None
        read |= _picked(auth.request, body, reply)
        token = read.pop("token", "") if auth.kind == "token" else _cookies([reply, *replies], auth.cookies)
        if not token or len(token) > MAX_TOKEN or not token.isascii() or not token.isprintable():
            raise NotDone(
                "auth_expired", "sign-in of Keyback's own user: the answer has no token where one is expected"
            )
        if auth.after:
            try:
                page, reply = await self._once(
                    "after_sign_in", auth.after, context.with_(**_hidden(read)), Secret(token)
                )
            except (OutboundRefusal, Unfit) as e:
                raise NotDone("auth_expired", f"after the sign-in of Keyback's own user: {e}") from None
            read |= _picked(auth.after, page, reply)
        self._read = read
        lifetime = pointers.text_at(body, auth.expires_in) or ""
        told = float(lifetime) if lifetime.isascii() and lifetime.isdecimal() and len(lifetime) < 9 else 0.0
        return Secret(token), min(told, 86_400.0) if told > 0 else float(auth.lifetime_s)


def _hidden(read: Mapping[str, str]) -> dict[str, Secret]:
    return {k: Secret(v) for k, v in read.items()}


def _bare(request: Request) -> Request:
    """A request without what signing in brings."""
    return request.model_copy(update={"auth": False})


def _ended(e: NotDone) -> bool:
    """Whether the token has ended; a page to sign in at says so by a redirect."""
    return e.code == "auth_expired" or e.status in REDIRECTS


def _picked(request: Request, body: Any, reply: Reply) -> dict[str, str]:
    """What `read` of a request points to, and its `read_cookies`. Raises `NotDone` for what is missing."""
    out = {}
    for name, pointer in request.read.items():
        value = pointers.text_at(body, pointer)
        if value is None or len(value) > MAX_TOKEN:
            raise NotDone("unavailable", f"unexpected answer: nothing at {pointer}")
        out[name] = value
    for name, cookie in request.read_cookies.items():
        value = _cookie_of(reply, cookie)
        if not value or len(value) > MAX_TOKEN:
            raise NotDone("unavailable", f"unexpected answer: no cookie {cookie} came")
        out[name] = value
    found = fields_of(reply.body) if request.read_fields else {}
    for name, field in request.read_fields.items():
        value = found.get(field, "")
        if not value or len(value) > MAX_TOKEN:
            raise NotDone("unavailable", f"unexpected answer: the page has no field {field}")
        out[name] = value
    return out


def _secrets_of(request: Request, said: Reply | str) -> list[str]:
    if isinstance(said, str):
        return []
    body = said.any_json()
    found = [v for p in request.read.values() if (v := pointers.text_at(body, p))]
    return [
        *found,
        *(v for name in request.read_cookies.values() if (v := _cookie_of(said, name))),
    ]  # a page isn't shown


def _cookies(replies: Sequence[Reply], names: list[str]) -> str:
    """The cookies of these names, as they go back, from the first answer that has them. Raises `NotDone` for one that
    is missing."""
    out = []
    for name in names:
        value = next((v for r in replies if (v := _cookie_of(r, name))), "")
        if not value:
            raise NotDone("auth_expired", f"sign-in of Keyback's own user: no cookie {name} came")
        out.append(f"{name}={value}")
    return "; ".join(out)


def _cookie_of(reply: Reply, name: str) -> str:
    """The value of a cookie that an answer sets; empty where it sets none."""
    m = re.search(rf"(?:^|,)\s*{re.escape(name)}=([^;,\s]*)", reply.headers.get("set-cookie", ""))
    return m[1] if m else ""


def _cookie(name: str, template: str, context: Context) -> str:
    """A cookie as it is sent. Raises `NotDone` for a value that would end it early."""
    try:
        value = context.text(template, "header")
    except Unfit as e:
        raise NotDone("unavailable", f"cookie {name}: {e}") from None
    if re.search(r'[;,\s"\\]', value):
        raise NotDone("unavailable", f"cookie {name}: its value has a character that no cookie has")
    return f"{name}={value}"
