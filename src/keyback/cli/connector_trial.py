"""`keyback connector test --recover`: everything that a recovery does in a system, to a test user."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol, runtime_checkable

from keyback.application.ports.connectors import CheckLine, Connector, Outcome, Plan, Unavailable
from keyback.connectors.base import sample_line, unreachable
from keyback.domain.secret import Secret


@runtime_checkable
class Traced(Protocol):
    """A connector that shows its calls."""

    def tracing(self) -> AbstractContextManager[list[str]]:
        """The calls made inside, each as a line, secrets masked."""
        ...


async def try_recovery(connector: Connector, sample: str) -> Sequence[CheckLine]:
    """Recovers the one account that fits, unless it is privileged, and says what each step came to.

    Its password becomes a random one, which is shown to nobody (ADR 8): to sign in, the test user recovers for real.
    """
    tracing = connector.tracing() if isinstance(connector, Traced) else contextlib.nullcontext([])
    with tracing as calls:
        try:
            found = await connector.find(sample)
        except Unavailable as e:
            return (unreachable(e),)
        if len(found) != 1:
            return (sample_line(found),)
        password = Secret(f"{secrets.token_hex(6)}-{secrets.token_urlsafe(6)}-Kb7")  # of every class of characters
        plan = Plan(f"test-{secrets.token_hex(8)}", found[0].external_id, found[0].username, password)
        lines = [_line(o) for o in await connector.apply(plan)]
    return [*lines, *(CheckLine("call", "ok", line) for line in calls)]


def _line(outcome: Outcome) -> CheckLine:
    words = f"{outcome.step}: {outcome.status}" + (f", {outcome.code}" if outcome.code else "")
    words += f" ({outcome.vendor_text})" if outcome.vendor_text else ""
    if outcome.status in {"refused", "retry", "uncertain"}:
        return CheckLine("step", "bad", words)
    return CheckLine("step", "ok" if outcome.status == "done" else "warn", words)
