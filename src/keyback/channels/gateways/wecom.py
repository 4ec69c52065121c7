"""Messages of an own application in WeCom (企业微信自建应用), `message/send`.

Sources: developer.work.weixin.qq.com, documents 90236 (message/send), 91039 (gettoken), 90313 (codes); for linking
98151 (on the web), 91022 (inside the app) and 91023 (getuserinfo). A message is marked confidential (`safe`), so that
it cannot be passed on, and WeCom drops a repeat within half an hour.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keyback.application.ports.channels import Receipt
from keyback.application.ports.sign_in import SignInRefused
from keyback.channels.gateways import base
from keyback.channels.gateways.access_token import ChatApplication, person_id, web_address
from keyback.channels.gateways.base import GatewayAbout, GatewayOptions, GatewayVerdict, codes, receipt
from keyback.channels.gateways.texts import ShortMessage
from keyback.domain.secret import Secret
from keyback.outbound.http import NotDone

BAD_CODE = frozenset({40029, 42003})
BAD_TOKEN = frozenset({40014, 41001, 42001})
CODES: Mapping[int, GatewayVerdict] = {
    -1: base.BUSY, 45009: base.BUSY, 45033: base.BUSY, 45047: base.BUSY, 45011: base.BUSY,
    40003: base.BAD_RECIPIENT, 60111: base.BAD_RECIPIENT, 81013: base.BAD_RECIPIENT, 82001: base.BAD_RECIPIENT,
    45002: base.BAD_MESSAGE, 40008: base.BAD_MESSAGE, 44004: base.BAD_MESSAGE,
    45032: base.BAD_MESSAGE,
}  # fmt: skip


class WeComOptions(GatewayOptions):
    """Keys of the section; `secret` is the application's."""

    url: str = "https://qyapi.weixin.qq.com"
    sign_in_url: str = "https://login.work.weixin.qq.com"
    in_app_url: str = "https://open.weixin.qq.com"
    corp_id: str
    agent_id: int


class WeComIm(ChatApplication[WeComOptions]):
    """Sends as one application; people are known by their WeCom user id."""

    Options = WeComOptions
    about = GatewayAbout({"en": "WeCom", "zh_CN": "企业微信"}, frozenset({"im"}), WeComOptions, codes(CODES))

    async def deliver(self, message: ShortMessage) -> Receipt:
        body = {
            "touser": message.to,
            "msgtype": "text",
            "agentid": self._o.agent_id,
            "text": {"content": message.text},
            "safe": 1,
            "enable_duplicate_check": 1,
            "duplicate_check_interval": 1800,
        }

        async def send(token: Secret) -> Receipt | None:
            query = {"access_token": token.reveal()}
            answer = (await self._http.call("POST", "cgi-bin/message/send", json=body, query=query)).json()
            code = answer["errcode"]
            if code in BAD_TOKEN:
                return None
            if code == 0 and answer.get("invaliduser"):
                return receipt(base.BAD_RECIPIENT, "invaliduser")
            if code == 0 and answer.get("unlicenseduser"):
                return receipt(base.REFUSES_US, "unlicenseduser")
            # What is not listed is about the application: its rights, its address list, its id.
            return receipt(base.OK if code == 0 else CODES.get(code, base.REFUSES_US), code=f"errcode {code}")

        return await self._token.use(send)

    def address(self, redirect_uri: str, state: str, verifier: str, *, inside: bool) -> str:
        """On the web a page with a QR code for the app; WeCom has no PKCE."""
        ours = {"appid": self._o.corp_id, "agentid": str(self._o.agent_id), "redirect_uri": redirect_uri}
        if inside:
            query = {**ours, "response_type": "code", "scope": "snsapi_base", "state": state}
            return web_address(self._o.in_app_url, "connect/oauth2/authorize", query) + "#wechat_redirect"
        query = {"login_type": "CorpApp", **ours, "state": state}
        return web_address(self._o.sign_in_url, "wwlogin/sso/login", query)

    def is_inside(self, agent: str) -> bool:
        return "wxwork/" in agent

    async def who(self, code: str, redirect_uri: str, verifier: str) -> str:
        async def ask(token: Secret) -> Any:
            query = {"access_token": token.reveal(), "code": code}
            answer = (await self._http.call("GET", "cgi-bin/auth/getuserinfo", query=query)).json()
            return None if answer["errcode"] in BAD_TOKEN else answer

        answer = await self._token.use(ask)
        if number := answer["errcode"]:
            if CODES.get(number) == base.BUSY:
                raise NotDone("unavailable", f"getuserinfo: errcode {number}")
            raise SignInRefused("code" if number in BAD_CODE else "client")
        return person_id(answer.get("userid"))  # whoever is no member has an openid alone

    async def _fetch(self) -> tuple[Secret, float]:
        query = {"corpid": self._o.corp_id, "corpsecret": self._secret.reveal()}
        answer = (await self._http.call("GET", "cgi-bin/gettoken", query=query, repeatable=True)).json()
        code = answer.get("errcode")
        if code:
            busy = CODES.get(code) == base.BUSY
            raise NotDone("unavailable" if busy else "auth_expired", f"gettoken: errcode {code}")
        return Secret(str(answer["access_token"])), float(answer["expires_in"])
