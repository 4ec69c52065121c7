"""What a page says about a password that is being typed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from starlette.requests import Request

from keyback.application.passwords import validation
from keyback.application.passwords.strength import STRENGTH, strength
from keyback.application.passwords.suggestion import suggest
from keyback.application.passwords.system_rules import SystemRules, broken_by
from keyback.domain.passwords.rules import Context, RequirementState, Violation
from keyback.locale import Locale, gettext, language
from keyback.web.ui.context import AppContext
from keyback.web.ui.page import PasswordRule


def asked_twice(values: Mapping[str, str]) -> bool:
    """Whether a form of the version before, which asks for the new password twice, holds two different ones."""
    return values["new_password_again"] not in ("", values["new_password"])


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


def beside(
    desk: AppContext,
    request: Request,
    context: Context,
    with_factor: bool,
    systems: Sequence[SystemRules] = (),
    name: str = "",
) -> dict[str, Any]:
    """What a page with a new password has beside its rules: a suggestion, and whether what is typed is shown."""
    s = desk.services

    def fits(candidate: str) -> bool:
        return not validation.judge_alone(s, candidate, context, with_factor) and not broken_by(
            systems, candidate, name
        )

    return {"suggestion": suggest(desk.locale(request), fits), "plain": request.query_params.get("show") == "1"}


def rules_of_systems(systems: Sequence[SystemRules], typed: str, name: str, locale: Locale) -> tuple[PasswordRule, ...]:
    """What the systems ask themselves, each rule under its system's name, with where the last try stands."""
    out = []
    for x in systems:
        broken = {v.code for v in x.violations(typed, name)} if typed else set()
        for r in x.requirements():
            state: Literal["met", "unmet", "idle"] = "idle" if not typed else "unmet" if r.code in broken else "met"
            words = gettext(locale, r.text, **r.values)
            out.append(PasswordRule(x.code(r.code), _of(x, words, locale), state))
    return tuple(out)


def reasons_of_systems(broken: Sequence[tuple[SystemRules, Violation]], locale: Locale) -> tuple[PasswordRule, ...]:
    """What systems speak against a password, each under its name."""
    return tuple(
        PasswordRule(
            x.code(v.code),
            _of(x, gettext(locale, v.text, **v.values), locale),
            "unmet",
            gettext(locale, v.suggestion, **v.values),
        )
        for x, v in broken
    )


def _of(x: SystemRules, words: str, locale: str) -> str:
    return f"{x.title}{language(locale).colon}{words}"


async def judged(
    desk: AppContext,
    locale: Locale,
    typed: str,
    context: Context,
    with_factor: bool,
    more: Sequence[PasswordRule] = (),
) -> dict[str, Any]:
    """Violations in words, and the strength, for a typed password; `more` are reasons of other systems."""
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
        ]
        + [{"code": e.code, "text": e.text, "fix": e.fix} for e in more],
        "strength": score,
        "strength_text": gettext(locale, STRENGTH[score].text),
    }
