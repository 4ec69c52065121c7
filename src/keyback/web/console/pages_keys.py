"""What the page of programs and their keys shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from keyback.application.desk.keys import ListedKey, MadeKey
from keyback.web.console.pages import ConsolePage


@dataclass(frozen=True, slots=True)
class KeysPage(ConsolePage):
    """`made`: shown once. `error`: a refusal's code or that of bad input; `typed`, `chosen`: what was in the form."""

    template: ClassVar[str] = "console/keys.html"
    room: ClassVar[str] = "operators"
    keys: tuple[ListedKey, ...]
    scopes: tuple[str, ...]
    now: int
    made: MadeKey | None = field(default=None, repr=False)
    error: str = ""
    typed: Mapping[str, str] = field(default_factory=dict)
    chosen: tuple[str, ...] = ()
