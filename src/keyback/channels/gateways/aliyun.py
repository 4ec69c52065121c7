"""SMS by Alibaba Cloud (阿里云短信服务), API `SendSms` of 2017-05-25, signed by ACS3-HMAC-SHA256.

Sources: help.aliyun.com, "SendSms", "API错误码" and "V3版本请求体&签名机制". Only registered texts are sent; the
variables of a template have the names of `ShortMessage.params`.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from keyback.application.ports.channels import Receipt
from keyback.channels.gateways import base
from keyback.channels.gateways.base import GatewayAbout, GatewayVerdict, TemplateOptions, codes, receipt
from keyback.channels.gateways.texts import ShortMessage
from keyback.domain.secret import Secret
from keyback.outbound.http import Endpoint

VERSION = "2017-05-25"
EMPTY = hashlib.sha256(b"").hexdigest()
# By the beginning of the code; the longest that fits counts. Everything else is about the message.
CODES: Mapping[str, GatewayVerdict] = {
    "OK": base.OK,
    "isv.BUSINESS_LIMIT_CONTROL": base.BUSY, "isv.DAY_LIMIT_CONTROL": base.BUSY,
    "isv.MONTH_LIMIT_CONTROL": base.BUSY, "Throttling": base.BUSY, "ServiceUnavailable": base.BUSY,
    "InternalError": base.BUSY, "isp.SYSTEM_ERROR": base.BUSY, "SYSTEM_ERROR": base.BUSY,
    "isv.AMOUNT_NOT_ENOUGH": base.NO_BALANCE, "isv.OUT_OF_SERVICE": base.NO_BALANCE,
    "isv.MOBILE_NUMBER_ILLEGAL": base.BAD_RECIPIENT, "isv.MOBILE_COUNT_OVER_LIMIT": base.BAD_RECIPIENT,
    "isv.BLACK_KEY_CONTROL_LIMIT": base.BAD_MESSAGE, "isv.PARAM_LENGTH_LIMIT": base.BAD_MESSAGE,
    "isv.SMS_CONTENT_ILLEGAL": base.BAD_MESSAGE,
    "isv.SMS_": base.REFUSES_US, "isv.SIGN": base.REFUSES_US, "isv.TEMPLATE": base.REFUSES_US,
    "isv.ACCOUNT": base.REFUSES_US, "isv.PRODUCT": base.REFUSES_US, "isv.DENY_IP_RANGE": base.REFUSES_US,
    "isv.DOMESTIC_NUMBER_NOT_SUPPORTED": base.REFUSES_US, "isv.INVALID_PARAMETERS": base.REFUSES_US,
    "isp.RAM_PERMISSION_DENY": base.REFUSES_US, "InvalidAccessKeyId": base.REFUSES_US,
    "SignatureDoesNotMatch": base.REFUSES_US, "SignatureNonceUsed": base.BUSY, "InvalidTimeStamp": base.REFUSES_US,
    "IncompleteSignature": base.REFUSES_US, "Forbidden": base.REFUSES_US, "NoPermission": base.REFUSES_US,
}  # fmt: skip


class AliyunOptions(TemplateOptions):
    """Keys of the section; `secret` is the AccessKey's."""

    url: str = "https://dysmsapi.aliyuncs.com"
    key_id: str
    sign_name: str


class AliyunSms:
    """Sends by one AccessKey.

    Args:
        options: the section's keys.
        secret: the AccessKey's.
        clock: now in ms; Alibaba refuses what is fifteen minutes off.
    """

    about = GatewayAbout(
        {"en": "Alibaba Cloud SMS", "zh_CN": "阿里云短信"}, frozenset({"sms"}), AliyunOptions, codes(CODES)
    )

    def __init__(self, options: AliyunOptions, secret: Secret, clock: Callable[[], int]) -> None:
        self._o, self._secret, self._clock = options, secret, clock
        self._http = Endpoint(options.url, ca_file=options.ca_file, timeout=options.timeout_s)

    @classmethod
    def from_options(cls, options: Mapping[str, Any], clock: Callable[[], int]) -> AliyunSms:
        """From a section of `keyback.toml`. Raises `ValueError` for missing, unknown or unsafe values."""
        o = AliyunOptions.model_validate(options)
        return cls(o, o.read_secret(), clock)

    async def deliver(self, message: ShortMessage) -> Receipt:
        template = self._o.template(message)
        if template is None:
            return receipt(base.NO_TEMPLATE, f"no template for {message.kind} in {message.locale}")
        query = {
            "PhoneNumbers": message.to.removeprefix("+86").removeprefix("+"),
            "SignName": self._o.sign_name,
            "TemplateCode": template,
            "TemplateParam": json.dumps(dict(message.params), ensure_ascii=False),
            "OutId": message.id,
        }
        at = datetime.fromtimestamp(self._clock() / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        headers = {
            "x-acs-action": "SendSms",
            "x-acs-content-sha256": EMPTY,
            "x-acs-date": at,
            "x-acs-signature-nonce": secrets.token_hex(16),
            "x-acs-version": VERSION,
        }
        signed = authorization(self._o.key_id, self._secret, "POST", query, {"host": self._http.host, **headers})
        sent = {name: Secret(value) for name, value in headers.items()} | {"Authorization": signed}
        reply = await self._http.call("POST", "", query=query, headers=sent)
        answer = reply.json()
        code = str(answer["Code"])
        return receipt(verdict(CODES, code), answer.get("Message"), code)

    async def close(self) -> None:
        await self._http.close()


def verdict(table: Mapping[str, GatewayVerdict], code: str) -> GatewayVerdict:
    """What a code means, by the longest beginning of it that is known."""
    fitting = [known for known in table if code == known or (known != "OK" and code.startswith(known))]
    return table[max(fitting, key=len)] if fitting else base.BAD_MESSAGE


def authorization(
    key_id: str, secret: Secret, method: str, query: Mapping[str, str], headers: Mapping[str, str]
) -> Secret:
    """The header of a call without a body; `headers` are those that are signed, names in small letters."""

    def enc(text: str) -> str:
        return quote(text, safe="-_.~")

    asked = "&".join(f"{enc(k)}={enc(v)}" for k, v in sorted(query.items()))
    names = ";".join(sorted(headers))
    lines = "".join(f"{k}:{headers[k].strip()}\n" for k in sorted(headers))
    request = "\n".join([method, "/", asked, lines, names, headers["x-acs-content-sha256"]])
    text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(request.encode()).hexdigest()
    mac = hmac.digest(secret.reveal().encode(), text.encode(), "sha256").hex()
    return Secret(f"ACS3-HMAC-SHA256 Credential={key_id},SignedHeaders={names},Signature={mac}")
