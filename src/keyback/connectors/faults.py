"""What a fault of a call means for the step of a plan that made it."""

from __future__ import annotations

from keyback.application.ports.connectors import Outcome, Step, Unavailable
from keyback.outbound.http import MaybeDone


def fault(step: Step, e: Unavailable) -> Outcome:
    """The outcome of a step that ended in a fault of `call`: what will not mend by itself is refused, not retried."""
    if isinstance(e, MaybeDone) and step is not Step.GUARD:
        return Outcome(step, "uncertain", e.code)
    if e.code != "unavailable":
        return Outcome(step, "refused", e.code)
    return Outcome(step, "retry", e.code, retry_after_ms=getattr(e, "retry_after_ms", 0) or 5_000)
