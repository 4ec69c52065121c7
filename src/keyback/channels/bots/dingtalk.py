"""A company's own robot in DingTalk (钉钉), HTTP mode; it answers by the session that each message names.

Source: open.dingtalk.com, "机器人接收消息": `sign` is HMAC-SHA256 over the instant, a line feed and the application's
secret, by that secret, in base64. The body is not signed, so TLS and the instant are what protects it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from urllib.parse import parse_qs, urlsplit

from keyback.application.ports.bots import BadCall, BotAnswer, BotCall, BotMessage
from keyback.channels.bots.common import MAX_ID, is_fresh, object_of, text_in, whole_number
from keyback.domain.secret import Secret
from keyback.outbound.http import Endpoint, NotDone

DONE = BotAnswer(b"{}", "application/json")
PATH = "robot/sendBySession"


class DingTalkBot:
    """One robot.

    Args:
        secret: of the application (`appSecret`).
        http: DingTalk's address. Only the session of a message is taken from it, never an address.
    """

    def __init__(self, secret: Secret, http: Endpoint) -> None:
        self._secret, self._http = secret, http

    def read(self, call: BotCall, now: int) -> BotMessage | BotAnswer:
        written, given = call.headers.get("timestamp", ""), call.headers.get("sign", "")
        key = self._secret.reveal()
        right = base64.b64encode(hmac.digest(key.encode(), f"{written}\n{key}".encode(), hashlib.sha256))
        if call.method != "POST" or not hmac.compare_digest(right, given.encode("utf-8", "replace")):
            raise BadCall("bad_signature")
        if not is_fresh(whole_number(written), now):
            raise BadCall("stale")
        said = object_of(call.body)
        if said.get("msgtype") != "text":
            return DONE
        sender = text_in(said, "senderStaffId", most=MAX_ID) or text_in(said, "senderId", most=MAX_ID)
        session = parse_qs(urlsplit(text_in(said, "sessionWebhook", most=1000)).query).get("session", [""])[0]
        direct = said.get("conversationType") == "1"
        message = BotMessage(
            text_in(said, "msgId", most=MAX_ID), sender, text_in(said, "text", "content"), direct, session
        )
        return message if message.id and sender and session else DONE

    async def answer(self, message: BotMessage, text: str, now: int) -> BotAnswer:
        if text:
            said = {"msgtype": "text", "text": {"content": text}}
            reply = await self._http.call("POST", PATH, json=said, query={"session": message.back})
            code = reply.json().get("errcode", 0)
            if code:
                raise NotDone("refused", f"errcode {code}")
        return DONE

    async def close(self) -> None:
        await self._http.close()
