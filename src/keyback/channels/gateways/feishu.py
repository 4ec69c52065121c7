"""Messages of an application in Feishu (飞书), `im/v1/messages`.

Sources: open.feishu.cn, "发送消息", "自建应用获取tenant_access_token" and "服务端错误码说明"; for linking
"获取授权码", "获取user_access_token" (v3, RFC 7636) and "获取用户信息". Feishu drops a repeat
with the same `uuid` within an hour.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from keyback.application.ports.channels import Receipt
from keyback.application.ports.sign_in import SignInRefused
from keyback.channels.gateways import base
from keyback.channels.gateways.access_token import ChatApplication, code_challenge, person_id, web_address
from keyback.channels.gateways.base import GatewayAbout, GatewayOptions, GatewayVerdict, codes, receipt
from keyback.channels.gateways.texts import ShortMessage
from keyback.domain.secret import Secret
from keyback.outbound.http import NotDone, Reply

BAD_TOKEN = frozenset({99991661, 99991663, 99991664, 99991665, 99991668, 99991677})
CODES: Mapping[int, GatewayVerdict] = {
    99991400: base.BUSY, 230020: base.BUSY, 230049: base.BUSY, 232019: base.BUSY, 11232: base.BUSY,
    230002: base.BAD_RECIPIENT, 230013: base.BAD_RECIPIENT, 230029: base.BAD_RECIPIENT, 230034: base.BAD_RECIPIENT,
    230053: base.BAD_RECIPIENT, 99992361: base.BAD_RECIPIENT, 99992351: base.BAD_RECIPIENT,
    230025: base.BAD_MESSAGE, 230028: base.BAD_MESSAGE,
}  # fmt: skip
MAX_UUID = 50
NO_RIGHT = 20010  # whoever the application is not for
BAD_CLIENT = frozenset({20002, 20048})


class FeishuOptions(GatewayOptions):
    """Keys of the section; `secret` is the application's. `address` says what a contact's id is."""

    url: str = "https://open.feishu.cn"
    sign_in_url: str = "https://accounts.feishu.cn"
    app_id: str
    address: Literal["open_id", "user_id", "union_id"] = "open_id"


class FeishuIm(ChatApplication[FeishuOptions]):
    """Sends as one application."""

    Options = FeishuOptions
    about = GatewayAbout({"en": "Feishu", "zh_CN": "飞书"}, frozenset({"im"}), FeishuOptions, codes(CODES))

    def __init__(self, options: FeishuOptions, secret: Secret) -> None:
        super().__init__(options, secret)
        self._accounts = self._endpoint(options.sign_in_url)

    async def deliver(self, message: ShortMessage) -> Receipt:
        body = {
            "receive_id": message.to,
            "msg_type": "text",
            "content": json.dumps({"text": message.text}, ensure_ascii=False),
            "uuid": message.id[:MAX_UUID],
        }

        async def send(token: Secret) -> Receipt | None:
            headers = {"Authorization": Secret(f"Bearer {token.reveal()}")}
            query = {"receive_id_type": self._o.address}
            reply = await self._http.call("POST", "open-apis/im/v1/messages", json=body, query=query, headers=headers)
            if reply.status == 429:
                return receipt(base.BUSY, "HTTP 429")
            code = reply.json()["code"]
            if code in BAD_TOKEN:
                return None
            return receipt(base.OK if code == 0 else CODES.get(code, base.REFUSES_US), code=f"code {code}")

        return await self._token.use(send)

    def address(self, redirect_uri: str, state: str, verifier: str, *, inside: bool) -> str:
        query = {
            "client_id": self._o.app_id, "redirect_uri": redirect_uri, "response_type": "code", "state": state,
            "code_challenge": code_challenge(verifier), "code_challenge_method": "S256",
        }  # fmt: skip
        return web_address(self._o.sign_in_url, "open-apis/authen/v1/authorize", query)

    def is_inside(self, agent: str) -> bool:
        return "Lark/" in agent

    async def who(self, code: str, redirect_uri: str, verifier: str) -> str:
        body = {
            "grant_type": "authorization_code", "client_id": self._o.app_id, "client_secret": self._secret.reveal(),
            "code": code, "redirect_uri": redirect_uri, "code_verifier": verifier,
        }  # fmt: skip
        token = _said(await self._accounts.call("POST", "oauth/v3/token", json=body)).get("access_token")
        headers = {"Authorization": Secret(f"Bearer {token}")}
        found = _said(await self._http.call("GET", "open-apis/authen/v1/user_info", headers=headers)).get("data") or {}
        return person_id(found.get(self._o.address))

    async def close(self) -> None:
        await super().close()
        await self._accounts.close()

    async def _fetch(self) -> tuple[Secret, float]:
        body = {"app_id": self._o.app_id, "app_secret": self._secret.reveal()}
        path = "open-apis/auth/v3/tenant_access_token/internal"
        reply = await self._http.call("POST", path, json=body, repeatable=True)
        if reply.status == 429:
            raise NotDone("unavailable", "tenant_access_token: HTTP 429")
        answer = reply.json()
        code = answer["code"]
        if code:
            busy = CODES.get(code) == base.BUSY
            raise NotDone("unavailable" if busy else "auth_expired", f"tenant_access_token: code {code}")
        return Secret(str(answer["tenant_access_token"])), float(answer["expire"])


def _said(reply: Reply) -> Mapping[str, Any]:
    """An answer about a person who signs in."""
    answer: Mapping[str, Any] = reply.json()
    code = answer.get("code")
    if reply.status == 429 or (isinstance(code, int) and CODES.get(code) == base.BUSY):
        raise NotDone("unavailable", f"Feishu: code {code}")
    if code:
        raise SignInRefused("stranger" if code == NO_RIGHT else "client" if code in BAD_CLIENT else "code")
    return answer
