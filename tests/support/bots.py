"""Chat services as their documents have them, and written from those alone: what they send, sign, seal and take."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import struct
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.padding import PKCS7
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route


@dataclass
class Sent:
    """A request that a service makes."""

    method: str
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


def _aes(key: bytes, iv: bytes, bits: int, data: bytes, *, seal: bool) -> bytes:
    cipher = Cipher(algorithms.AES(key), modes.CBC(iv))
    if seal:
        padder = PKCS7(bits).padder()
        enc = cipher.encryptor()
        return enc.update(padder.update(data) + padder.finalize()) + enc.finalize()
    dec = cipher.decryptor()
    unpadder = PKCS7(bits).unpadder()
    return unpadder.update(dec.update(data) + dec.finalize()) + unpadder.finalize()


@dataclass
class WeCom:
    """An application's callback (documents 90930, 90968, 90239, 90241)."""

    corp_id: str = "wx5823bf96d3bd56c7"
    token: str = "QDG6eK"
    aes_key: str = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"

    def _key(self) -> bytes:
        return base64.b64decode(self.aes_key + "=")

    def sign(self, *parts: str) -> str:
        return hashlib.sha1("".join(sorted([self.token, *parts])).encode()).hexdigest()

    def seal(self, text: str, corp_id: str = "") -> str:
        raw = text.encode()
        plain = os.urandom(16) + struct.pack("!I", len(raw)) + raw + (corp_id or self.corp_id).encode()
        return base64.b64encode(_aes(self._key(), self._key()[:16], 256, plain, seal=True)).decode()

    def query(self, sealed: str, at: int) -> dict[str, str]:
        stamp, nonce = str(at // 1000), "1597212914"
        return {"msg_signature": self.sign(stamp, nonce, sealed), "timestamp": stamp, "nonce": nonce}

    def trial(self, text: str, at: int) -> Sent:
        sealed = self.seal(text)
        return Sent("GET", {**self.query(sealed, at), "echostr": sealed})

    def message(self, text: str, at: int, id: str = "6054768590064713728", kind: str = "text", **over: str) -> Sent:
        inner = (
            f"<xml><ToUserName><![CDATA[{self.corp_id}]]></ToUserName><FromUserName><![CDATA[maya]]></FromUserName>"
            f"<CreateTime>{at // 1000}</CreateTime><MsgType><![CDATA[{kind}]]></MsgType>"
            f"<Content><![CDATA[{text}]]></Content><MsgId>{id}</MsgId><AgentID>1000002</AgentID></xml>"
        )
        sealed = self.seal(inner, over.get("corp_id", ""))
        body = (
            f"<xml><ToUserName><![CDATA[{self.corp_id}]]></ToUserName><Encrypt><![CDATA[{sealed}]]></Encrypt>"
            "<AgentID><![CDATA[1000002]]></AgentID></xml>"
        )
        return Sent("POST", self.query(sealed, at), {"content-type": "text/xml"}, body.encode())

    def read(self, answer: str) -> str:
        """The text of an answer, after all that WeCom checks."""
        found = dict(re.findall(r"<(\w+)>(?:<!\[CDATA\[)?([^<\]]*)(?:\]\]>)?</\1>", answer))
        assert found["MsgSignature"] == self.sign(found["TimeStamp"], found["Nonce"], found["Encrypt"])
        plain = _aes(self._key(), self._key()[:16], 256, base64.b64decode(found["Encrypt"]), seal=False)
        (length,) = struct.unpack("!I", plain[16:20])
        assert plain[20 + length :].decode() == self.corp_id
        inner = plain[20 : 20 + length].decode()
        to = re.search(r"<ToUserName><!\[CDATA\[(.*?)\]\]>", inner)
        text = re.search(r"<Content><!\[CDATA\[(.*?)\]\]></Content>", inner, re.S)
        assert to
        assert text
        assert to[1] == "maya"
        return text[1]


@dataclass
class DingTalk:
    """A robot in HTTP mode ("机器人接收消息"), and the address at which it is answered."""

    secret: str = "SEC-this-is-the-app-secret"
    said: list[tuple[str, str]] = field(default_factory=list)
    code: int = 0

    def message(self, text: str, at: int, id: str = "msg0001", **over: Any) -> Sent:
        sign = hmac.new(self.secret.encode(), f"{at}\n{self.secret}".encode(), hashlib.sha256).digest()
        body = {
            "msgtype": "text", "text": {"content": text}, "msgId": id, "conversationType": "1",
            "senderStaffId": "maya", "senderId": "$:LWCP_v1:$Ff09GI", "isAdmin": True,
            "sessionWebhook": "https://oapi.dingtalk.com/robot/sendBySession?session=ses-1",
        }  # fmt: skip
        headers = {"timestamp": str(at), "sign": base64.b64encode(sign).decode(), "content-type": "application/json"}
        return Sent("POST", {}, headers, json.dumps({**body, **over}).encode())

    async def _take(self, request: Request) -> Response:
        body = await request.json()
        assert body["msgtype"] == "text"
        self.said.append((request.query_params["session"], body["text"]["content"]))
        return JSONResponse({"errcode": self.code, "errmsg": "ok"})

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/robot/sendBySession", self._take, methods=["POST"])])


@dataclass
class Feishu:
    """An application that subscribes to events ("配置 Encrypt Key"), and the API by which it answers."""

    app_id: str = "cli_a1b2c3"
    secret: str = "the-secret-of-the-application"
    token: str = "the-verification-token"
    encrypt_key: str = "the-encrypt-key-of-it"
    said: list[tuple[str, str]] = field(default_factory=list)
    code: int = 0

    def seal(self, value: object) -> bytes:
        iv, key = os.urandom(16), hashlib.sha256(self.encrypt_key.encode()).digest()
        sealed = iv + _aes(key, iv, 128, json.dumps(value).encode(), seal=True)
        return json.dumps({"encrypt": base64.b64encode(sealed).decode()}).encode()

    def signed(self, body: bytes, at: int) -> dict[str, str]:
        stamp, nonce = str(at // 1000), "n0nce"
        sign = hashlib.sha256((stamp + nonce + self.encrypt_key).encode() + body).hexdigest()
        return {
            "x-lark-signature": sign, "x-lark-request-timestamp": stamp, "x-lark-request-nonce": nonce,
            "content-type": "application/json",
        }  # fmt: skip

    def trial(self, text: str, **over: str) -> Sent:
        body = self.seal({"challenge": text, "token": self.token, "type": "url_verification", **over})
        return Sent("POST", {}, {"content-type": "application/json"}, body)

    def message(self, text: str, at: int, id: str = "om_1", token: str = "", **over: str) -> Sent:
        message = {"message_id": id, "chat_type": "p2p", "message_type": "text", "content": json.dumps({"text": text})}
        sender = {"sender_id": {"open_id": "ou_maya"}}
        header = {"event_id": f"e-{id}", "event_type": "im.message.receive_v1", "token": token or self.token}
        body = self.seal(
            {"schema": "2.0", "header": header, "event": {"sender": sender, "message": {**message, **over}}}
        )
        return Sent("POST", {}, self.signed(body, at), body)

    async def _token(self, request: Request) -> Response:
        right = await request.json() == {"app_id": self.app_id, "app_secret": self.secret}
        given = {"code": 0, "tenant_access_token": "t-1", "expire": 7200} if right else {"code": 10014}
        return JSONResponse(given)

    async def _reply(self, request: Request) -> Response:
        assert request.headers["authorization"] == "Bearer t-1"
        body = await request.json()
        assert body["msg_type"] == "text"
        assert len(body["uuid"]) <= 50
        if not self.code:
            self.said.append((request.path_params["id"], json.loads(body["content"])["text"]))
        return JSONResponse({"code": self.code})

    def app(self) -> Starlette:
        at = "/open-apis/auth/v3/tenant_access_token/internal"
        reply = "/open-apis/im/v1/messages/{id}/reply"
        return Starlette(routes=[Route(at, self._token, methods=["POST"]), Route(reply, self._reply, methods=["POST"])])
