"""What the page of the policy shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from keyback.application.policy.explain import CLAIM_WORDS, Section
from keyback.application.policy.standards import Requirement
from keyback.web.console.pages import ConsolePage


@dataclass(frozen=True, slots=True)
class PolicyPage(ConsolePage):
    """`reasons`: why something was given up, by its name in the settings."""

    template: ClassVar[str] = "console/policy.html"
    room: ClassVar[str] = "policy"
    claims: ClassVar[Mapping[str, str]] = CLAIM_WORDS
    sections: tuple[Section, ...]
    requirements: tuple[Requirement, ...]
    reasons: Mapping[str, str]
    preset: str
