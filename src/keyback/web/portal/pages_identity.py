"""The page on which somebody has their identity verified by a service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from keyback.web.ui.page import Page

Stage = Literal["consent", "ready", "waiting", "agreed", "refused", "withdrawn", "closed"]


@dataclass(frozen=True, slots=True)
class VerifyElsewhere(Page):
    """`/r/{handle}/identity/{service}`.

    Args:
        service: its name in the settings; `title`, `asks` and `goes` are its texts in the page's language.
        stage: what comes next here; `closed` where nothing is verified, for the reason `why`.
        error: of bad input, a refusal, or an answer that was not taken.
    """

    template: ClassVar[str] = "portal/identity.html"
    handle: str
    service: str
    title: str
    asks: str
    goes: str
    stage: Stage
    why: str = ""
    error: str = ""
    version: str = ""
