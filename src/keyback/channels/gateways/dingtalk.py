"""Messages by DingTalk (钉钉): as the work notice of an application, or from its robot to one person.

Sources: open.dingtalk.com, "获取企业内部应用的accessToken" (v1.0/oauth2), "发送工作通知" (asyncsend_v2) and
"批量发送人与机器人会话中机器人消息" (oToMessages/batchSend). DingTalk shows an equal work notice to a person
once a day, so a repeat after a lost answer does not ring twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import model_validator

from keyback.application.ports.channels import Receipt
from keyback.channels.gateways import base
from keyback.channels.gateways.access_token import ChatApplication
from keyback.channels.gateways.base import GatewayAbout, GatewayOptions, GatewayVerdict, codes, receipt
from keyback.channels.gateways.texts import ShortMessage
from keyback.domain.secret import Secret
from keyback.outbound.http import NotDone, Reply

BAD_TOKEN = frozenset({"40001", "40014", "42001", "InvalidAuthentication"})
# Of both interfaces: numbers of the older one, words of the newer.
CODES: Mapping[str, GatewayVerdict] = {
    "-1": base.BUSY, "90018": base.BUSY, "90006": base.BUSY, "90008": base.BUSY, "143103": base.BUSY,
    "Forbidden.AccessDenied.QpsLimitForAppkeyAndApi": base.BUSY, "Throttling": base.BUSY,
    "33012": base.BAD_RECIPIENT, "40031": base.BAD_RECIPIENT, "60121": base.BAD_RECIPIENT,
    "staffId.notExisted": base.BAD_RECIPIENT,
    "40035": base.BAD_MESSAGE, "400002": base.BAD_MESSAGE, "invalidParameter.msgParam.invalid": base.BAD_MESSAGE,
}  # fmt: skip


class DingTalkOptions(GatewayOptions):
    """Keys of the section: `app_key` and `secret` of the application; `agent_id` for work notices, or `robot_code`.

    Args:
        url: where tokens and the robot are.
        notices_url: where work notices are.
    """

    url: str = "https://api.dingtalk.com"
    notices_url: str = "https://oapi.dingtalk.com"
    app_key: str
    agent_id: int | None = None
    robot_code: str = ""

    @model_validator(mode="after")
    def _one_way(self) -> DingTalkOptions:
        if bool(self.agent_id) == bool(self.robot_code):
            raise ValueError("give agent_id for work notices, or robot_code for a robot")
        return self


class DingTalkIm(ChatApplication[DingTalkOptions]):
    """Sends as one application; people are known by their user id in the company."""

    Options = DingTalkOptions
    about = GatewayAbout({"en": "DingTalk", "zh_CN": "钉钉"}, frozenset({"im"}), DingTalkOptions, codes(CODES))

    def __init__(self, options: DingTalkOptions, secret: Secret) -> None:
        super().__init__(options, secret)
        self._notices = self._endpoint(options.notices_url)

    async def deliver(self, message: ShortMessage) -> Receipt:
        send = self._robot if self._o.robot_code else self._notice
        return await self._token.use(lambda token: send(message, token))

    async def close(self) -> None:
        await super().close()
        await self._notices.close()

    async def _notice(self, message: ShortMessage, token: Secret) -> Receipt | None:
        body = {
            "agent_id": self._o.agent_id,
            "userid_list": message.to,
            "msg": {"msgtype": "text", "text": {"content": message.text}},
        }
        path, query = "topapi/message/corpconversation/asyncsend_v2", {"access_token": token.reveal()}
        answer = (await self._notices.call("POST", path, json=body, query=query)).json()
        code = str(answer["errcode"])
        if code == "88":  # the gateway's word for "see the other code"
            code = str(answer.get("sub_code", code))
        if code in BAD_TOKEN:
            return None
        return receipt(base.OK if code == "0" else CODES.get(code, base.REFUSES_US), code=f"errcode {code}")

    async def _robot(self, message: ShortMessage, token: Secret) -> Receipt | None:
        body = {
            "robotCode": self._o.robot_code,
            "userIds": [message.to],
            "msgKey": "sampleText",
            "msgParam": json.dumps({"content": message.text}, ensure_ascii=False),
        }
        headers = {"x-acs-dingtalk-access-token": token}
        reply = await self._http.call("POST", "v1.0/robot/oToMessages/batchSend", json=body, headers=headers)
        answer = reply.json()
        if reply.status < 300:
            if answer.get("invalidStaffIdList"):
                return receipt(base.BAD_RECIPIENT, "invalidStaffIdList")
            if answer.get("flowControlledStaffIdList"):
                return receipt(base.BUSY, "flowControlledStaffIdList")
            return receipt(base.OK)
        return _refusal(reply, str(answer.get("code")))

    async def _fetch(self) -> tuple[Secret, float]:
        body = {"appKey": self._o.app_key, "appSecret": self._secret.reveal()}
        reply = await self._http.call("POST", "v1.0/oauth2/accessToken", json=body, repeatable=True)
        answer = reply.json()
        if reply.status < 300:
            return Secret(str(answer["accessToken"])), float(answer["expireIn"])
        refused = _refusal(reply, str(answer.get("code")))
        busy = refused is not None and refused.code == "busy"
        raise NotDone("unavailable" if busy else "auth_expired", f"accessToken: {answer.get('code')}")


def _refusal(reply: Reply, code: str) -> Receipt | None:
    """What an error of the newer interface means; None for a token that is refused."""
    if code in BAD_TOKEN:
        return None
    return receipt(base.BUSY if reply.status == 429 else CODES.get(code, base.REFUSES_US), code=code)
