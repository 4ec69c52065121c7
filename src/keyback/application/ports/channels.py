"""What the application asks of the outside: systems that hold passwords, and channels that carry messages.

Plug-ins return values: a connector Outcomes, a channel Receipts. Neither sees HTTP requests of ours or SQL.
Instants are integers: milliseconds since 1970-01-01T00:00Z.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from keyback.application.ports.messages import Content, MessageKind

ChannelName = Literal["mail", "sms", "im"]


class Lease(Protocol):
    """Whether a batch is still ours to send. Whoever sends asks right before a message can no longer be held back."""

    def over(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one stored address.

    Args:
        id: stable over retries; the Message-ID is made of it.
        to: the stored address, never the typed one.
        name: the person's name, untrusted text.
        locale: one of `LOCALES`.
        written_at: ms; the Date header, stable over retries.
        expires_at: ms; nothing is sent after it.
        content: what it says, by kind. Secrets in it are `Secret`.
        channel: how it travels; `to` is an address of that kind.
        return_token: by which a mail that comes back is known to be ours; empty where nothing is made of its return.
        lease: for how long it is ours; None: nobody else sends it. One that is over is not sent: somebody else may have
            it in hand. The receipt is `LEASE_OVER` then.
    """

    id: str
    to: str
    name: str
    locale: str
    written_at: int
    expires_at: int
    content: Content
    channel: ChannelName = "mail"
    return_token: str = ""
    lease: Lease | None = field(default=None, compare=False, repr=False)

    @property
    def kind(self) -> MessageKind:
        """Which text."""
        return self.content.kind

    @property
    def bulk(self) -> bool:
        """Whether it is one of very many that nobody waits for."""
        return self.kind is MessageKind.CAMPAIGN

    @property
    def ours(self) -> bool:
        return self.lease is None or not self.lease.over()


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one message.

    `sent`: the next hop took it. `temporary`: try again later. `permanent`: never will.
    `code` is a short stable word (`ok`, `refused_recipient`, `unreachable`, `greylisted`, `bad_letter` …), `detail` the
    server's words, cleaned of control characters and cut to 200 characters, without address or secret.
    """

    status: Literal["sent", "temporary", "permanent"]
    code: str = "ok"
    detail: str = ""


LEASE_OVER = Receipt("temporary", "lease_over")


class Channel(Protocol):
    """A way to carry messages. Takes a batch so that one warm connection serves many."""

    @property
    def name(self) -> str: ...

    async def send(self, messages: Sequence[Message]) -> Sequence[Receipt]:
        """One receipt per message, in order. Never raises for a message's or a server's fault."""
        ...

    async def close(self) -> None: ...
