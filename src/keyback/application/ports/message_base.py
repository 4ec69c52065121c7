"""What every message has: its kind, and how a row of the outbox holds it. The kinds themselves are in `messages`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from enum import StrEnum
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Self, TypedDict, dataclass_transform, get_origin, get_type_hints

from keyback.domain.throttling.sms_quota import AskedBy

Pairs = tuple[tuple[str, str], ...]


class BadMessage(ValueError):
    """A message that can never be sent as it is. The text names the field, never its value."""


class MessageKind(StrEnum):
    """What a message is about; every channel has a text for each kind that it carries."""

    RECOVERY = "recovery"
    LOGINS = "logins"
    ELSEWHERE = "elsewhere"
    CHANGED = "changed"
    HOLD = "hold"
    STOPPED = "stopped"
    ROTATION = "rotation"
    MAIL_CODE = "mail_code"
    CONFIRMATION = "vouch"
    SMS_CODE = "sms_code"
    IM_CODE = "im_code"
    ACCOUNT_CHANGED = "account_changed"
    ASKED = "asked"
    MOVING = "moving"
    INVITED = "invited"
    SIGNED_IN = "signed_in"
    TRIES = "tries"
    REMINDER = "reminder"
    CHOOSE_AGAIN = "choose_again"
    TASK = "task"
    DESK = "desk"
    SYSTEM = "system"
    ERASED = "erased"
    CALL = "call"
    HELP_CODE = "help_code"
    HELP_NEWS = "help_news"
    CAMPAIGN = "campaign"


class Where(TypedDict):
    """Where something was done from: a network address and what the browser is, empty where nobody did it."""

    source: str
    device: str


class By(Where):
    """Who had it sent, and when (ms)."""

    asker: AskedBy
    asked_at: int


MADE = MappingProxyType({"made": True})  # of a field that is filled in when the message is sent


# ── what several have ───────────────────────────────────────────────────────


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field,))
class Content:
    """What one message says. Every class below is a frozen dataclass whose fields are named.

    Raises:
        BadMessage: a field is of another type than it says.
    """

    kind: ClassVar[MessageKind]
    _types: ClassVar[Mapping[str, Any]]
    _stored: ClassVar[Mapping[str, Any]]  # with their defaults

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True, kw_only=True)(cls)
        hints = get_type_hints(cls)
        own = [f for f in fields(cls) if not f.metadata]  # type: ignore[arg-type]
        cls._stored = {f.name: f.default for f in own}
        cls._types = {f.name: _class_of(hints[f.name]) for f in fields(cls)}  # type: ignore[arg-type]

    def __post_init__(self) -> None:
        for name, expected in self._types.items():
            if not isinstance(getattr(self, name), expected):
                raise BadMessage(f"{name} of the {self.kind} message is missing or of another type")

    def body(self) -> dict[str, Any]:
        """What a row of the outbox holds of it; a field that is at its default is left out."""
        stored = {name: getattr(self, name) for name, default in self._stored.items()}
        return {"letter": self.kind.value, **{k: v for k, v in stored.items() if v != self._stored[k]}}

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        """What `body` gave, of this version or another.

        Raises:
            TypeError, ValueError: a field is missing or of another type.
        """
        given = {name: body[name] for name in cls._stored if name in body}
        return cls(**{k: tuple(map(tuple, v)) if isinstance(v, list) else v for k, v in given.items()})


def _class_of(hint: Any) -> Any:
    """What a field with this hint has to be an instance of."""
    origin = get_origin(hint)
    return str if origin is Literal else tuple if origin is tuple else hint


class AccountContent(Content):
    """About one account. `username`: untrusted text, as are names, labels and `device` below."""

    username: str


class LocatedContent(Content, ABC):
    """With where it was done from (`Where`)."""

    source: str
    device: str

    @property
    @abstractmethod
    def when(self) -> int:
        """When it was done, in ms."""


class RequestedContent(LocatedContent):
    """Somebody had it sent, and is counted: `asker` says who."""

    asker: AskedBy
    asked_at: int

    @property
    def when(self) -> int:
        return self.asked_at

    @classmethod
    def read(cls, body: Mapping[str, Any]) -> Self:
        return super().read({"asker": "stranger", **body})


class NoticeContent(LocatedContent):
    """Told to those whom it concerns; nobody asked for the message."""

    at: int

    @property
    def when(self) -> int:
        return self.at
