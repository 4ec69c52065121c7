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
from keyback.channels import phone
from keyback.channels.phone import TemplateOptions, Verdict, receipt
from keyback.channels.phone_texts import ShortMessage
from keyback.domain.secret import Secret
from keyback.outbound.http import Endpoint

VERSION = "2021-01-11"
KIND = "application/json"
CODES: Mapping[str, Verdict] = {
    "Ok": phone.OK,
    "LimitExceeded": phone.BUSY, "RequestLimitExceeded": phone.BUSY, "InternalError": phone.BUSY,
    "ResourceUnavailable": phone.BUSY, "FailedOperation": phone.BUSY,
    "FailedOperation.InsufficientBalanceInSmsPackage": phone.NO_BALANCE, "ResourceInsufficient": phone.NO_BALANCE,
    "FailedOperation.PhoneNumberInBlacklist": phone.BAD_RECIPIENT,
    "InvalidParameterValue.IncorrectPhoneNumber": phone.BAD_RECIPIENT,
    "FailedOperation.ContainSensitiveWord": phone.BAD_MESSAGE,
    "InvalidParameterValue.ContentLengthLimit": phone.BAD_MESSAGE,
    "FailedOperation.SignatureIncorrectOrUnapproved": phone.REFUSES_US,
    "FailedOperation.TemplateIncorrectOrUnapproved": phone.REFUSES_US,
    "FailedOperation.TemplateParamSetNotMatchApprovedTemplate": phone.REFUSES_US,
    "FailedOperation.MissingTemplateList": phone.REFUSES_US,
    "AuthFailure": phone.REFUSES_US, "UnauthorizedOperation": phone.REFUSES_US, "InvalidParameter": phone.REFUSES_US,
    "InvalidParameterValue": phone.REFUSES_US, "MissingParameter": phone.REFUSES_US, "IpNot": phone.REFUSES_US,
    "IpIn": phone.REFUSES_US, "UnsupportedOperation": phone.REFUSES_US, "UnsupportedRegion": phone.REFUSES_US,
    "InternalError.SigVerificationFail": phone.REFUSES_US, "InternalError.SigFieldMissing": phone.REFUSES_US,
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
            return receipt(phone.NO_TEMPLATE, f"no template for {message.kind} in {message.locale}")
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


def verdict(code: str) -> Verdict:
    """What a code means; one that is not listed counts as its kind, the part before the dot."""
    return CODES.get(code) or CODES.get(code.partition(".")[0]) or phone.BAD_MESSAGE


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
