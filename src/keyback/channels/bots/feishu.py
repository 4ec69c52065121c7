"""A bot of an application in Feishu (飞书) that subscribes to `im.message.receive_v1`, and answers by the API.

Sources: open.feishu.cn, "配置 Encrypt Key", "将事件发送至开发者服务器" and "回复消息". The signature is SHA-256 over
instant, nonce, Encrypt Key and body; the body is AES-256-CBC by the SHA-256 of that key, the IV in front. The call that
tries the address has no signature: what it holds was sealed by the key and has the verification token.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from typing import Any

from keyback.application.ports.bots import BadCall, BotAnswer, BotCall, BotMessage
from keyback.channels.bots.common import (
    BLOCK,
    MAX_ID,
    MAX_NONCE,
    decrypt,
    is_fresh,
    object_of,
    text_in,
    whole_number,
)
from keyback.channels.gateways.access_token import AccessToken
from keyback.domain.secret import Secret
from keyback.outbound.http import Endpoint, NotDone

DONE = BotAnswer(b"{}", "application/json")
EVENT = "im.message.receive_v1"
BAD_TOKEN = frozenset({99991661, 99991663, 99991664, 99991665, 99991668, 99991677})
MAX_UUID = 50
ID = re.compile(r"[A-Za-z0-9_-]{1,128}")  # of a message: it becomes a part of an address


class FeishuBot:
    """One application.

    Args:
        app_id, secret: by which it answers.
        token: `Verification Token`.
        encrypt_key: `Encrypt Key`; without one, Feishu signs nothing.
        http: Feishu's address.
    """

    def __init__(self, app_id: str, secret: Secret, token: Secret, encrypt_key: Secret, http: Endpoint) -> None:
        self._app_id, self._secret, self._verification, self._key = app_id, secret, token, encrypt_key
        self._http, self._access = http, AccessToken(self._fetch)

    def read(self, call: BotCall, now: int) -> BotMessage | BotAnswer:
        if call.method != "POST":
            raise BadCall("bad_signature")
        given = call.headers.get("x-lark-signature", "")
        if given:
            written = call.headers.get("x-lark-request-timestamp", "")
            nonce = call.headers.get("x-lark-request-nonce", "")[: MAX_NONCE + 1]
            head = f"{written}{nonce}{self._key.reveal()}".encode("utf-8", "replace")
            if not hmac.compare_digest(hashlib.sha256(head + call.body).hexdigest().encode(), given.encode()):
                raise BadCall("bad_signature")
            if not is_fresh(whole_number(written) * 1000, now):
                raise BadCall("stale")
        said = self._open(call.body, signed=bool(given))
        if said.get("type") == "url_verification":
            self._is_ours(text_in(said, "token"))
            challenge = text_in(said, "challenge", most=1000)
            return BotAnswer(json.dumps({"challenge": challenge}).encode(), "application/json")
        if not given:
            raise BadCall("bad_signature")
        self._is_ours(text_in(said, "header", "token"))
        return self._message(said)

    def _message(self, said: Mapping[str, Any]) -> BotMessage | BotAnswer:
        wrong_kind = text_in(said, "event", "message", "message_type") != "text"
        if text_in(said, "header", "event_type") != EVENT or wrong_kind:
            return DONE
        try:
            text = text_in(json.loads(text_in(said, "event", "message", "content")), "text")
        except (ValueError, RecursionError):
            return DONE
        at = text_in(said, "event", "message", "message_id", most=MAX_ID)
        sender = text_in(said, "event", "sender", "sender_id", "open_id", most=MAX_ID)
        direct = text_in(said, "event", "message", "chat_type") == "p2p"
        return BotMessage(at, sender, text, direct, at) if ID.fullmatch(at) and sender else DONE

    def _is_ours(self, token: str) -> None:
        if not hmac.compare_digest(token.encode("utf-8", "replace"), self._verification.reveal().encode()):
            raise BadCall("bad_signature")

    def _open(self, body: bytes, *, signed: bool) -> dict[str, Any]:
        """What was sealed; all that is wrong with a call without a signature is one refusal."""
        try:
            raw = base64.b64decode(text_in(object_of(body), "encrypt", most=100_000), validate=True)
            if len(raw) <= BLOCK:
                raise BadCall("malformed")
            key = hashlib.sha256(self._key.reveal().encode()).digest()
            return object_of(decrypt(key, raw[:BLOCK], raw[BLOCK:], BLOCK))
        except (binascii.Error, ValueError, BadCall):
            raise BadCall("malformed" if signed else "bad_signature") from None

    async def answer(self, message: BotMessage, text: str, now: int) -> BotAnswer:
        if not text:
            return DONE
        once = hashlib.sha256(message.id.encode()).hexdigest()[:MAX_UUID]
        said = {"msg_type": "text", "content": json.dumps({"text": text}, ensure_ascii=False), "uuid": once}

        async def send(token: Secret) -> int | None:
            headers = {"Authorization": Secret(f"Bearer {token.reveal()}")}
            reply = await self._http.call(
                "POST", f"open-apis/im/v1/messages/{message.back}/reply", json=said, headers=headers
            )
            code = reply.json().get("code", -1)
            return None if code in BAD_TOKEN else int(code)

        code = await self._access.use(send)
        if code:
            raise NotDone("refused", f"code {code}")
        return DONE

    async def check(self) -> None:
        """Raises `Unavailable` when our credentials get no access token."""
        await self._access.check()

    async def close(self) -> None:
        await self._http.close()

    async def _fetch(self) -> tuple[Secret, float]:
        body = {"app_id": self._app_id, "app_secret": self._secret.reveal()}
        path = "open-apis/auth/v3/tenant_access_token/internal"
        answer = (await self._http.call("POST", path, json=body, repeatable=True)).json()
        if answer.get("code"):
            raise NotDone("auth_expired", f"tenant_access_token: code {answer['code']}")
        return Secret(str(answer["tenant_access_token"])), float(answer["expire"])
