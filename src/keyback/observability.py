"""Logs: one JSON object a line, without secrets, safe against what people type (P6, ASVS 5.0 16.4.1)."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, TextIO

import structlog


def configure(level: str = "info", stream: TextIO | None = None, more: Sequence[Any] = ()) -> None:
    """Sends our logs and those of libraries to `stream` (default: standard error) as JSON lines.

    Args:
        more: further processors, which add members to every line.
    """
    number = getattr(logging, level.upper())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        *more,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
    ]
    structlog.configure(
        processors=[
            *shared,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(number),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder(())],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(ensure_ascii=True),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(number)
    for noisy in ("uvicorn", "uvicorn.error", "uvicorn.access", "httpx2", "httpcore2", "alembic", "mail.log"):
        logger = logging.getLogger(noisy)
        logger.handlers = []
        logger.propagate = True
        logger.setLevel(max(number, logging.WARNING))


class Seldom:
    """Says of what happens again and again only once a minute that it goes on.

    Args:
        every: seconds.
        clock: seconds.
    """

    def __init__(self, every: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._every, self._clock = every, clock
        self._told: dict[str, tuple[float, int]] = {}  # what: (when last, how often since)

    def due(self, what: str) -> int | None:
        """Counts it; how often it happened without being told, or None while it was told just now.

        Args:
            what: one of a closed set of words.
        """
        last, more = self._told.get(what, (-self._every, 0))
        now = self._clock()
        if now - last < self._every:
            self._told[what] = last, more + 1
            return None
        self._told[what] = now, 0
        return more
