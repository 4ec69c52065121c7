"""The contract suite for channels on mail by SMTP, as on every other channel."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from keyback.application.ports.channels import Message
from keyback.channels.mail.composer import MailComposer
from keyback.channels.mail.smtp import SmtpChannel, SmtpSettings
from keyback.domain.secret import Secret
from keyback.testing.channels import BASE, CODE, COMPANY, NOW, TOKEN, ChannelContract
from keyback.testing.mailbox import Mailbox
from keyback.testing.serving import Trouble
from tests.support.relay import letter

PASSWORD = "relay-password-4711"


class Harness:
    troubles: frozenset[Trouble] = frozenset({"busy", "hang", "cut", "recipient"})
    secrets: Sequence[str] = [PASSWORD]

    def __init__(self, box: Mailbox) -> None:
        self.box = box
        self._hangs = False
        self._made: list[SmtpChannel] = []
        self._wait(30)

    def _wait(self, seconds: float) -> None:
        """Waiting out a whole time-out would make the suite slow; a short one everywhere would make it shaky."""
        composer = MailComposer(COMPANY, "keyback@example.com", {"en": "8100", "zh_CN": "8100"}, "Asia/Shanghai", BASE)
        settings = SmtpSettings(
            host="127.0.0.1", port=self.box.port, security="starttls", ca_file=self.box.ca_file,
            username="keyback", password=Secret(PASSWORD), timeout_s=seconds,
        )  # fmt: skip
        self.channel = SmtpChannel(composer, settings, lambda: NOW)
        self._made.append(self.channel)

    async def end(self) -> None:
        for channel in self._made:
            await channel.close()

    def letter(self, number: int, **over: Any) -> Message:
        one = letter(number)
        content = replace(one.content, code=Secret(f"{CODE}05"), link=Secret(f"{BASE}/l/{TOKEN}"))
        return replace(one, **{"content": content, **over})

    def got(self) -> Sequence[tuple[str, str]]:
        return [(m["to"], m["text"]) for m in self.box.messages()]

    def trouble(self, how: Trouble) -> None:
        if self._hangs != (how == "hang"):
            self._hangs = how == "hang"
            self._wait(0.5 if self._hangs else 30)
        self.box.greylist(1 if how == "busy" else 0)
        self.box.stall(30 if how == "hang" else 0)
        self.box.cut_after_data(1 if how == "cut" else 0)
        self.box._refused = {self.letter(1).to: "550 5.1.1 No such user"} if how == "recipient" else {}


class TestSmtp(ChannelContract):
    @pytest.fixture
    async def harness(self) -> AsyncIterator[Harness]:
        with Mailbox(tls="starttls", login=("keyback", PASSWORD)) as box:
            harness = Harness(box)
            yield harness
            await harness.end()
