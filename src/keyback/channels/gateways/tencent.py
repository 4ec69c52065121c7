"""SMS by Tencent Cloud (腾讯云短信), API `SendSms` of 2021-01-11, signed by TC3-HMAC-SHA256.

Sources: cloud.tencent.com, documents 382/55981 (SendSms), 382/59177 (codes) and 382/52072 (signature v3). Only
registered texts are sent; a template's {1}, {2} … are the values of `ShortMessage.params` in order.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from keyback.application.ports.channels import Receipt
from keyback.channels.gateways import base
from keyback.channels.gateways.base import GatewayAbout, GatewayVerdict, TemplateOptions, codes, receipt
from keyback.channels.gateways.texts import ShortMessage
from keyback.domain.secret import Secret
from keyback.outbound.http import Endpoint

VERSION = "2021-01-11"
KIND = "application/json"
CODES: Mapping[str, GatewayVerdict] = {
    "Ok": base.OK,
    "LimitExceeded": base.BUSY, "RequestLimitExceeded": base.BUSY, "InternalError": base.BUSY,
    "ResourceUnavailable": base.BUSY, "FailedOperation": base.BUSY,
    "FailedOperation.InsufficientBalanceInSmsPackage": base.NO_BALANCE, "ResourceInsufficient": base.NO_BALANCE,
    "FailedOperation.PhoneNumberInBlacklist": base.BAD_RECIPIENT,
    "InvalidParameterValue.IncorrectPhoneNumber": base.BAD_RECIPIENT,
    "FailedOperation.ContainSensitiveWord": base.BAD_MESSAGE,
    "InvalidParameterValue.ContentLengthLimit": base.BAD_MESSAGE,
    "FailedOperation.SignatureIncorrectOrUnapproved": base.REFUSES_US,
    "FailedOperation.TemplateIncorrectOrUnapproved": base.REFUSES_US,
    "FailedOperation.TemplateParamSetNotMatchApprovedTemplate": base.REFUSES_US,
    "FailedOperation.MissingTemplateList": base.REFUSES_US,
    "AuthFailure": base.REFUSES_US, "UnauthorizedOperation": base.REFUSES_US, "InvalidParameter": base.REFUSES_US,
    "InvalidParameterValue": base.REFUSES_US, "MissingParameter": base.REFUSES_US, "IpNot": base.REFUSES_US,
    "IpIn": base.REFUSES_US, "UnsupportedOperation": base.REFUSES_US, "UnsupportedRegion": base.REFUSES_US,
    "InternalError.SigVerificationFail": base.REFUSES_US, "InternalError.SigFieldMissing": base.REFUSES_US,
}  # fmt: skip


class TencentOptions(TemplateOptions):
    """Keys of the section; `key_id` and `secret` are SecretId and SecretKey, `app_id` is the SmsSdkAppId."""

    url: str = "https://sms.tencentcloudapi.com"
    key_id: str
    app_id: str
    sign_name: str
    region: str = "ap-guangzhou"


class TencentSms:
    """Sends by one key.

    Args:
        options: the section's keys.
        secret: the SecretKey.
        clock: now in ms; Tencent refuses what is five minutes off.
    """

    about = GatewayAbout(
        {"en": "Tencent Cloud SMS", "zh_CN": "腾讯云短信"}, frozenset({"sms"}), TencentOptions, codes(CODES)
    )

    def __init__(self, options: TencentOptions, secret: Secret, clock: Callable[[], int]) -> None:
        self._o, self._secret, self._clock = options, secret, clock
        self._http = Endpoint(options.url, ca_file=options.ca_file, timeout=options.timeout_s)

    @classmethod
    def from_options(cls, options: Mapping[str, Any], clock: Callable[[], int]) -> TencentSms:
        """From a section of `keyback.toml`. Raises `ValueError` for missing, unknown or unsafe values."""
        o = TencentOptions.model_validate(options)
        return cls(o, o.read_secret(), clock)

    async def deliver(self, message: ShortMessage) -> Receipt:
        template = self._o.template(message)
        if template is None:
            return receipt(base.NO_TEMPLATE, f"no template for {message.kind} in {message.locale}")
        body = json.dumps(
            {
                "PhoneNumberSet": [message.to],
                "SmsSdkAppId": self._o.app_id,
                "SignName": self._o.sign_name,
                "TemplateId": template,
                "TemplateParamSet": list(message.params.values()),
                "SessionContext": message.id,
            }
        ).encode("ascii")
        at = self._clock() // 1000
        signed = {"content-type": KIND, "host": self._http.host, "x-tc-action": "sendsms"}
        headers = {
            "Authorization": authorization(self._o.key_id, self._secret, "sms", at, signed, body),
            "X-TC-Action": Secret("SendSms"),
            "X-TC-Timestamp": Secret(str(at)),
            "X-TC-Version": Secret(VERSION),
            "X-TC-Region": Secret(self._o.region),
        }
        reply = await self._http.call("POST", "", content=body, headers=headers)
        code, said = _outcome(reply.json())
        return receipt(verdict(code), said, code)

    async def close(self) -> None:
        await self._http.close()


def _outcome(answer: Mapping[str, Any]) -> tuple[str, str]:
    """Code and words: of the call when it failed as a whole, else of our one number."""
    response = answer["Response"]
    found = response.get("Error") or response["SendStatusSet"][0]
    return str(found["Code"]), str(found.get("Message", ""))


def verdict(code: str) -> GatewayVerdict:
    """What a code means; one that is not listed counts as its kind, the part before the dot."""
    return CODES.get(code) or CODES.get(code.partition(".")[0]) or base.BAD_MESSAGE


def authorization(
    key_id: str, secret: Secret, service: str, at: int, headers: Mapping[str, str], body: bytes
) -> Secret:
    """The header for a POST to `/`; `at` in seconds, `headers` are those that are signed, in small letters."""
    names = ";".join(sorted(headers))
    lines = "".join(f"{k}:{headers[k]}\n" for k in sorted(headers))
    request = "\n".join(["POST", "/", "", lines, names, hashlib.sha256(body).hexdigest()])
    day = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
    scope = f"{day}/{service}/tc3_request"
    text = "\n".join(["TC3-HMAC-SHA256", str(at), scope, hashlib.sha256(request.encode()).hexdigest()])
    key = b"TC3" + secret.reveal().encode()
    for part in (day, service, "tc3_request"):
        key = hmac.digest(key, part.encode(), "sha256")
    mac = hmac.digest(key, text.encode(), "sha256").hex()
    return Secret(f"TC3-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={names}, Signature={mac}")
