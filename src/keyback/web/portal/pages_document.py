"""The page on which somebody sends an identity document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from keyback.domain.operators.documents import GRID, KINDS
from keyback.web.ui.page import Page

Stage = Literal["consent", "upload", "cover", "waiting", "refused", "agreed", "withdrawn", "closed"]


@dataclass(frozen=True, slots=True)
class SendDocument(Page):
    """`/r/{handle}/document`.

    Args:
        stage: what comes next here; `closed` where no document is taken, for the reason `why`.
        error: of bad input, a refusal or a picture that was not taken.
        kind: what was chosen.
        name, company: of the watermark.
        until: when a sent picture is destroyed at the latest (ms).
        picture: changes with the picture, so that no old one is shown.
    """

    template: ClassVar[str] = "portal/document.html"
    handle: str
    stage: Stage
    why: str = ""
    error: str = ""
    kind: str = ""
    name: str = ""
    picture: str = ""
    may_appeal: bool = False
    kinds: tuple[str, ...] = KINDS
    grid: int = GRID
    version: str = ""
