"""The page of somebody who calls the help desk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from keyback.web.ui.page import Page


@dataclass(frozen=True, slots=True)
class CallHelp(Page):
    """`/call`: the same for everybody. `handle`: of a recovery that this browser holds."""

    template: ClassVar[str] = "portal/call_help.html"
    handle: str = ""


@dataclass(frozen=True, slots=True)
class Call(Page):
    """`/r/{handle}/call`: a number to read out; the same for known and unknown identifiers.

    Args:
        state: `shown` until the operator has typed the number; `begun` while they call back; `over` when that ended.
        number: six digits; empty where none is shown.
        may_ask: whether this page may have another number now.
        refused: the last request for one came too often.
        version: what `/r/{handle}/call/status` answers now.
    """

    template: ClassVar[str] = "portal/call.html"
    handle: str
    state: Literal["none", "shown", "begun", "over"] = "none"
    number: str = ""
    seconds_left: int = 0
    may_ask: bool = True
    refused: bool = False
    version: str = ""
