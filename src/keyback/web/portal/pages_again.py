"""What the pages show after a system was away for longer than a password is kept for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from keyback.application.recovery.mailed_link import Problem
from keyback.domain.policy.rules import Journey
from keyback.web.ui.page import Page


@dataclass(frozen=True, slots=True)
class ChooseAgain(Page):
    """`/again`: the link of the mail was opened; nothing has changed yet.

    Args:
        problem: why it can't go on, or None; `no_link`: none is open here.
        systems: titles of those that need another password.
        alone: the link is enough in this browser; else only the one that verified goes on.
    """

    template: ClassVar[str] = "portal/choose_again.html"
    problem: Problem | Literal["no_link"] | None = None
    username: str = ""
    systems: tuple[str, ...] = ()
    alone: bool = False


@dataclass(frozen=True, slots=True)
class StartedForYou(Page):
    """`/start/{id}`: the help desk started a recovery. `id`: empty where it is over, or never was one."""

    template: ClassVar[str] = "portal/started.html"
    id: str = ""
    journey: Journey = "password"
    operator: str = ""
