"""What somebody says about mails of ours, and where we ask."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from keyback.domain.units import MINUTE


@dataclass(frozen=True, slots=True)
class ReturnedMail:
    """What became of a mail.

    Args:
        tokens: candidates for what we put into it; only one that is ours counts.
        fate: `returned`: it will never arrive. `arrived`: it lies in the mailbox.
        status: the enhanced status code, such as `5.1.1`; for the audit log.
    """

    tokens: tuple[str, ...]
    fate: Literal["returned", "arrived"]
    status: str = ""


class MailboxAway(Exception):
    """The mailbox cannot be read now; the text says why, without address or secret."""


class ReturnMailbox(Protocol):
    """Where relays send back what did not arrive."""

    async def read(self, take: Callable[[Sequence[ReturnedMail]], Awaitable[object]]) -> int:
        """Gives what is new to `take`, and puts it aside once that has it; the number of mails.

        Raises:
            MailboxAway: some or all of it stays for the next time.
        """
        ...


@dataclass(frozen=True, slots=True)
class ReturnSources:
    """Who tells us of mail that did not arrive.

    Args:
        mailbox: where relays send it back to; None where it is not read.
        every_ms: between two looks into it.
        hook_key: by which a mail service signs its reports; empty where none are taken.
    """

    mailbox: ReturnMailbox | None = None
    every_ms: int = 5 * MINUTE
    hook_key: bytes = field(default=b"", repr=False)
