"""What the application asks of the outside: systems that hold passwords, and channels that carry messages.

Plug-ins return values: a connector Outcomes, a channel Receipts. Neither sees HTTP requests of ours or SQL.
Instants are integers: milliseconds since 1970-01-01T00:00Z.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol

# ── channels ────────────────────────────────────────────────────────────────


class MessageKind(StrEnum):
    """What a message is about; every channel has a text for each kind that it carries."""

    RECOVERY = "recovery"  # link + code + stop link
    LOGINS = "logins"  # the forgotten user names
    ELSEWHERE = "elsewhere"  # the password lives with another sign-in provider
    CHANGED = "changed"  # told to every contact after a recovery
    HOLD = "hold"  # told to every contact when a decided recovery waits, and when its wait is over
    STOPPED = "stopped"  # told to every contact when a recovery was stopped
    ROTATION = "rotation"  # a password comes of age
    MAIL_CODE = "mail_code"  # a code for a mail address that is not the primary one, or not confirmed yet
    VOUCH = "vouch"  # a recovery contact is asked to vouch for somebody
    SMS_CODE = "sms_code"  # a code for a phone number
    IM_CODE = "im_code"  # a code for an account with a message service
    ACCOUNT_CHANGED = "account_changed"  # how an account is protected was changed; told to every contact
    ASKED = "asked"  # somebody recovers the account by what no message to its owner was needed for; told at once
    MOVING = "moving"  # an import brings another address, which counts after a wait; told to whoever may refuse it
    INVITED = "invited"  # somebody is asked to become a recovery contact
    SIGNED_IN = "signed_in"  # a sign-in that may not be the owner's
    TRIES = "tries"  # wrong passwords pile up
    REMINDER = "reminder"  # something in the security centre waits to be looked at


class Lease(Protocol):
    """Whether a batch is still ours to send. Whoever sends asks right before a message can no longer be held back."""

    def over(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one stored address.

    Args:
        id: stable over retries; the Message-ID is made of it.
        kind: which text.
        to: the stored address, never the typed one.
        name: the person's name, untrusted text.
        locale: `zh_CN` or `en`.
        written_at: ms; the Date header, stable over retries.
        expires_at: ms; nothing is sent after it.
        facts: values for the text, by kind (see `channels/mail/composer.py`, and `channels/gateways/texts.py` for SMS
        and
            messages). Secrets among them are `Secret`.
        channel: how it travels; `to` is an address of that kind.
        lease: for how long it is ours; None: nobody else sends it. One that is over is not sent: somebody else may have
            it in hand. The receipt is `LEASE_OVER` then.
    """

    id: str
    kind: MessageKind
    to: str
    name: str
    locale: str
    written_at: int
    expires_at: int
    facts: Mapping[str, object] = field(default_factory=dict)
    channel: Literal["mail", "sms", "im"] = "mail"
    lease: Lease | None = field(default=None, compare=False, repr=False)

    @property
    def ours(self) -> bool:
        return self.lease is None or not self.lease.over()


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one letter.

    `sent`: the next hop took it. `temporary`: try again later. `permanent`: never will.
    `code` is a short stable word (`ok`, `refused_recipient`, `unreachable`, `greylisted`, `bad_letter` …), `detail` the
    server's words, cleaned of control characters and cut to 200 characters, without address or secret.
    """

    status: Literal["sent", "temporary", "permanent"]
    code: str = "ok"
    detail: str = ""


LEASE_OVER = Receipt("temporary", "lease_over")


class Channel(Protocol):
    """A way to carry letters. Takes a batch so that one warm connection serves many."""

    @property
    def name(self) -> str: ...

    async def send(self, letters: Sequence[Message]) -> Sequence[Receipt]:
        """One receipt per letter, in order. Never raises for a letter's or a server's fault."""
        ...

    async def close(self) -> None: ...


class BadMessage(ValueError):
    """A letter that can never be sent as it is. The text names the field, never its value."""
