"""Asking several systems at once: the slowest one's time, never the sum; what one of them does stays its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import structlog

from keyback.application.ports.connectors import Connector, Unavailable
from keyback.domain.people.person import Account

T = TypeVar("T")
log = structlog.get_logger("keyback.asking")
PATIENCE_S = 2.0  # for each system, while somebody waits for a page
MAX_ACCOUNTS = 20  # of one person; more are not asked at once
# `away`: it can't be asked now; `slow`: no answer in time; `broken`: an answer that nobody can use; `unknown`: there is
# no such system any more.
Silence = Literal["", "away", "slow", "broken", "unknown"]


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """What one system said of one account; `silence` is why it said nothing."""

    account: Account
    value: T | None
    silence: Silence = ""


async def ask_each(
    connectors: Mapping[str, Connector],
    accounts: Sequence[Account],
    question: Callable[[Connector, Account], Awaitable[T]],
    patience_s: float = PATIENCE_S,
) -> tuple[Answer[T], ...]:
    """Asks the system of every account, all at the same time.

    Args:
        question: what to ask; may raise `Unavailable`, and anything else without harm to the others.
        patience_s: seconds for each; the whole takes no longer.
    """

    async def ask(account: Account) -> Answer[T]:
        connector = connectors.get(account.system)
        if connector is None:
            return Answer(account, None, "unknown")
        try:
            return Answer(account, await question(connector, account))
        except Unavailable:
            return Answer(account, None, "away")
        except Exception as e:  # a part of somebody else's, or an answer that it didn't expect
            log.warning("system_broke", system=account.system, error=type(e).__name__)
            return Answer(account, None, "broken")

    asked = {asyncio.ensure_future(ask(a)): a for a in accounts[:MAX_ACCOUNTS]}
    try:
        if asked:
            await asyncio.wait(asked, timeout=patience_s)
        return tuple(t.result() if t.done() else Answer(a, None, "slow") for t, a in asked.items())
    finally:  # not waited for: what does not let itself be cancelled must not hold up the page
        for t in asked:
            t.cancel()
