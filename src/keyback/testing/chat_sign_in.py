"""Stand-ins for signing in to chat services: the page that a browser is sent to, codes of one use, and whom they name.

Each is the stand-in of its messages as well. `signed_in` is who sits before the browser; empty for somebody who says
no. Nothing here is shared with `keyback.channels`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from keyback.testing.gateways import DingTalkFake, FeishuFake, WeComFake

CODE_S = 300.0  # as long as all three documents say


@dataclass
class _Codes:
    """Codes that were given out, each for one use, with what they are good for."""

    out: dict[str, tuple[float, dict[str, str]]] = field(default_factory=dict)

    def give(self, **what: str) -> str:
        code = secrets.token_urlsafe(24)
        self.out[code] = time.monotonic() + CODE_S, what
        return code

    def take(self, code: str) -> dict[str, str] | None:
        until, what = self.out.pop(code, (0.0, {}))
        return what if until > time.monotonic() else None

    def expire(self) -> None:
        self.out = {code: (0.0, what) for code, (_, what) in self.out.items()}


class _SignsIn:
    """What the three have in common."""

    def __init__(self) -> None:
        self.signed_in = "maya.okafor"
        self.domain = "127.0.0.1"  # that redirect addresses have to have
        self.codes = _Codes()
        super().__init__()

    def leads_home(self, q: Mapping[str, str]) -> bool:
        return urlsplit(q.get("redirect_uri", "")).hostname == self.domain

    def sent_back(self, q: Mapping[str, str], **query: str) -> Response:
        return Response(status_code=302, headers={"location": f"{q['redirect_uri']}?{urlencode(query)}"})


class WeComSignIn(_SignsIn, WeComFake):
    """WeCom: a page with a QR code, another one inside the app, and `getuserinfo`."""

    def routes(self) -> Sequence[Any]:
        return [
            *super().routes(),
            ("GET", "/wwlogin/sso/login", self._page),
            ("GET", "/connect/oauth2/authorize", self._page),
            ("GET", "/cgi-bin/auth/getuserinfo", self._who),
        ]

    async def _page(self, request: Request, body: bytes) -> Response:
        q = request.query_params
        ours = (q.get("appid"), q.get("agentid")) == (self.corp_id, str(self.agent_id))
        if not ours or not self.leads_home(q) or not re.fullmatch(r"[a-zA-Z0-9]{1,128}", q.get("state", "")):
            return Response("redirect_uri 与配置的授权完成回调域名不一致", 400)
        if not self.signed_in:
            return self.sent_back(q, state=q["state"])
        return self.sent_back(q, code=self.codes.give(who=self.signed_in), state=q["state"])

    async def _who(self, request: Request, body: bytes) -> Response:
        q = request.query_params
        if not self.knows(q.get("access_token", "")):
            return self._no(42001, "access_token expired")
        if self.trouble == "busy":
            return self._no(45009, "api freq out of limit")
        found = self.codes.take(q.get("code", ""))
        if found is None:
            return self._no(40029, "invalid code")
        inside = not found["who"].startswith("outside-")
        return JSONResponse({"errcode": 0, "errmsg": "ok", ("userid" if inside else "openid"): found["who"]})


class DingTalkSignIn(_SignsIn, DingTalkFake):
    """DingTalk: the page, a token for a code, the person's union id, and which member that is."""

    def __init__(self) -> None:
        super().__init__()
        self._people: dict[str, str] = {}  # token of a person, and union id, to who it is

    def routes(self) -> Sequence[Any]:
        return [
            *super().routes(),
            ("GET", "/oauth2/auth", self._page),
            ("POST", "/v1.0/oauth2/userAccessToken", self._exchange),
            ("GET", "/v1.0/contact/users/me", self._me),
            ("POST", "/topapi/user/getbyunionid", self._member),
        ]

    async def _page(self, request: Request, body: bytes) -> Response:
        q = request.query_params
        if q.get("client_id") != self.app_key or q.get("response_type") != "code" or not self.leads_home(q):
            return Response("url不匹配", 400)
        if not self.signed_in:
            return self.sent_back(q, state=q["state"], error="access_denied")
        return self.sent_back(q, authCode=self.codes.give(who=self.signed_in), state=q["state"])

    async def _exchange(self, request: Request, body: bytes) -> Response:
        m = json.loads(body)
        if (m["clientId"], m["clientSecret"]) != (self.app_key, self.secret):
            return self._no("invalidClientIdOrSecret", "无效的clientId或者clientSecret", 400)
        if self.trouble == "busy":
            return self._no("Forbidden.AccessDenied.QpsLimitForAppkeyAndApi", "应用请求被限流", 403)
        found = self.codes.take(m["code"])
        if found is None:
            return self._no("invalidParameter.authCode.notFound", "不存在的临时授权码", 400)
        token = secrets.token_urlsafe(24)
        self._people[token] = found["who"]
        return JSONResponse({"accessToken": token, "refreshToken": "r", "expireIn": 7200, "corpId": "dingcorp"})

    async def _me(self, request: Request, body: bytes) -> Response:
        who = self._people.get(request.headers.get("x-acs-dingtalk-access-token", ""))
        if who is None:
            return self._no("InvalidAuthentication", "不合法的access_token", 400)
        union = f"U{hashlib.sha256(who.encode()).hexdigest()[:20]}iEiE"
        self._people[union] = who
        return JSONResponse({"nick": "Maya", "openId": f"o{union}", "unionId": union})

    async def _member(self, request: Request, body: bytes) -> Response:
        if not self.knows(request.query_params.get("access_token", "")):
            return self._old(88, "dingtalk error", sub_code="40014", sub_msg="不合法的access_token")
        who = self._people.get(json.loads(body)["unionid"], "")
        if not who or who.startswith("outside-"):
            return self._old(60121, "找不到该用户")
        return self._old(0, "ok", result={"contact_type": 0, "userid": who})


class FeishuSignIn(_SignsIn, FeishuFake):
    """Feishu: the page with PKCE, a token for a code, and whom it is of."""

    def __init__(self) -> None:
        super().__init__()
        self._people: dict[str, str] = {}

    def routes(self) -> Sequence[Any]:
        return [
            *super().routes(),
            ("GET", "/open-apis/authen/v1/authorize", self._page),
            ("POST", "/oauth/v3/token", self._exchange),
            ("GET", "/open-apis/authen/v1/user_info", self._me),
        ]

    async def _page(self, request: Request, body: bytes) -> Response:
        q = request.query_params
        if q.get("client_id") != self.app_id or q.get("response_type") != "code" or not self.leads_home(q):
            return Response("错误码：20029 redirect_uri 请求不合法", 400)
        if not self.signed_in:
            return self.sent_back(q, error="access_denied", state=q["state"])
        kept = {"who": self.signed_in, "uri": q["redirect_uri"], "challenge": q.get("code_challenge", "")}
        return self.sent_back(q, code=self.codes.give(**kept), state=q["state"])

    async def _exchange(self, request: Request, body: bytes) -> Response:
        m = json.loads(body)
        if (m["client_id"], m["client_secret"]) != (self.app_id, self.secret):
            return self._refused(20002, "invalid_client", "The client secret is invalid.")
        if self.trouble == "busy":
            return JSONResponse({"code": 99991400, "msg": "request trigger frequency limit"}, 429)
        found = self.codes.take(m["code"])
        if found is None:
            return self._refused(20003, "invalid_grant", "The authorization code is invalid or has been used.")
        if found["who"].startswith("outside-"):
            return self._refused(20010, "access_denied", "The user has no permission to use the app.")
        digest = hashlib.sha256(m.get("code_verifier", "").encode()).digest()
        right = base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == found["challenge"]
        if not right or m.get("redirect_uri") != found["uri"]:
            return self._refused(20049, "invalid_grant", "PKCE code challenge failed.")
        token = secrets.token_urlsafe(24)
        self._people[token] = found["who"]
        return JSONResponse({"code": 0, "access_token": token, "expires_in": 7200, "token_type": "Bearer", "scope": ""})

    async def _me(self, request: Request, body: bytes) -> Response:
        who = self._people.get(request.headers.get("authorization", "").removeprefix("Bearer "))
        if who is None:
            return self._no(99991668, "Invalid access token for authorization.", 400)
        ids = {"open_id": who, "union_id": f"on_{who}", "user_id": f"u_{who}"}
        return JSONResponse({"code": 0, "msg": "success", "data": {"name": "Maya", **ids}})

    def _refused(self, code: int, error: str, description: str) -> Response:
        return JSONResponse({"code": code, "error": error, "error_description": description}, 400)
