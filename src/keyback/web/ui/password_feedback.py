"""What a page says about a password that is being typed."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from keyback.application.passwords import validation
from keyback.application.passwords.strength import STRENGTH, strength
from keyback.domain.passwords.rules import Context, RequirementState, Violation
from keyback.locale import Locale, gettext
from keyback.web.ui.context import AppContext
from keyback.web.ui.page import PasswordRule


def rules_of(states: Sequence[RequirementState], locale: Locale) -> tuple[PasswordRule, ...]:
    """Each rule in the reader's language, with where the last try stands."""
    return tuple(
        PasswordRule(r.requirement.code, gettext(locale, r.requirement.text, **r.requirement.values), r.state)
        for r in states
    )


def reasons_of(broken: Sequence[Violation], locale: Locale) -> tuple[PasswordRule, ...]:
    """What speaks against a password, in the reader's language."""
    return tuple(
        PasswordRule(v.code, gettext(locale, v.text, **v.values), "unmet", gettext(locale, v.suggestion, **v.values))
        for v in broken
    )


async def judged(desk: AppContext, locale: str, typed: str, context: Context, with_factor: bool) -> dict[str, Any]:
    """Violations in words, and the strength, for a typed password."""
    s = desk.services
    broken = validation.judge_alone(s, typed, context, with_factor)
    score = await asyncio.to_thread(strength, typed, context) if typed else 0
    return {
        "violations": [
            {
                "code": v.code,
                "text": gettext(locale, v.text, **v.values),
                "fix": gettext(locale, v.suggestion, **v.values),
            }
            for v in broken
        ],
        "strength": score,
        "strength_text": gettext(locale, STRENGTH[score].text),
    }
