"""What the pages show of a person's systems, as those know it now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from keyback.application.account.systems import SystemNow
from keyback.web.ui.page import Page


@dataclass(frozen=True, slots=True)
class Systems(Page):
    """`/account/systems`.

    Args:
        rows: one for each account.
        now: ms.
        done: what "not mine" came to, for a word about it.
    """

    template: ClassVar[str] = "account/systems.html"
    rows: tuple[SystemNow, ...]
    now: int = 0
    done: Literal["", "done", "refused", "unsure", "guided"] = ""


@dataclass(frozen=True, slots=True)
class EndAccess(Page):
    """`/account/systems/end`: asks before anything is ended in a system.

    Args:
        grant: id of the application; `all` for all of them.
        app: its title; empty for all.
    """

    template: ClassVar[str] = "account/end_access.html"
    account: str
    title: str
    grant: str
    app: str = ""
