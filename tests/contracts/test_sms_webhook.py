"""Phone and chat by a webhook of one's own, against the demo's phone; and what all gateways share."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Literal

import httpx2
import pytest

from keyback.application.ports.channels import Message, Receipt
from keyback.channels.gateways import base as phone_module
from keyback.channels.gateways.base import PhoneChannel, receipt
from keyback.channels.gateways.texts import PhoneTexts, ShortMessage
from keyback.channels.gateways.webhook import WebhookGateway
from keyback.channels.router import Router
from keyback.domain.secret import Secret
from keyback.outbound.http import Endpoint
from keyback.outbound.standard_webhooks import sign, webhook_key
from keyback.testing.channels import BASE, COMPANY, ChannelContract, codes, short_letter
from keyback.testing.phone import PATH, Phone
from keyback.testing.serving import Trouble, served

TEXTS = PhoneTexts(COMPANY, "Asia/Shanghai", BASE)


def now() -> int:
    return time.time_ns() // 1_000_000


def hasten(endpoint: Endpoint, how: Trouble) -> None:
    """Waits briefly where nothing is going to come, and elsewhere as long as a busy machine needs."""
    endpoint._timeout = 0.3 if how == "hang" else 20.0
    endpoint._limits = httpx2.Timeout(endpoint._timeout)


class Harness:
    troubles: frozenset[Trouble] = frozenset({"busy", "broken", "hang", "cut", "stranger", "balance", "recipient"})

    def __init__(self, kind: Literal["sms", "im"], phone: Phone, url: str) -> None:
        self.kind, self.phone, self.secrets = kind, phone, [phone.secret]
        self.gateway = WebhookGateway.from_options({"url": url, "secret": phone.secret}, now)
        self.channel = PhoneChannel(kind, self.gateway, TEXTS, now)

    def letter(self, number: int, **over: Any) -> Message:
        to = f"+861380013800{number}" if self.kind == "sms" else f"maya.{number}"
        return short_letter(number, self.kind, over.pop("to", to), now(), **over)

    def got(self) -> Sequence[tuple[str, str]]:
        return [(m["to"], m["text"]) for m in self.phone.messages]

    def trouble(self, how: Trouble) -> None:
        hasten(self.gateway._http, how)
        self.phone.trouble = how


@pytest.fixture(scope="module")
def served_phone() -> Iterator[tuple[Phone, str]]:
    phone = Phone()
    with phone.serving() as url:
        yield phone, url


class TestWebhook(ChannelContract):
    @pytest.fixture(params=["sms", "im"])
    async def harness(self, request: pytest.FixtureRequest, served_phone: tuple[Phone, str]) -> AsyncIterator[Harness]:
        phone, url = served_phone
        phone.messages.clear()
        harness = Harness(request.param, phone, url)
        yield harness
        phone.trouble = ""
        await harness.channel.close()

    async def test_a_lost_answer_rings_once(self, harness: Harness) -> None:
        harness.trouble("cut")
        assert codes(await harness.channel.send([harness.letter(1)])) == [("temporary", "reply_lost")]
        harness.trouble("")
        assert codes(await harness.channel.send([harness.letter(1)])) == [("sent", "ok")]
        assert len(harness.got()) == 1
        assert harness.phone.messages[0]["message_id"] == "letter-1"


@pytest.fixture
async def harness(served_phone: tuple[Phone, str]) -> AsyncIterator[Harness]:
    phone, url = served_phone
    phone.messages.clear()
    harness = Harness("sms", phone, url)
    yield harness
    phone.trouble = ""
    await harness.channel.close()


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.anyio
async def test_a_service_that_stays_silent_is_left_alone_over_batches(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(phone_module, "SLOW_S", 0.1)
    harness.trouble("hang")
    for n in range(3):
        await harness.channel.send([harness.letter(n)])
    before = harness.phone.calls[PATH]
    harness.trouble("")
    assert codes(await harness.channel.send([harness.letter(4)])) == [("temporary", "unreachable")]
    assert harness.phone.calls[PATH] == before
    harness.channel._quiet_until = 0.0  # half a minute later
    assert codes(await harness.channel.send([harness.letter(4)])) == [("sent", "ok")]


@pytest.mark.anyio
async def test_a_service_that_is_gone_is_not_called_again_and_again(harness: Harness) -> None:
    """The circuit breaker of the guarded client."""
    harness.phone.trouble = ""
    gateway = WebhookGateway.from_options({"url": "http://127.0.0.1:9/", "secret": harness.phone.secret}, now)
    channel = PhoneChannel("sms", gateway, TEXTS, now)
    details = [(await channel.send([harness.letter(1)]))[0].detail for _ in range(7)]
    assert "waiting before the next try" in details[-1]
    assert "not reachable (" in details[0]
    await channel.close()


async def _elsewhere(scope: Any, receive: Any, send: Any) -> None:
    """Redirects, or answers without end."""
    if scope["path"] == "/moved":
        headers = [(b"location", b"/messages"), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 307, "headers": headers})
        await send({"type": "http.response.body", "body": b""})
        return
    if scope["path"] == "/messages":
        followed.append(scope["path"])
    await send({"type": "http.response.start", "status": 200, "headers": []})
    for _ in range(40):
        await send({"type": "http.response.body", "body": b"x" * 65536, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


followed: list[str] = []


@pytest.mark.anyio
@pytest.mark.parametrize("path, code", [("/moved", "unreachable"), ("/long", "reply_lost")])
async def test_redirects_and_endless_answers_are_faults(path: str, code: str) -> None:
    with served(_elsewhere) as url:
        gateway = WebhookGateway.from_options({"url": url + path, "secret": Phone().secret}, now)
        channel = PhoneChannel("sms", gateway, TEXTS, now)
        letter = short_letter(1, "sms", "+8613800138000", now())
        assert codes(await channel.send([letter])) == [("temporary", code)]
        await channel.close()
    assert followed == []


def test_the_signature_is_that_of_the_standard() -> None:
    """The example of Standard Webhooks' reference libraries."""
    key = webhook_key(Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))
    signed = sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("secret", ["", "short", "whsec_", "whsec_QUJD", "whsec_!!!!"])
def test_a_weak_secret_is_refused(secret: str) -> None:
    with pytest.raises(ValueError):
        webhook_key(Secret(secret))


@pytest.mark.parametrize("url", ["http://sms.example.com/", "ftp://127.0.0.1/", "https://u:p@sms.example.com/"])
def test_an_unsafe_address_is_refused(url: str) -> None:
    with pytest.raises(ValueError):
        WebhookGateway.from_options({"url": url, "secret": Phone().secret}, now)


class Broken:
    """A gateway of somebody else's that does all it must not."""

    async def deliver(self, message: ShortMessage) -> Receipt:
        raise KeyError(message.text)

    async def close(self) -> None: ...


def test_a_gateway_that_raises_is_a_receipt() -> None:
    channel = PhoneChannel("sms", Broken(), TEXTS, now)
    got = asyncio.run(channel.send([short_letter(1, "sms", "+8613800138000", now())]))
    assert [(r.status, r.code, r.detail) for r in got] == [("temporary", "fault", "KeyError")]


def test_a_detail_has_no_number_address_or_code() -> None:
    said = "Unknown +86 138-0013-8000, see https://x.example.com/482719 or a@b.example; 482719\r\nisv.LIMIT"
    assert receipt(("temporary", "busy"), said).detail == "Unknown …, see … or … … isv.LIMIT"


class Fake:
    def __init__(self, name: str, receipts: list[Receipt] | Exception) -> None:
        self.name, self.receipts, self.messages, self.closed = name, receipts, [], False

    async def send(self, messages: Sequence[Message]) -> Sequence[Receipt]:
        self.messages += messages
        if isinstance(self.receipts, Exception):
            raise self.receipts
        return self.receipts[: len(messages)]

    async def close(self) -> None:
        self.closed = True


def test_the_router_keeps_order_and_keeps_faults_apart() -> None:
    mail, sms = Fake("mail", [Receipt("sent", "a"), Receipt("sent", "b")]), Fake("sms", RuntimeError("+8613800138000"))
    router = Router({"mail": mail, "sms": sms})
    letters = [short_letter(i, c, "x", 1) for i, c in enumerate(["sms", "mail", "im", "mail", "sms"])]
    got = [(r.status, r.code) for r in asyncio.run(router.send(letters))]
    assert got == [
        ("temporary", "fault"), ("sent", "a"), ("permanent", "no_channel"), ("sent", "b"), ("temporary", "fault"),
    ]  # fmt: skip
    assert [x.id for x in mail.messages] == ["letter-1", "letter-3"]
    asyncio.run(router.close())
    assert mail.closed
    assert sms.closed


def test_a_carrier_that_answers_for_too_few_is_at_fault() -> None:
    router = Router({"mail": Fake("mail", [Receipt("sent")])})
    letters = [short_letter(i, "mail", "x", 1) for i in range(2)]
    assert codes(asyncio.run(router.send(letters))) == [("temporary", "fault")] * 2
