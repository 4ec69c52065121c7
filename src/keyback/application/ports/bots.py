"""A company's bot in a chat service: it hears "forgot password" and answers with the address to begin at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

BadCallCode = Literal["bad_signature", "stale", "malformed"]


class BadCall(Exception):
    """A call that is not the service's, or that cannot be read. Its text never has anything of the call."""

    def __init__(self, code: BadCallCode) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class BotCall:
    """A request as it came in. Names of headers are in small letters."""

    method: Literal["GET", "POST"]
    query: Mapping[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class BotMessage:
    """What somebody wrote to the bot.

    Args:
        id: the service's; the same message is answered once.
        sender: the service's name of who wrote it, or of the chat: for limits alone, never kept.
        text: as it was written.
        direct: to the bot alone, not in a group.
        back: where an answer goes, in the service's terms.
    """

    id: str
    sender: str = field(repr=False)
    text: str = field(repr=False)
    direct: bool = True
    back: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class BotAnswer:
    """A response to the service."""

    body: bytes = b""
    media: str = "text/plain"


class Bot(Protocol):
    """One chat service's protocol, with the company's secrets."""

    def read(self, call: BotCall, now: int) -> BotMessage | BotAnswer:
        """The message of a call, or at once what is answered to one that has none.

        Args:
            now: ms.

        Raises:
            BadCall: not signed by the service, too old, or unreadable.
        """
        ...

    async def answer(self, message: BotMessage, text: str, now: int) -> BotAnswer:
        """Says something to who wrote; what the request is answered with. Empty text: nothing is said.

        Raises:
            Unavailable: the service took no answer.
        """
        ...

    async def close(self) -> None: ...
