"""The series of Tryton that tests start: the one installed here, 7.0 in an environment of its own, and Debian's."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from keyback.testing.environments import environment
from tests.support.house import ROOT

SERIES = ["8", "7.0", "debian"]  # Debian 12 has 6.0


def programs(series: str) -> Path | None:
    """What `start_tryton` takes for a series; skips the test where Debian's is not installed."""
    if series == "7.0":
        return environment(ROOT / "requirements" / "tryton-7-0.txt")
    if series != "debian":
        return None
    folder = Path("/usr/bin")
    if not (folder / "trytond").exists() and not os.environ.get("CI"):
        pytest.skip("Debian's tryton-server is not installed")
    return folder
