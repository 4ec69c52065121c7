"""The contract of channels as a test suite: subclass `ChannelContract`, give it a `harness`, run pytest.

    class TestMine(ChannelContract):
        @pytest.fixture
        def harness(self):
            yield MyHarness(...)

Every test is a coroutine run by the pytest plug-in of `anyio` on asyncio.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, Protocol

import pytest

from keyback.application.ports.channels import Channel, Message, Receipt
from keyback.application.ports.messages import ImCodeMessage, LoginsMessage, SmsCodeMessage
from keyback.domain.secret import Secret
from keyback.testing.serving import Trouble

BASE = "https://id.qingyu.example.com"
COMPANY = {"en": "Qingyu Instruments", "zh_CN": "青屿仪器"}
NOW = 1_795_500_120_000
# Mail refuses a list without entries, and phones are not told of this kind.
EMPTY = LoginsMessage(asker="stranger", asked_at=NOW, source="", device="", logins=())
CODE, TOKEN = "482719", "Kanarienvogel-4711-xx"


class ChannelHarness(Protocol):
    """What the suite needs besides the channel: the other side's own controls.

    Args:
        channel: its clock stands at `NOW`, or in real time where a service checks it.
        secrets: texts that must never show: keys, passwords.
        troubles: which of the troubles of `Trouble` this service can be put in.
    """

    channel: Channel
    secrets: Sequence[str]
    troubles: frozenset[Trouble]

    def letter(self, number: int, **over: Any) -> Message:
        """A letter with a secret in it, to the address of this number."""
        ...

    def got(self) -> Sequence[tuple[str, str]]:
        """Address and text of what arrived, oldest first."""
        ...

    def trouble(self, how: Trouble) -> None:
        """Put the service in trouble; empty ends it."""
        ...


def short_letter(number: int, channel: Any, to: str, now: int, **over: Any) -> Message:
    """A letter with a code for a phone or chat account."""
    kind = SmsCodeMessage if channel == "sms" else ImCodeMessage
    content = kind(
        asker="stranger", username="maya", asked_at=now, source="", device="", code=Secret(CODE),
        expires_at=now + 600_000, purpose="recovery",
    )  # fmt: skip
    values: dict[str, Any] = {
        "id": f"letter-{number}", "to": to, "name": "Maya", "locale": "zh_CN", "written_at": now,
        "expires_at": now + 600_000, "content": content, "channel": channel,
    }  # fmt: skip
    return Message(**values | over)


def codes(receipts: Sequence[Receipt]) -> list[tuple[str, str]]:
    return [(r.status, r.code) for r in receipts]


# What a channel must make of each trouble.
VERDICTS: dict[Trouble, tuple[str, set[str]]] = {
    "busy": ("temporary", {"busy", "greylisted"}),
    "broken": ("temporary", {"reply_lost", "unreachable", "busy"}),
    "hang": ("temporary", {"reply_lost", "timeout"}),
    "cut": ("temporary", {"reply_lost"}),
    "stranger": ("temporary", {"relay_refuses_us"}),
    "balance": ("temporary", {"no_balance"}),
    "recipient": ("permanent", {"refused_recipient"}),
    "token": ("temporary", {"relay_refuses_us"}),
}


class ChannelContract:
    """Subclass gives the fixture `harness`."""

    @pytest.fixture
    def anyio_backend(self) -> str:
        return "asyncio"

    pytestmark = pytest.mark.anyio

    async def test_is_a_channel(self, harness: ChannelHarness) -> None:
        assert harness.channel.name
        assert list(await harness.channel.send([])) == []
        await harness.channel.close()

    async def test_one_receipt_for_each_letter_in_order(self, harness: ChannelHarness) -> None:
        letters = [harness.letter(1), harness.letter(2, to="no address"), harness.letter(3)]
        receipts = list(await harness.channel.send(letters))
        assert codes(receipts) == [("sent", "ok"), ("permanent", "bad_letter"), ("sent", "ok")]
        assert sorted(to for to, _ in harness.got()) == sorted([letters[0].to, letters[2].to])
        assert "no address" not in receipts[1].detail

    @pytest.mark.covers("K7")
    async def test_nothing_is_sent_after_its_time(self, harness: ChannelHarness) -> None:
        receipts = await harness.channel.send([harness.letter(1, expires_at=1)])
        assert codes(receipts) == [("permanent", "expired")]
        assert list(harness.got()) == []

    async def test_content_that_is_not_what_it_must_be_stops_the_message_only(self, harness: ChannelHarness) -> None:
        receipts = await harness.channel.send([harness.letter(1, content=EMPTY), harness.letter(2)])
        assert codes(receipts) == [("permanent", "bad_letter"), ("sent", "ok")]

    async def test_both_languages_go_through(self, harness: ChannelHarness) -> None:
        await harness.channel.send([harness.letter(1, locale="zh_CN"), harness.letter(2, locale="en")])
        assert len({text for _, text in harness.got()}) == 2

    @pytest.mark.parametrize("how", list(VERDICTS))
    async def test_every_trouble_becomes_a_receipt(self, harness: ChannelHarness, how: Trouble) -> None:
        if how not in harness.troubles:
            return
        harness.trouble(how)
        (receipt,) = await harness.channel.send([harness.letter(1)])
        status, words = VERDICTS[how]
        assert receipt.status == status
        assert receipt.code in words
        harness.trouble("")
        assert codes(await harness.channel.send([harness.letter(2)])) == [("sent", "ok")]

    async def test_a_silent_service_does_not_hold_up_a_whole_batch(self, harness: ChannelHarness) -> None:
        if "hang" not in harness.troubles:
            return
        harness.trouble("hang")
        receipts = await harness.channel.send([harness.letter(i % 5) for i in range(60)])
        assert {r.status for r in receipts} == {"temporary"}
        harness.trouble("")

    @pytest.mark.covers("INV-I4")
    async def test_no_secret_is_shown_or_logged(
        self, harness: ChannelHarness, caplog: pytest.LogCaptureFixture
    ) -> None:
        seen: list[object] = [harness.channel]
        with caplog.at_level(logging.DEBUG):
            for how in VERDICTS:
                if how in harness.troubles:
                    harness.trouble(how)
                    seen += await harness.channel.send([harness.letter(1)])
            harness.trouble("")
            seen += await harness.channel.send([harness.letter(1)])
        text = "\n".join(f"{s!r} {s}" for s in seen) + caplog.text
        assert not [s for s in (*harness.secrets, CODE, TOKEN, harness.letter(1).to) if s in text]


__all__ = [
    "BASE", "CODE", "COMPANY", "NOW", "TOKEN", "VERDICTS", "ChannelContract", "ChannelHarness", "codes", "short_letter",
]  # fmt: skip
