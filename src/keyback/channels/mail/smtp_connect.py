"""Connecting to a relay so that its first byte is waited for no longer than its last: the socket is watched at once."""

from __future__ import annotations

import smtplib
import ssl
from typing import Any

from keyback.outbound.watchdog import Watchdog


class _Watched(smtplib.SMTP):
    """Names its socket to the watchdog before anything is read from it."""

    def __init__(self, watchdog: Watchdog, *args: Any, **more: Any) -> None:
        self._watchdog = watchdog
        super().__init__(*args, **more)

    def _get_socket(self, host: str, port: int, timeout: float) -> Any:
        made = super()._get_socket(host, port, timeout)  # type: ignore[misc]
        self._watchdog.attach(made.fileno())
        return made


class _WatchedTls(_Watched, smtplib.SMTP_SSL):
    """The same, encrypted from the first byte."""


def connect(
    watchdog: Watchdog, host: str, port: int, name: str, timeout_s: float, tls: ssl.SSLContext | None
) -> smtplib.SMTP:
    """A connection that has had its greeting; `tls` encrypts from the first byte. Raises what smtplib raises."""
    if tls is not None:
        return _WatchedTls(watchdog, host, port, name, timeout=timeout_s, context=tls)
    return _Watched(watchdog, host, port, name, timeout=timeout_s)
