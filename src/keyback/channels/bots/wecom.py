"""An application in WeCom (企业微信) that receives messages, and answers in the response.

Sources: developer.work.weixin.qq.com, documents 90930 (callback configuration), 90968 (encryption), 90239 (messages),
90241 (passive replies). The signature is SHA-1 over the sorted token, instant, nonce and ciphertext; the ciphertext is
AES-256-CBC, its padding to 32 bytes, and holds 16 random bytes, the length, the text and the company's id.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets

from keyback.application.ports.bots import BadCall, BotAnswer, BotCall, BotMessage
from keyback.channels.bots.common import BLOCK, MAX_ID, MAX_NONCE, decrypt, encrypt, is_fresh, whole_number
from keyback.domain.secret import Secret

PAD = 32
HEAD = 20  # random bytes and the length
# No XML reader for what anybody may post: two members are wanted, which WeCom writes without attributes or nesting.
_MEMBER = r"<{0}>\s*(?:<!\[CDATA\[(.*?)\]\]>|([^<]*))\s*</{0}>"


def _member(name: str, text: str) -> str:
    found = re.search(_MEMBER.format(name), text, re.S)
    return (found[1] or found[2] or "") if found else ""


class WeComBot:
    """One application.

    Args:
        corp_id: of the company; a text that was sealed for another one is refused.
        token: of the application's callback.
        aes_key: `EncodingAESKey`, 43 characters.

    Raises:
        ValueError: the key is not one.
    """

    def __init__(self, corp_id: str, token: Secret, aes_key: Secret) -> None:
        self._corp_id, self._token = corp_id.encode(), token
        try:
            key = base64.b64decode(aes_key.reveal() + "=", validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != 32 or len(aes_key.reveal()) != 43:
            raise ValueError("EncodingAESKey has 43 letters and digits")
        self._key = key

    def signature(self, written: str, nonce: str, sealed: str) -> str:
        parts = sorted((self._token.reveal(), written, nonce, sealed))
        return hashlib.sha1("".join(parts).encode(), usedforsecurity=False).hexdigest()  # as the service has it

    def read(self, call: BotCall, now: int) -> BotMessage | BotAnswer:
        written, nonce = call.query.get("timestamp", ""), call.query.get("nonce", "")[: MAX_NONCE + 1]
        body = call.body.decode("utf-8", "replace")
        sealed = call.query.get("echostr", "") if call.method == "GET" else _member("Encrypt", body)
        given = call.query.get("msg_signature", "")
        right = self.signature(written, nonce, sealed)
        if not sealed or not hmac.compare_digest(right.encode(), given.encode("utf-8", "replace")):
            raise BadCall("bad_signature")
        if not is_fresh(whole_number(written) * 1000, now):
            raise BadCall("stale")
        text = self._open(sealed)
        if call.method == "GET":
            return BotAnswer(text.encode())
        if _member("MsgType", text) != "text":
            return BotAnswer()
        sender, said = _member("FromUserName", text)[:MAX_ID], _member("Content", text)
        message = BotMessage(_member("MsgId", text)[:MAX_ID], sender, said, back=_member("ToUserName", text)[:MAX_ID])
        return message if message.id and sender else BotAnswer()

    async def answer(self, message: BotMessage, text: str, now: int) -> BotAnswer:
        if not text:
            return BotAnswer()
        written, nonce = str(now // 1000), secrets.token_hex(8)
        said = (
            f"<xml><ToUserName><![CDATA[{_safe(message.sender)}]]></ToUserName>"
            f"<FromUserName><![CDATA[{_safe(message.back)}]]></FromUserName><CreateTime>{written}</CreateTime>"
            f"<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[{_safe(text)}]]></Content></xml>"
        )
        sealed = self._seal(said.encode())
        return BotAnswer(
            (
                f"<xml><Encrypt><![CDATA[{sealed}]]></Encrypt><MsgSignature><![CDATA["
                f"{self.signature(written, nonce, sealed)}]]></MsgSignature><TimeStamp>{written}</TimeStamp>"
                f"<Nonce><![CDATA[{nonce}]]></Nonce></xml>"
            ).encode(),
            "application/xml",
        )

    async def close(self) -> None:
        return None

    def _open(self, sealed: str) -> str:
        try:
            raw = base64.b64decode(sealed, validate=True)
        except (binascii.Error, ValueError):
            raise BadCall("malformed") from None
        plain = decrypt(self._key, self._key[:BLOCK], raw, PAD)
        length = int.from_bytes(plain[16:HEAD], "big")
        text, whose = plain[HEAD : HEAD + length], plain[HEAD + length :]
        if len(text) != length or not hmac.compare_digest(whose, self._corp_id):
            raise BadCall("malformed")
        return text.decode("utf-8", "replace")

    def _seal(self, text: bytes) -> str:
        plain = secrets.token_bytes(16) + len(text).to_bytes(4, "big") + text + self._corp_id
        return base64.b64encode(encrypt(self._key, self._key[:BLOCK], plain, PAD)).decode()


def _safe(text: str) -> str:
    """A text that cannot end its CDATA section."""
    return text.replace("]]>", "]] >")
