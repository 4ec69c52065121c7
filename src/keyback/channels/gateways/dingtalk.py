"""Messages by DingTalk (钉钉): as the work notice of an application, or from its robot to one person.

Sources: open.dingtalk.com, "获取企业内部应用的accessToken" (v1.0/oauth2), "发送工作通知" (asyncsend_v2) and
"批量发送人与机器人会话中机器人消息" (oToMessages/batchSend); for linking "登录第三方网站" (oauth2/auth,
userAccessToken), "获取用户通讯录个人信息" (contact/users/me), "根据unionid获取用户userid" (getbyunionid). DingTalk
shows an equal work notice to a person once a day, so a repeat after a lost answer does not ring twice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import model_validator

from keyback.application.ports.channels import Receipt
from keyback.application.ports.sign_in import SignInRefused
from keyback.channels.gateways import base
from keyback.channels.gateways.access_token import ChatApplication, person_id, web_address
from keyback.channels.gateways.base import GatewayAbout, GatewayOptions, GatewayVerdict, codes, receipt
from keyback.channels.gateways.texts import ShortMessage
from keyback.domain.secret import Secret
from keyback.outbound.http import NotDone, Reply, vendor_text

NO_MEMBER = frozenset({"60121", "40103"})
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
        notices_url: where work notices are, and which member somebody is.
        sign_in_url: where people sign in.
    """

    url: str = "https://api.dingtalk.com"
    notices_url: str = "https://oapi.dingtalk.com"
    sign_in_url: str = "https://login.dingtalk.com"
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

    def address(self, redirect_uri: str, state: str, verifier: str, *, inside: bool) -> str:
        """On the web a page with a QR code; DingTalk has no PKCE."""
        query = {
            "redirect_uri": redirect_uri, "response_type": "code", "client_id": self._o.app_key, "scope": "openid",
            "state": state, "prompt": "consent",
        }  # fmt: skip
        return web_address(self._o.sign_in_url, "oauth2/auth", query)

    def is_inside(self, agent: str) -> bool:
        return "DingTalk/" in agent

    async def who(self, code: str, redirect_uri: str, verifier: str) -> str:
        ours = {"clientId": self._o.app_key, "clientSecret": self._secret.reveal()}
        body = {**ours, "code": code, "grantType": "authorization_code"}
        token = _said(await self._http.call("POST", "v1.0/oauth2/userAccessToken", json=body), "accessToken")
        theirs = {"x-acs-dingtalk-access-token": Secret(token)}
        union = _said(await self._http.call("GET", "v1.0/contact/users/me", headers=theirs), "unionId")

        async def member(token: Secret) -> Any:
            query, path = {"access_token": token.reveal()}, "topapi/user/getbyunionid"
            answer = (await self._notices.call("POST", path, json={"unionid": union}, query=query)).json()
            return None if str(answer.get("sub_code") or answer["errcode"]) in BAD_TOKEN else answer

        answer = await self._token.use(member)
        number = str(answer["errcode"])
        if number in CODES and CODES[number] == base.BUSY:
            raise NotDone("unavailable", f"getbyunionid: errcode {number}")
        found = answer.get("result") or {}
        if number != "0" and number not in NO_MEMBER:
            raise SignInRefused("client")
        return person_id(found.get("userid") if found.get("contact_type") == 0 else None)  # 1: from outside

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


def _said(reply: Reply, name: str) -> str:
    """One word of an answer about a person who signs in."""
    answer = reply.json()
    if reply.status == 429 or CODES.get(str(answer.get("code"))) == base.BUSY:
        raise NotDone("unavailable", f"DingTalk: {vendor_text(answer.get('code'))[:60]}")
    found = answer.get(name)
    if reply.status != 200 or not isinstance(found, str) or not found:
        raise SignInRefused("client" if str(answer.get("code")) == "invalidClientIdOrSecret" else "code")
    return found
