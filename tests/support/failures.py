"""`--failures-to FILE` writes which tests failed, a line each, as pytest takes them again: `scripts/test @FILE`."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--failures-to", type=Path, metavar="FILE", help="write the failed tests there, a line each")


def pytest_configure(config: pytest.Config) -> None:
    file = config.getoption("--failures-to")
    if file and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Failures(file))


class Failures:
    """Collects what failed, in any process."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._failed: dict[str, None] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed[report.nodeid] = None

    def pytest_sessionfinish(self) -> None:
        self._file.write_text("".join(f"{x}\n" for x in self._failed), "utf-8")
