"""What the systems of a recovery ask of a password themselves, known before anything is set there."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from keyback.application.ports.connectors import Unavailable
from keyback.application.services import Services
from keyback.domain.passwords.rules import Requirement, Violation
from keyback.domain.passwords.target_rules import TargetRules
from keyback.domain.people.person import Account

PATIENCE_S = 1.5  # for all systems together; one that is slower says what it asks when the password is set


@dataclass(frozen=True, slots=True)
class SystemRules:
    """One system's rules. Names in `code` are its key in the settings and the rule's own code."""

    system: str
    title: str
    username: str
    rules: TargetRules

    def requirements(self) -> tuple[Requirement, ...]:
        return self.rules.requirements()

    def violations(self, candidate: str, name: str) -> tuple[Violation, ...]:
        return self.rules.violations(candidate, self.username, name)

    def code(self, rule: str) -> str:
        return f"{self.system}_{rule}"


async def rules_of_systems(s: Services, accounts: Iterable[Account]) -> tuple[SystemRules, ...]:
    """Rules of the accounts' systems, as many as are known in time; all are asked at once, each once.

    A system that cannot be asked is left out: it judges by itself later, and its own words are shown then.
    """
    first = {a.system: a for a in reversed(list(accounts)) if a.system != "builtin"}
    asked = [a for a in reversed(list(first.values())) if a.system in s.connectors]
    found: dict[str, TargetRules] = {}

    async def ask(account: Account) -> None:
        try:
            rules = await s.connectors[account.system].password_rules(account.external_id)
        except Unavailable:
            return
        if rules is not None and rules.requirements():
            found[account.system] = rules

    try:
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*map(ask, asked))
    except TimeoutError:
        pass
    titles = s.titles
    return tuple(
        SystemRules(a.system, titles.get(a.system, a.system), a.username, found[a.system])
        for a in asked
        if a.system in found
    )


def broken_by(systems: Sequence[SystemRules], candidate: str, name: str) -> tuple[tuple[SystemRules, Violation], ...]:
    """Everything that any of these systems would refuse."""
    return tuple((x, v) for x in systems for v in x.violations(candidate, name))
