"""In CI a test that does not run is a test that fails: a pytest plugin.

With `CI` set, every skip becomes a failure, so that a missing server or browser is noticed and not passed over. A
reason that begins with "not on this platform" is let through.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest

ALLOWED = "not on this platform"


def in_ci() -> bool:
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


def _forbidden(report: pytest.TestReport | pytest.CollectReport) -> str | None:
    """The reason of a skip that may not be, else None. Expected failures report as skipped too and are none."""
    if not in_ci() or not report.skipped or hasattr(report, "wasxfail"):
        return None
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    return None if reason.startswith(ALLOWED) else reason


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if reason := _forbidden(report):
        report.outcome = "failed"
        report.longrepr = f"Skipped in CI, where nothing may be: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if reason := _forbidden(report):
        report.outcome = "failed"
        report.longrepr = f"Skipped in CI, where nothing may be: {reason}"
    return report
