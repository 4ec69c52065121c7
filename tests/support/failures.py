"""`--failures-to=FILE` writes which tests failed, a line each, as pytest takes them again: `scripts/test @FILE`."""

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
    """Collects what failed, in any process, from the first one on."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._failed: set[str] = set()
        file.write_text("", "utf-8")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed and report.nodeid not in self._failed:
            self._failed.add(report.nodeid)
            with self._file.open("a", encoding="utf-8") as f:
                f.write(f"{report.nodeid}\n")
