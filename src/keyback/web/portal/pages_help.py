"""Pages of somebody who asks the help desk for help."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from keyback.application.desk.help_request import Status
from keyback.web.ui.page import Page


@dataclass(frozen=True, slots=True)
class AskForHelp(Page):
    """`/ask`: who it is about, before anything else. `error`: as for `Forgot`."""

    template: ClassVar[str] = "portal/ask.html"
    error: str | None = None
    identifier: str = ""


@dataclass(frozen=True, slots=True)
class HelpForm(Page):
    """`/r/{handle}/help` before it was asked: the same for known and unknown identifiers.

    Args:
        tried: what this page tried, by words of the template: `mails`, `codes`, `no_mail`.
        shown: proofs that this page has shown.
        error: of bad input, with `at` the field it is about.
    """

    template: ClassVar[str] = "portal/help_form.html"
    handle: str
    journey: str
    tried: tuple[tuple[str, int], ...] = ()
    shown: tuple[str, ...] = ()
    error: str = ""
    at: str = ""
    reason: str = field(default="", repr=False)
    contact: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class HelpStatus(Page):
    """The same address afterwards: a code that is waited for, the place in the queue, and what both sides wrote.

    Args:
        error: of bad input or a refusal.
        text: what was typed when it came to that.
        version: what `/r/{handle}/help/status` answers now.
        resent: a new code was just asked for.
    """

    template: ClassVar[str] = "portal/help_status.html"
    handle: str
    status: Status
    error: str = ""
    text: str = field(default="", repr=False)
    version: str = ""
    resent: bool = False
