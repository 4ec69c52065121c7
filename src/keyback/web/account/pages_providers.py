"""Pages on which a person connects a system that they sign in to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from keyback.web.ui.page import Page

Problem = Literal["", "known", "denied", "not_fresh", "away", "too_many"]


@dataclass(frozen=True, slots=True)
class Providers(Page):
    """`/account/providers`. `options`: (name, title) of those that are not connected yet."""

    template: ClassVar[str] = "account/providers.html"
    options: tuple[tuple[str, str], ...]
    error: Problem = ""


@dataclass(frozen=True, slots=True)
class ProviderStart(Page):
    """`/account/providers/{id}`: before the browser leaves for the provider."""

    template: ClassVar[str] = "account/provider_start.html"
    id: str
    title: str
