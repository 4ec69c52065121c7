"""What the pages of the demo show; see `pages` for the rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from keyback.web.pages import Page


@dataclass(frozen=True, slots=True)
class DemoPerson:
    """One invented person. The password is shown because nothing here is real."""

    name: str
    identifiers: tuple[str, ...]
    systems: tuple[str, ...]
    tier: str
    password: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class DemoHome(Page):
    """`/demo`. Toggle form posts `slow` and `broken` (`1` when on) to `/demo/crm/toggle`."""

    template: ClassVar[str] = "demo.html"
    people: tuple[DemoPerson, ...]
    slow: bool = False
    broken: bool = False


@dataclass(frozen=True, slots=True)
class DemoMessage:
    """One mail in the viewer, newest first."""

    id: str
    at: int
    to: str
    subject: str
    text: str
    links: tuple[str, ...] = ()
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DemoMailbox(Page):
    """`/demo/mailbox`. `version` as in `/demo/mailbox/status`, e.g. the newest id; the script polls it."""

    template: ClassVar[str] = "demo_mailbox.html"
    messages: tuple[DemoMessage, ...]
    version: str = ""


@dataclass(frozen=True, slots=True)
class DemoText:
    """One SMS or chat message in the viewer, newest first. `channel` is `sms` or `im`."""

    id: str
    at: int
    to: str
    channel: str
    text: str
    codes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DemoPhone(Page):
    """`/demo/phone`. `version` as in `/demo/phone/status`."""

    template: ClassVar[str] = "demo_phone.html"
    messages: tuple[DemoText, ...]
    version: str = ""
