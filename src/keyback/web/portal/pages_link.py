"""What the pages of a mailed link show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from keyback.application.notifications.link_endings import Ended
from keyback.application.recovery.mailed_link import Problem
from keyback.domain.policy.rules import Journey
from keyback.web.ui.page import Page

Reason = Ended | Literal["no_link", "own", "accepted", "given"]


@dataclass(frozen=True, slots=True)
class LinkPage(Page):
    """`/link`: the mailed link was opened; nothing has changed yet.

    Args:
        username: as the account's system writes it.
        asked_at: ms.
        source, device: where the request came from, already reduced to safe words.
        same_browser: the browser that started: one button. Else a field for the number that is shown there.
        error: what was typed cannot be a number; nothing has happened.
    """

    template: ClassVar[str] = "portal/link.html"
    username: str
    asked_at: int
    source: str
    device: str
    same_browser: bool
    journey: Journey = "password"
    error: bool = False


@dataclass(frozen=True, slots=True)
class LinkOther(Page):
    """`/link` in a browser that waits for the mail of another request: no number can be typed here.

    Args:
        own: handle of the request that this browser holds.
        can_fetch: this link may still fetch a mail for it.
    """

    template: ClassVar[str] = "portal/link_other.html"
    username: str
    asked_at: int
    source: str
    device: str
    own: str
    can_fetch: bool = False


@dataclass(frozen=True, slots=True)
class LinkProblem(Page):
    """`/link` when it cannot go on.

    Args:
        reason: `broken`: what was opened cannot be a link; `no_link`: none is open here.
        can_renew: shows the button that POSTs `/link/again`.
        handle: where this browser holds the recovery and can go on with it.
        own: handle of another request that this browser waits for; empty where there is none.
        can_fetch: this link may still fetch a mail for `own`.
    """

    template: ClassVar[str] = "portal/link_problem.html"
    reason: Problem | Literal["broken", "no_link"]
    can_renew: bool = False
    handle: str | None = None
    own: str = ""
    can_fetch: bool = False
    journey: Journey = "password"


@dataclass(frozen=True, slots=True)
class LinkOver(Page):
    """In place of a page that a mailed link leads to and that is not part of a recovery of its reader.

    Args:
        of: the page: an invitation of a recovery contact, their confirmation, a notice's lock, a new address.
        reason: `no_link`: none is open here; `own`: this browser asked for the confirmation itself.
        person: whom the link is about, where its reader has answered it.
        username: of the account, where it is the reader's own.
    """

    template: ClassVar[str] = "portal/link_over.html"
    of: Literal["invited", "vouch", "lock", "address"]
    reason: Reason
    person: str = ""
    username: str = ""

    @property
    def status(self) -> int:
        """Of the answer with this page."""
        return 404 if self.reason == "no_link" else 410


@dataclass(frozen=True, slots=True)
class LinkRenewed(Page):
    """After POST `/link/again` or `/link/fetch`: a new mail is on its way, or the last one is too young for another.

    Args:
        handle: where this browser holds the recovery.
        wait_seconds: until another mail can be asked for; 0 when one was just sent.
        fetched: for another request than the link's: it comes if both are about the same account.
    """

    template: ClassVar[str] = "portal/link_renewed.html"
    handle: str | None = None
    wait_seconds: int = 0
    fetched: bool = False


@dataclass(frozen=True, slots=True)
class LinkContinue(Page):
    """Shown on the second device after a number match."""

    template: ClassVar[str] = "portal/link_continue.html"
    handle: str
    journey: Journey = "password"
