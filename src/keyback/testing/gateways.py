"""Stand-ins for the SMS and chat services that Keyback speaks to: stateful, checking every signature and token.

Each is an ASGI app with the troubles of `Service`, and takes the credentials of its class. Nothing here is shared with
`keyback.channels`: signatures are computed from the request as it arrived.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, quote

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from keyback.testing.serving import Service

TEMPLATES = {"SMS_100": ("code", "minutes"), "SMS_200": ("when",), "1001": ("code", "minutes"), "1002": ("when",)}


def _sha(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")


class AliyunFake(Service):
    """Alibaba Cloud SMS, `SendSms`, with signature version 3."""

    key_id, secret = "LTAI5tExampleKeyId", "AliyunExampleSecret-4711"

    def __init__(self) -> None:
        super().__init__()
        self._nonces: set[str] = set()

    def routes(self) -> Sequence[Any]:
        return [("POST", "/", self._send)]

    async def _send(self, request: Request, body: bytes) -> Response:
        if self.trouble == "stranger":
            return self._no("InvalidAccessKeyId.NotFound", "Specified access key is not found.", 404)
        fault = self._unsigned(request, body)
        if fault:
            return self._no(*fault)
        if self.trouble == "busy":
            return self._no("isv.BUSINESS_LIMIT_CONTROL", "触发分钟级流控Permits:1", 200)
        if self.trouble == "balance":
            return self._no("isv.AMOUNT_NOT_ENOUGH", "账户余额不足", 200)
        q = dict(request.query_params)
        if self.trouble == "recipient" or not re.fullmatch(r"\d{8,15}", q["PhoneNumbers"]):
            return self._no("isv.MOBILE_NUMBER_ILLEGAL", f"{q['PhoneNumbers']}invalid mobile number", 200)
        values = json.loads(q["TemplateParam"])
        if tuple(values) != TEMPLATES.get(q["TemplateCode"]):
            return self._no("isv.SMS_TEMPLATE_ILLEGAL", "该账号下找不到对应模板", 200)
        self.keep(q["OutId"], q["PhoneNumbers"], f"【{q['SignName']}】{q['TemplateCode']} {' '.join(values.values())}")
        return self.taken({"Code": "OK", "Message": "OK", "BizId": "900619746936498440^0", "RequestId": "F655A8D5"})

    def _unsigned(self, request: Request, body: bytes) -> tuple[str, str, int] | None:
        h = request.headers
        found = re.fullmatch(
            r"ACS3-HMAC-SHA256 Credential=([^,]+),SignedHeaders=([^,]+),Signature=([0-9a-f]{64})",
            h.get("authorization", ""),
        )
        names = found[2].split(";") if found else []
        must = {"host", *(n for n in h if n.startswith("x-acs-"))}
        if not found or not must <= set(names) or names != sorted(names):
            return "IncompleteSignature", "The request signature does not conform to standards.", 400
        at = datetime.strptime(h["x-acs-date"], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
        if abs(at - time.time()) > 900:
            return "InvalidTimeStamp.Expired", "Specified time stamp is expired.", 400
        if h["x-acs-signature-nonce"] in self._nonces:
            return "SignatureNonceUsed", "Specified signature nonce was used already.", 400
        self._nonces.add(h["x-acs-signature-nonce"])
        pairs = sorted(parse_qsl(request.url.query, keep_blank_values=True, strict_parsing=True))
        asked = "&".join(f"{quote(k, safe='-_.~')}={quote(v, safe='-_.~')}" for k, v in pairs)
        lines = "".join(f"{n}:{h[n]}\n" for n in names)
        canonical = f"POST\n/\n{asked}\n{lines}\n{found[2]}\n{_sha(body)}"
        right = _mac(self.secret.encode(), "ACS3-HMAC-SHA256\n" + _sha(canonical.encode())).hex()
        if found[1] != self.key_id or not hmac.compare_digest(right, found[3]):
            return "SignatureDoesNotMatch", "Specified signature is not matched with our calculation.", 400
        return None

    def _no(self, code: str, message: str, status: int) -> Response:
        return JSONResponse({"Code": code, "Message": message, "RequestId": "F655A8D5"}, status)


class TencentFake(Service):
    """Tencent Cloud SMS, `SendSms` of 2021-01-11, with signature version 3; errors come with HTTP 200."""

    key_id, secret, app_id = "AKIDExampleSecretId", "TencentExampleSecret-4711", "1400006666"

    def routes(self) -> Sequence[Any]:
        return [("POST", "/", self._send)]

    async def _send(self, request: Request, body: bytes) -> Response:
        if self.trouble == "stranger":
            return self._error("AuthFailure.SecretIdNotFound", "The SecretId is not found.")
        fault = self._unsigned(request, body)
        if fault:
            return self._error(*fault)
        if self.trouble == "busy":
            return self._error("RequestLimitExceeded", "Your current request times equals to 3001 in a second.")
        m = json.loads(body)
        (to,) = m["PhoneNumberSet"]
        code, said = "Ok", "send success"
        if self.trouble == "balance":
            code, said = "FailedOperation.InsufficientBalanceInSmsPackage", "insufficient balance in SMS package"
        elif self.trouble == "recipient":
            code, said = "InvalidParameterValue.IncorrectPhoneNumber", f"incorrect number {to}"
        elif len(m["TemplateParamSet"]) != len(TEMPLATES.get(m["TemplateId"], ())):
            code, said = "FailedOperation.TemplateIncorrectOrUnapproved", "template is not approved"
        if code == "Ok":
            text = f"【{m['SignName']}】{m['TemplateId']} {' '.join(m['TemplateParamSet'])}"
            self.keep(m["SessionContext"], to, text)
        one = {
            "SerialNo": "5000:1045710669157053657849499619" if code == "Ok" else "", "PhoneNumber": to,
            "Fee": int(code == "Ok"), "SessionContext": m["SessionContext"], "Code": code, "Message": said,
            "IsoCode": "CN",
        }  # fmt: skip
        return self.taken({"Response": {"SendStatusSet": [one], "RequestId": "a0aabda6"}})

    def _unsigned(self, request: Request, body: bytes) -> tuple[str, str] | None:
        h = request.headers
        found = re.fullmatch(
            r"TC3-HMAC-SHA256 Credential=([^/]+)/(\d{4}-\d\d-\d\d)/sms/tc3_request, "
            r"SignedHeaders=([^,]+), Signature=([0-9a-f]{64})",
            h.get("authorization", ""),
        )
        if not found or not {"content-type", "host"} <= set(found[3].split(";")):
            return "AuthFailure.InvalidAuthorization", "The Authorization header is not standard."
        at = int(h["x-tc-timestamp"])
        if abs(at - time.time()) > 300 or datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d") != found[2]:
            return "AuthFailure.SignatureExpire", "Signature is expired."
        values = {**h, "x-tc-action": h["x-tc-action"].lower()}
        lines = "".join(f"{n}:{values[n]}\n" for n in found[3].split(";"))
        canonical = f"POST\n/\n\n{lines}\n{found[3]}\n{_sha(body)}"
        text = f"TC3-HMAC-SHA256\n{at}\n{found[2]}/sms/tc3_request\n{_sha(canonical.encode())}"
        key = _mac(_mac(_mac(b"TC3" + self.secret.encode(), found[2]), "sms"), "tc3_request")
        if found[1] != self.key_id or not hmac.compare_digest(_mac(key, text).hex(), found[4]):
            return "AuthFailure.SignatureFailure", "The provided credentials could not be validated."
        return None

    def _error(self, code: str, message: str) -> Response:
        return JSONResponse({"Response": {"Error": {"Code": code, "Message": message}, "RequestId": "a0aabda6"}})


class TwilioFake(Service):
    """Twilio's `Messages`."""

    account, key_id, secret = "AC" + "0" * 31 + "1", "SK" + "0" * 31 + "2", "TwilioExampleSecret-4711"
    sender = "+12025550123"

    def routes(self) -> Sequence[Any]:
        return [("POST", f"/2010-04-01/Accounts/{self.account}/Messages.json", self._send)]

    async def _send(self, request: Request, body: bytes) -> Response:
        right = "Basic " + base64.b64encode(f"{self.key_id}:{self.secret}".encode()).decode()
        if self.trouble == "stranger" or request.headers.get("authorization") != right:
            return self._no(20003, "Authenticate", 401)
        form = dict(parse_qsl(body.decode(), strict_parsing=True))
        if self.trouble == "busy":
            return self._no(20429, "Too Many Requests", 429)
        if self.trouble == "balance":
            return self._no(30002, "Account suspended", 400)
        if self.trouble == "recipient":
            return self._no(21211, f"The 'To' number {form['To']} is not a valid phone number.", 400)
        number = f"SM{len(self.messages):032x}"
        self.keep(number, form["To"], form["Body"])
        answer = {"sid": number, "status": "queued", "to": form["To"], "body": form["Body"], "error_code": None}
        taken = self.taken({**answer, "account_sid": self.account, "from": form.get("From"), "error_message": None})
        taken.status_code = 201
        return taken

    def _no(self, code: int, message: str, status: int) -> Response:
        more = f"https://www.twilio.com/docs/errors/{code}"
        return JSONResponse({"code": code, "message": message, "more_info": more, "status": status}, status)


class _Tokens(Service):
    """A service with access tokens; `end_tokens` ends all that are out."""

    def __init__(self) -> None:
        self._live: set[str] = set()
        super().__init__()

    def new_token(self) -> str:
        token = secrets.token_urlsafe(24)
        self._live.add(token)
        return token

    def end_tokens(self) -> None:
        self._live.clear()

    def knows(self, token: str) -> bool:
        return token in self._live and self.trouble != "token"


class WeComFake(_Tokens):
    """WeCom: `gettoken` and `message/send`; errors come with HTTP 200."""

    corp_id, secret, agent_id = "ww0123456789abcdef", "WeComExampleSecret-4711", 1000002

    def routes(self) -> Sequence[Any]:
        return [("GET", "/cgi-bin/gettoken", self._token), ("POST", "/cgi-bin/message/send", self._send)]

    async def _token(self, request: Request, body: bytes) -> Response:
        q = request.query_params
        if self.trouble == "stranger" or (q.get("corpid"), q.get("corpsecret")) != (self.corp_id, self.secret):
            return self._no(40001, "invalid credential")
        return JSONResponse({"errcode": 0, "errmsg": "ok", "access_token": self.new_token(), "expires_in": 7200})

    async def _send(self, request: Request, body: bytes) -> Response:
        if not self.knows(request.query_params.get("access_token", "")):
            return self._no(42001, "access_token expired")
        m = json.loads(body)
        if m["agentid"] != self.agent_id:
            return self._no(301002, "not allow operate another agent with this accesstoken")
        if self.trouble == "busy":
            return self._no(45009, "api freq out of limit")
        if self.trouble == "recipient":
            return self._no(81013, "user & party & tag all invalid")
        same = (m["touser"], m["text"]["content"])
        if same not in {(k["to"], k["text"]) for k in self.messages}:
            self.keep(secrets.token_hex(4), *same)
        return self.taken({"errcode": 0, "errmsg": "ok", "invaliduser": "", "msgid": "xxxx"})

    def _no(self, code: int, message: str) -> Response:
        return JSONResponse({"errcode": code, "errmsg": f"{message}, hint: [1700000000_1], from ip: 192.0.2.1"})


class DingTalkFake(_Tokens):
    """DingTalk: tokens, work notices and a robot's messages; the older interface answers with HTTP 200 always."""

    app_key, secret, agent_id, robot_code = "dingexamplekey", "DingTalkExampleSecret-4711", 4711, "dingexamplerobot"

    def routes(self) -> Sequence[Any]:
        return [
            ("POST", "/v1.0/oauth2/accessToken", self._token),
            ("POST", "/topapi/message/corpconversation/asyncsend_v2", self._notice),
            ("POST", "/v1.0/robot/oToMessages/batchSend", self._robot),
        ]

    async def _token(self, request: Request, body: bytes) -> Response:
        m = json.loads(body)
        if self.trouble == "stranger" or (m.get("appKey"), m.get("appSecret")) != (self.app_key, self.secret):
            return self._no("invalidClientIdOrSecret", "无效的clientId或者clientSecret", 400)
        return JSONResponse({"accessToken": self.new_token(), "expireIn": 7200})

    async def _notice(self, request: Request, body: bytes) -> Response:
        if not self.knows(request.query_params.get("access_token", "")):
            return self._old(88, "dingtalk error", sub_code="40014", sub_msg="不合法的access_token")
        m = json.loads(body)
        if self.trouble == "busy":
            return self._old(90018, "您的服务器调用钉钉开放平台所有接口的请求都被暂时禁用了")
        if self.trouble == "recipient":
            return self._old(33012, "无效的USERID")
        self._once(m["userid_list"], m["msg"]["text"]["content"])
        return self.taken({"errcode": 0, "errmsg": "ok", "task_id": 256271667526, "request_id": "4jzllmte0wau"})

    async def _robot(self, request: Request, body: bytes) -> Response:
        if not self.knows(request.headers.get("x-acs-dingtalk-access-token", "")):
            return self._no("InvalidAuthentication", "不合法的access_token", 400)
        m = json.loads(body)
        if m["robotCode"] != self.robot_code:
            return self._no("invalidParameter.robotCode.invalid", "robotCode无效", 400)
        if self.trouble == "busy":
            return self._no("Forbidden.AccessDenied.QpsLimitForAppkeyAndApi", "应用请求被限流", 403)
        (to,) = m["userIds"]
        bad = [to] if self.trouble == "recipient" else []
        if not bad:
            self._once(to, json.loads(m["msgParam"])["content"])
        return self.taken({"processQueryKey": "key", "invalidStaffIdList": bad, "flowControlledStaffIdList": []})

    def _once(self, to: str, text: str) -> None:
        if (to, text) not in {(k["to"], k["text"]) for k in self.messages}:
            self.keep(secrets.token_hex(4), to, text)

    def _old(self, code: int, message: str, **more: Any) -> Response:
        return JSONResponse({"errcode": code, "errmsg": message, "request_id": "4jzllmte0wau", **more})

    def _no(self, code: str, message: str, status: int) -> Response:
        return JSONResponse({"code": code, "message": message, "requestid": "0BC1D2E3"}, status)


class FeishuFake(_Tokens):
    """Feishu: tenant tokens and messages."""

    app_id, secret = "cli_0123456789abcdef", "FeishuExampleSecret-4711"

    def routes(self) -> Sequence[Any]:
        return [
            ("POST", "/open-apis/auth/v3/tenant_access_token/internal", self._token),
            ("POST", "/open-apis/im/v1/messages", self._send),
        ]

    async def _token(self, request: Request, body: bytes) -> Response:
        m = json.loads(body)
        if self.trouble == "stranger" or (m.get("app_id"), m.get("app_secret")) != (self.app_id, self.secret):
            return JSONResponse({"code": 10014, "msg": "app secret invalid"})
        return JSONResponse({"code": 0, "msg": "ok", "tenant_access_token": self.new_token(), "expire": 7200})

    async def _send(self, request: Request, body: bytes) -> Response:
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind != "Bearer" or not self.knows(token):
            return self._no(99991663, "Invalid access token for authorization. Please make a test attempt.", 400)
        m = json.loads(body)
        if self.trouble == "busy":
            return self._no(99991400, "request trigger frequency limit", 429)
        if self.trouble == "recipient":
            return self._no(230013, "Bot has NO availability to this user.", 400)
        if m["uuid"] not in {k["id"] for k in self.messages}:
            self.keep(m["uuid"], m["receive_id"], json.loads(m["content"])["text"])
        return self.taken({"code": 0, "msg": "success", "data": {"message_id": "om_dc13264520392913993dd051dba21dcf"}})

    def _no(self, code: int, message: str, status: int) -> Response:
        return JSONResponse({"code": code, "msg": message, "error": {"log_id": "2024"}}, status)
