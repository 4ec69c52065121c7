"""The contract suite on every SMS and chat service, each against a stand-in that checks signatures and tokens, and both
held to the service's OpenAPI document."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pytest

from keyback.application.ports.channels import Message
from keyback.application.ports.messages import StoppedMessage
from keyback.channels.gateways import aliyun, tencent, twilio
from keyback.channels.gateways.access_token import AccessToken
from keyback.channels.gateways.base import PhoneChannel
from keyback.channels.gateways.texts import PhoneTexts
from keyback.domain.secret import Secret
from keyback.outbound.http import NotDone
from keyback.registry import GATEWAYS, OWN, load_gateway
from keyback.testing.channels import BASE, CODE, COMPANY, ChannelContract, codes, short_letter
from keyback.testing.gateways import AliyunFake, DingTalkFake, FeishuFake, TencentFake, TwilioFake, WeComFake
from keyback.testing.serving import Service, Trouble, served
from tests.support.held import Held

TEXTS = PhoneTexts(COMPANY, "Asia/Shanghai", BASE)
COMMON: frozenset[Trouble] = frozenset({"busy", "broken", "hang", "cut", "stranger", "recipient"})
PAID: frozenset[Trouble] = COMMON | {"balance"}
TOKENS: frozenset[Trouble] = COMMON | {"token"}


@dataclass(frozen=True)
class Kind:
    """How one service is set up against its stand-in."""

    name: Literal["sms", "im"]
    kind: str
    fake: Callable[[], Any]
    document: str
    troubles: frozenset[Trouble]
    options: Callable[[Any], Mapping[str, Any]]
    repeats: bool = False  # whether the service rings twice for a repeat


KINDS = {
    "aliyun": Kind(
        "sms", "aliyun", AliyunFake, "aliyun-sms.yaml", PAID,
        lambda f: {
            "key_id": f.key_id, "sign_name": "青屿仪器",
            "templates": {"sms_code": {"zh_CN": "SMS_100", "en": "SMS_100"}, "changed": "SMS_200"},
        },
        repeats=True,
    ),
    "tencent": Kind(
        "sms", "tencent", TencentFake, "tencent-sms.yaml", PAID,
        lambda f: {
            "key_id": f.key_id, "app_id": f.app_id, "sign_name": "青屿仪器",
            "templates": {"sms_code": "1001", "changed": "1002"},
        },
        repeats=True,
    ),
    "twilio": Kind(
        "sms", "twilio", TwilioFake, "twilio.yaml", PAID,
        lambda f: {"account": f.account, "key_id": f.key_id, "sender": f.sender},
        repeats=True,
    ),
    "wecom": Kind(
        "im", "wecom", WeComFake, "wecom.yaml", TOKENS, lambda f: {"corp_id": f.corp_id, "agent_id": f.agent_id}
    ),
    "dingtalk-notice": Kind(
        "im", "dingtalk", DingTalkFake, "dingtalk.yaml", TOKENS,
        lambda f: {"app_key": f.app_key, "agent_id": f.agent_id},
    ),
    "dingtalk-robot": Kind(
        "im", "dingtalk", DingTalkFake, "dingtalk.yaml", TOKENS,
        lambda f: {"app_key": f.app_key, "robot_code": f.robot_code},
    ),
    "feishu": Kind("im", "feishu", FeishuFake, "feishu.yaml", TOKENS, lambda f: {"app_id": f.app_id}),
}  # fmt: skip
WITH_TOKENS = [name for name, kind in KINDS.items() if "token" in kind.troubles]


def now() -> int:
    return time.time_ns() // 1_000_000


class Harness:
    """A channel, its stand-in, and the document between them."""

    def __init__(self, kind: Kind, **over: Any) -> None:
        self.kind, self.troubles = kind, kind.troubles
        self.fake: Any = kind.fake()
        self.held = Held(self.fake, kind.document)
        self._server = served(self.held)
        url = self._server.__enter__()
        self.secrets: Sequence[str] = [self.fake.secret]
        self._options = {"url": url, "secret": self.fake.secret, **kind.options(self.fake), **over}
        if kind.kind == "dingtalk":
            self._options["notices_url"] = url
        self._made: list[PhoneChannel] = []
        self._wait(30)

    def _wait(self, seconds: float) -> None:
        """Waiting out a whole time-out would make the suite slow; a short one everywhere would make it shaky."""
        options = {**self._options, "timeout_s": seconds}
        self.gateway: Any = load_gateway(self.kind.kind).from_options(options, now)
        self.channel = PhoneChannel(self.kind.name, self.gateway, TEXTS, now)
        self._made.append(self.channel)

    async def end(self) -> None:
        for channel in self._made:
            await channel.close()
        self._server.__exit__(None, None, None)
        assert self.held.faults == []

    def letter(self, number: int, **over: Any) -> Message:
        to = f"+861380013800{number}" if self.kind.name == "sms" else f"maya.{number}"
        return short_letter(number, self.kind.name, over.pop("to", to), now(), **over)

    def got(self) -> Sequence[tuple[str, str]]:
        prefix = "+86" if isinstance(self.fake, AliyunFake) else ""
        return [(prefix + m["to"], m["text"]) for m in self.fake.messages]

    def trouble(self, how: Trouble) -> None:
        if self.fake.trouble == "stranger" and "token" in self.troubles:
            self.gateway._token._quiet_until = 0.0  # as if half a minute had passed
        if "hang" in (how, self.fake.trouble) and how != self.fake.trouble:
            self._wait(0.5 if how == "hang" else 30)
        self.fake.trouble = how


async def opened(name: str, **over: Any) -> AsyncIterator[Harness]:
    harness = Harness(KINDS[name], **over)
    try:
        yield harness
    finally:
        await harness.end()


class TestServices(ChannelContract):
    @pytest.fixture(params=list(KINDS))
    async def harness(self, request: pytest.FixtureRequest) -> AsyncIterator[Harness]:
        async for harness in opened(request.param):
            yield harness

    async def test_both_languages_go_through(self, harness: Harness) -> None:
        await harness.channel.send([harness.letter(1, locale="zh_CN"), harness.letter(2, locale="en")])
        assert len(harness.got()) == 2  # registered templates decide on the words

    async def test_what_arrives_has_the_code(self, harness: Harness) -> None:
        assert codes(await harness.channel.send([harness.letter(1)])) == [("sent", "ok")]
        ((to, text),) = harness.got()
        assert to == harness.letter(1).to
        assert CODE in text
        assert harness.held.checked

    @pytest.mark.covers("K9")
    async def test_a_repeat_carries_the_same_id_and_rings_once_where_the_service_can(self, harness: Harness) -> None:
        harness.trouble("cut")
        letter = harness.letter(1)
        assert codes(await harness.channel.send([letter])) == [("temporary", "reply_lost")]
        harness.trouble("")
        assert codes(await harness.channel.send([letter])) == [("sent", "ok")]
        assert len(harness.got()) == (2 if harness.kind.repeats else 1)
        if isinstance(harness.fake, (AliyunFake, TencentFake, FeishuFake)):
            assert {m["id"] for m in harness.fake.messages} == {letter.id}

    async def test_the_detail_names_the_services_code_and_no_number(self, harness: Harness) -> None:
        for how in ("busy", "recipient"):
            harness.trouble(how)  # type: ignore[arg-type]
            (receipt,) = await harness.channel.send([harness.letter(1)])
            assert receipt.detail
            assert "13800" not in receipt.detail


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


# ── tokens ──────────────────────────────────────────────────────────────────


def token_calls(harness: Harness) -> int:
    paths = ("/cgi-bin/gettoken", "/v1.0/oauth2/accessToken", "/open-apis/auth/v3/tenant_access_token/internal")
    return sum(harness.fake.calls.get(p, 0) for p in paths)


@pytest.mark.anyio
@pytest.mark.parametrize("name", WITH_TOKENS)
async def test_one_token_serves_many_messages_and_is_fetched_anew_once(name: str) -> None:
    async for harness in opened(name):
        await harness.channel.send([harness.letter(n) for n in range(8)])
        assert token_calls(harness) == 1
        harness.fake.end_tokens()
        assert codes(await harness.channel.send([harness.letter(9)])) == [("sent", "ok")]
        assert token_calls(harness) == 2
        harness.trouble("token")
        assert codes(await harness.channel.send([harness.letter(1)])) == [("temporary", "relay_refuses_us")]
        assert token_calls(harness) == 3


@pytest.mark.anyio
@pytest.mark.parametrize("name", WITH_TOKENS)
async def test_credentials_that_are_refused_are_left_alone_for_a_while(name: str) -> None:
    async for harness in opened(name):
        harness.trouble("stranger")
        receipts = await harness.channel.send([harness.letter(n) for n in range(8)])
        assert set(codes(receipts)) == {("temporary", "relay_refuses_us")}
        assert token_calls(harness) == 1


def test_a_token_is_fetched_before_its_end() -> None:
    time, fetched = [0.0], []

    async def fetch() -> tuple[Secret, float]:
        fetched.append(time[0])
        return Secret(f"token-{len(fetched)}"), 7200.0

    async def go() -> None:
        token = AccessToken(fetch, lambda: time[0])

        async def call(t: Secret) -> str:
            return t.reveal()

        for at in (0.0, 6899.0, 6901.0, 7000.0):
            time[0] = at
            await token.use(call)
        assert fetched == [0.0, 6901.0]
        await asyncio.gather(*(token.use(call) for _ in range(20)))
        assert len(fetched) == 2

    asyncio.run(go())


def test_a_busy_token_service_is_asked_again_at_once() -> None:
    asked = []

    async def fetch() -> tuple[Secret, float]:
        asked.append(1)
        raise NotDone("unavailable", "busy")

    async def go() -> None:
        token = AccessToken(fetch)
        for _ in range(2):
            with pytest.raises(NotDone):
                await token.use(lambda t: asyncio.sleep(0, t))

    asyncio.run(go())
    assert len(asked) == 2


# ── signatures, by the vendors' own examples ────────────────────────────────


def test_aliyuns_example_is_signed_as_printed() -> None:
    """help.aliyun.com, "V3版本请求体&签名机制": RunInstances with fixed parameters."""
    headers = {
        "host": "ecs.cn-shanghai.aliyuncs.com",
        "x-acs-action": "RunInstances",
        "x-acs-content-sha256": aliyun.EMPTY,
        "x-acs-date": "2023-10-26T10:22:32Z",
        "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d",
        "x-acs-version": "2014-05-26",
    }
    query = {"ImageId": "win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd", "RegionId": "cn-shanghai"}
    signed = aliyun.authorization("YourAccessKeyId", Secret("YourAccessKeySecret"), "POST", query, headers)
    assert signed.reveal().endswith("Signature=06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0")


def test_tencents_example_is_signed_as_printed() -> None:
    """cloud.tencent.com, "签名方法 v3": DescribeInstances with fixed parameters."""
    body = rb'{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}'
    headers = {"content-type": "application/json; charset=utf-8", "host": "cvm.tencentcloudapi.com"}
    secret = Secret("Gu5t9xGARNpq86cd98joQYCN3EXAMPLE")
    signed = tencent.authorization("AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE", secret, "cvm", 1551113065, headers, body)
    assert signed.reveal().endswith("Signature=72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168")


# ── what is particular to each ──────────────────────────────────────────────


@pytest.mark.anyio
@pytest.mark.parametrize("name", ["aliyun", "tencent"])
async def test_a_kind_without_a_template_is_named(name: str) -> None:
    async for harness in opened(name):
        stop = harness.letter(1, content=StoppedMessage(username="maya", at=now(), by="owner"))
        abroad = harness.letter(1, to="+85251234567")
        receipts = await harness.channel.send([stop, abroad])
        assert codes(receipts) == [("permanent", "no_template")] * 2
        assert "stopped" in receipts[0].detail


@pytest.mark.anyio
async def test_numbers_abroad_get_their_own_template() -> None:
    async for harness in opened("aliyun", templates_abroad={"sms_code": "SMS_100"}):
        assert codes(await harness.channel.send([harness.letter(1, to="+85251234567")])) == [("sent", "ok")]
        assert harness.fake.messages[0]["to"] == "85251234567"


@pytest.mark.anyio
async def test_twilio_sends_by_a_messaging_service_too() -> None:
    async for harness in opened("twilio", sender="MG" + "0" * 32):
        assert codes(await harness.channel.send([harness.letter(1)])) == [("sent", "ok")]


@pytest.mark.anyio
async def test_a_wrong_key_is_refused_by_the_stand_in() -> None:
    """Otherwise the signatures above would show nothing."""
    for name in KINDS:
        harness = Harness(KINDS[name], secret="Some-other-secret-99")
        assert codes(await harness.channel.send([harness.letter(1)])) == [("temporary", "relay_refuses_us")], name
        assert harness.got() == []
        await harness.end()


@pytest.mark.parametrize(
    "code, verdict",
    [
        ("OK", ("sent", "ok")),
        ("OKAY", ("permanent", "refused_message")),
        ("isv.SMS_SIGNATURE_ILLEGAL", ("temporary", "relay_refuses_us")),
        ("isv.SMS_CONTENT_ILLEGAL", ("permanent", "refused_message")),
        ("isv.OUT_OF_SERVICE", ("temporary", "no_balance")),
        ("Throttling.User", ("temporary", "busy")),
        ("something new", ("permanent", "refused_message")),
    ],
)
def test_aliyuns_codes(code: str, verdict: tuple[str, str]) -> None:
    assert aliyun.verdict(aliyun.CODES, code) == verdict


@pytest.mark.parametrize(
    "code, verdict",
    [
        ("Ok", ("sent", "ok")),
        ("LimitExceeded.PhoneNumberDailyLimit", ("temporary", "busy")),
        ("FailedOperation.PhoneNumberInBlacklist", ("permanent", "refused_recipient")),
        ("FailedOperation.TemplateIncorrectOrUnapproved", ("temporary", "relay_refuses_us")),
        ("AuthFailure.SignatureFailure", ("temporary", "relay_refuses_us")),
        ("NoSuchThing", ("permanent", "refused_message")),
    ],
)
def test_tencents_codes(code: str, verdict: tuple[str, str]) -> None:
    assert tencent.verdict(code) == verdict


BAD_OPTIONS: Iterator[tuple[str, str, dict[str, Any]]] = iter(
    [
        ("sms", "aliyun", {"key_id": "a", "secret": "b", "sign_name": "c"}),
        ("sms", "aliyun", {"key_id": "a", "sign_name": "c", "templates": {}}),
        ("sms", "tencent", {"key_id": "a", "secret": "b", "sign_name": "c", "templates": {}}),
        ("sms", "twilio", {"account": "me", "secret": "b", "sender": "+12025550123"}),
        ("sms", "twilio", {"account": "AC" + "0" * 32, "secret": "b", "sender": "+12025550123", "extra": 1}),
        ("im", "wecom", {"corp_id": "a", "agent_id": 1, "secret": "b", "url": "http://wecom.example.com"}),
        ("im", "dingtalk", {"app_key": "a", "secret": "b"}),
        ("im", "dingtalk", {"app_key": "a", "secret": "b", "agent_id": 1, "robot_code": "r"}),
        ("im", "feishu", {"app_id": "a", "secret": "b", "address": "email"}),
    ]
)


@pytest.mark.parametrize("name, kind, options", list(BAD_OPTIONS))
def test_wrong_keys_stop_the_start(name: str, kind: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        load_gateway(kind).from_options(options, now)


@pytest.mark.covers("INV-I4")
def test_no_gateway_shows_its_secret() -> None:
    for kind in KINDS.values():
        fake = kind.fake()
        options = {**kind.options(fake), "secret": fake.secret}
        gateway: Any = load_gateway(kind.kind).from_options(options, now)
        shown = repr(gateway) + repr(vars(gateway)) + str(gateway)
        assert fake.secret not in shown
        assert base64.b64encode(fake.secret.encode()).decode()[:16] not in shown
        asyncio.run(gateway.close())


def test_every_service_has_a_stand_in() -> None:
    assert {k.kind for k in KINDS.values()} == set(OWN[GATEWAYS]) - {"http"}
    assert issubclass(AliyunFake, Service)
    assert twilio.CODES
