"""OpenTelemetry (extra `otel`): spans by its API, and the trace's id in log lines.

Only the API is used. What becomes of spans is the business of the SDK that runs beside it, such as that of
`opentelemetry-instrument`; without one they are nothing. Names follow its semantic conventions where those have any.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

from keyback.application import tracing
from keyback.application.tracing import ATTRIBUTES, MAX_VALUE, Span, Value
from keyback.settings import Unsafe


def switch_on() -> None:
    """Begins to trace.

    Raises:
        Unsafe: the extra is not installed.
    """
    try:
        from opentelemetry import trace
        from opentelemetry.trace import StatusCode
    except ImportError:
        raise Unsafe("telemetry.traces needs the extra otel: pip install 'keyback[otel]'") from None
    tracer = trace.get_tracer("keyback")

    class Traced:
        """One span of theirs."""

        def __init__(self, span: Any) -> None:
            self._span = span

        def set(self, name: str, value: Value) -> None:
            if name not in ATTRIBUTES:
                raise KeyError(name)
            self._span.set_attribute(name, value[:MAX_VALUE] if isinstance(value, str) else value)

    @contextmanager
    def start(name: str) -> Iterator[Span]:
        # Their own handling would keep the exception's text, which may hold anything.
        with tracer.start_as_current_span(name, record_exception=False, set_status_on_exception=False) as span:
            try:
                yield Traced(span)
            except BaseException as e:
                span.set_attribute("error.type", type(e).__name__)
                span.set_status(StatusCode.ERROR)
                raise

    tracing.use(start)


def add_ids(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Puts the ids of the span that is under way into a log line."""
    from opentelemetry import trace

    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"] = f"{context.trace_id:032x}"
        event["span_id"] = f"{context.span_id:016x}"
    return event
