"""An OpenID provider on the loopback address: it signs people in, keeps codes and keys, and misbehaves on demand.

Held to OpenID Connect Core 1.0, Discovery 1.0, RFC 6749, RFC 7636 (S256 only) and RFC 9207; an ASGI app for tests and
the demo, never a provider for real people. It leaves `auth_time` out, as some do even where it is asked for.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from keyback.testing.serving import until_gone

CODE_LIFE_S = 60
Hook = Callable[[dict[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Member:
    """Somebody who can sign in.

    Args:
        amr: how, as its ID tokens say (RFC 8176).
        more: further claims, such as a verified name; with any, the token says when the person signed in.
    """

    subject: str
    password: str = field(repr=False)
    amr: tuple[str, ...] = ("pwd",)
    acr: str = ""
    more: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Registered:
    """A client; an empty secret is a public one."""

    secret: str = field(repr=False)
    redirect_uris: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Grant:
    client: str
    redirect_uri: str
    nonce: str
    challenge: str
    member: Member
    until: float


def _same(given: dict[str, Any]) -> dict[str, Any]:
    return given


class LoopbackIssuer:
    """The provider.

    Args:
        title: on its sign-in page.
        clock: seconds since 1970.

    `issuer` is its address, to be set once `serving.served` gives one. `members` and `clients` are by name and may be
    changed at any time. `metadata`, `claims`, `tokens` and `jwks` change what it says before it says it; `header` are
    members of the token's header; `slow` are paths that never answer, `moved` those that send elsewhere; `calls` counts
    requests by path; `asked` is what the last sign-in was asked with.
    """

    def __init__(self, title: str = "Sign-in", clock: Callable[[], float] = time.time) -> None:
        self.issuer, self.title, self.clock = "", title, clock
        self.members: dict[str, Member] = {}
        self.clients: dict[str, Registered] = {}
        self.metadata: Hook = _same
        self.claims: Hook = _same
        self.tokens: Hook = _same
        self.jwks: Hook = _same
        self.header: dict[str, Any] = {}
        self.slow: set[str] = set()
        self.moved: set[str] = set()
        self.calls: dict[str, int] = {}
        self.asked: Mapping[str, str] = {}
        self.keys = [self._new_key()]
        self._grants: dict[str, _Grant] = {}
        self._app = Starlette(
            routes=[
                Route("/.well-known/openid-configuration", self._about),
                Route("/authorize", self._authorize, methods=["GET", "POST"]),
                Route("/token", self._token, methods=["POST"]),
                Route("/keys", self._keys),
            ]
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app(scope, receive, send)

    def _new_key(self) -> ECKey:
        return ECKey.generate_key("P-256", {"kid": secrets.token_hex(8), "use": "sig", "alg": "ES256"})

    def rotate(self) -> None:
        """Signs with another key from now on; the one before is no longer listed."""
        self.keys = [self._new_key()]

    async def _seen(self, request: Request) -> None:
        path = request.url.path
        self.calls[path] = self.calls.get(path, 0) + 1
        if path in self.slow:
            await until_gone(request)
        if path in self.moved:
            raise HTTPException(302, headers={"location": "http://169.254.169.254/"})

    async def _about(self, request: Request) -> Response:
        await self._seen(request)
        return JSONResponse(
            self.metadata(
                {
                    "issuer": self.issuer,
                    "authorization_endpoint": f"{self.issuer}/authorize",
                    "token_endpoint": f"{self.issuer}/token",
                    "jwks_uri": f"{self.issuer}/keys",
                    "response_types_supported": ["code"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["ES256"],
                    "token_endpoint_auth_methods_supported": ["client_secret_basic", "client_secret_post"],
                    "code_challenge_methods_supported": ["S256"],
                    "authorization_response_iss_parameter_supported": True,
                }
            )
        )

    async def _keys(self, request: Request) -> Response:
        await self._seen(request)
        return JSONResponse(self.jwks({"keys": [k.as_dict(private=False) for k in self.keys]}))

    # ── the browser ─────────────────────────────────────────────────────────

    async def _authorize(self, request: Request) -> Response:
        await self._seen(request)
        asked = dict(request.query_params)
        client = self.clients.get(asked.get("client_id", ""))
        if client is None or asked.get("redirect_uri") not in client.redirect_uris:
            return HTMLResponse("unknown client or redirect_uri", 400)  # never redirected (RFC 6749 section 4.1.2.1)
        wrong = False
        if request.method == "POST":
            typed = dict(parse_qsl((await request.body()).decode()))
            if "cancel" in typed:
                return RedirectResponse(self.sent_back(asked, error="access_denied"), 303)
            member = self.members.get(typed.get("username", ""))
            if member is not None and secrets.compare_digest(
                member.password.encode(), typed.get("password", "").encode()
            ):
                return RedirectResponse(self.consent(asked, member), 303)
            wrong = True
        here = str(request.url.replace(scheme="", netloc=""))
        return HTMLResponse(self.page(request, here, wrong))

    def page(self, request: Request, action: str, wrong: bool) -> str:
        """The sign-in page. `action`: where its form is sent to; `wrong`: after a wrong password."""
        said = "<p role=alert>That user name or password isn’t right.</p>" if wrong else ""
        return (
            f"<!doctype html><html lang=en><meta name=viewport content='width=device-width'><title>{escape(self.title)}"
            f"</title><h1>{escape(self.title)}</h1>{said}<form method=post action='{escape(action, quote=True)}'>"
            "<p><label>User name <input name=username autocomplete=username></label>"
            "<p><label>Password <input name=password type=password autocomplete=current-password></label>"
            "<p><button>Sign in</button> <button name=cancel value=1>Cancel</button></form>"
        )

    def sign_in(self, address: str, name: str) -> str:
        """What a browser does that comes from `authorization_url` and signs in as `name`: where it is sent back to."""
        asked = dict(parse_qsl(address.partition("?")[2]))
        client = self.clients[asked["client_id"]]
        assert asked["redirect_uri"] in client.redirect_uris
        return self.consent(asked, self.members[name])

    def consent(self, asked: Mapping[str, str], member: Member) -> str:
        """The address that a browser is sent back to, with a code for this member."""
        self.asked = dict(asked)
        fits = asked.get("response_type") == "code" and "openid" in asked.get("scope", "").split()
        if not fits or asked.get("code_challenge_method") != "S256" or len(asked.get("code_challenge", "")) != 43:
            return self.sent_back(asked, error="invalid_request")
        code = secrets.token_urlsafe(32)
        self._grants[code] = _Grant(
            asked["client_id"], asked["redirect_uri"], asked.get("nonce", ""), asked["code_challenge"], member,
            self.clock() + CODE_LIFE_S,
        )  # fmt: skip
        return self.sent_back(asked, code=code)

    def sent_back(self, asked: Mapping[str, str], **given: str) -> str:
        """The same with anything that a provider may say (RFC 9207: always with who says it)."""
        return f"{asked['redirect_uri']}?{urlencode({**given, 'state': asked.get('state', ''), 'iss': self.issuer})}"

    # ── the client ──────────────────────────────────────────────────────────

    async def _token(self, request: Request) -> Response:
        await self._seen(request)
        form = dict(parse_qsl((await request.body()).decode()))
        name, secret = form.get("client_id", ""), form.get("client_secret", "")
        scheme, _, basic = request.headers.get("authorization", "").partition(" ")
        if scheme == "Basic":
            name, _, secret = (unquote(p) if p != ":" else p for p in base64.b64decode(basic).decode().partition(":"))
        client = self.clients.get(name)
        if client is None or not secrets.compare_digest(client.secret.encode(), secret.encode()):
            return JSONResponse({"error": "invalid_client"}, 401)
        grant = self._grants.pop(form.get("code", ""), None)  # once, right or wrong (RFC 6749 section 4.1.2)
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        if (
            grant is None
            or self.clock() > grant.until
            or (grant.client, grant.redirect_uri) != (name, form.get("redirect_uri"))
            or base64.urlsafe_b64encode(verifier).rstrip(b"=").decode() != grant.challenge
        ):
            return JSONResponse({"error": "invalid_grant"}, 400)
        said = {"access_token": secrets.token_urlsafe(16), "token_type": "Bearer", "expires_in": 60}
        return JSONResponse(self.tokens({**said, "id_token": self.id_token(grant.client, grant.nonce, grant.member)}))

    def id_token(self, client: str, nonce: str, member: Member) -> str:
        """A signed token about this member."""
        now = int(self.clock())
        claims: dict[str, Any] = {
            "iss": self.issuer, "sub": member.subject, "aud": client, "iat": now, "exp": now + 300, "nonce": nonce,
            "amr": list(member.amr),
        }  # fmt: skip
        if member.acr:
            claims["acr"] = member.acr
        if member.more:
            claims |= {"auth_time": now, **member.more}
        header = {"alg": "ES256", "kid": self.keys[0].kid, **self.header}
        return jwt.encode(header, self.claims(claims), self.keys[0], algorithms=["ES256"])


__all__ = ["LoopbackIssuer", "Member", "Registered"]
