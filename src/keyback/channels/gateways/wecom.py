"""Messages of an own application in WeCom (企业微信自建应用), `message/send`.

Sources: developer.work.weixin.qq.com, documents 90236 (message/send), 91039 (gettoken), 90313 (codes). A message is
marked confidential (`safe`), so that it cannot be passed on, and WeCom drops a repeat within half an hour.
"""

from __future__ import annotations

from collections.abc import Mapping

from keyback.application.ports.channels import Receipt
from keyback.channels.gateways import base
from keyback.channels.gateways.access_token import ChatApplication
from keyback.channels.gateways.base import GatewayAbout, GatewayOptions, GatewayVerdict, codes, receipt
from keyback.channels.gateways.texts import ShortMessage
from keyback.domain.secret import Secret
from keyback.outbound.http import NotDone

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

    async def _fetch(self) -> tuple[Secret, float]:
        query = {"corpid": self._o.corp_id, "corpsecret": self._secret.reveal()}
        answer = (await self._http.call("GET", "cgi-bin/gettoken", query=query, repeatable=True)).json()
        code = answer.get("errcode")
        if code:
            busy = CODES.get(code) == base.BUSY
            raise NotDone("unavailable" if busy else "auth_expired", f"gettoken: errcode {code}")
        return Secret(str(answer["access_token"])), float(answer["expires_in"])
