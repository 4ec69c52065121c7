"""The operations page and its examples speak of what is there."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from keyback.cli import main
from tests.docs.house import ROOT

UNIT = ROOT / "docs" / "examples" / "keyback.service"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_metrics_to_watch_exist(language: str) -> None:
    page = (ROOT / "docs" / language / "operations.md").read_text("utf-8")
    named = set(re.findall(r"`(keyback_\w+)(?:\{|`)", page))
    source = (ROOT / "src" / "keyback" / "web" / "http" / "metrics.py").read_text("utf-8")
    made = set(re.findall(r'"(keyback_\w+)"', source))
    assert len(named) > 10
    assert {n for n in named if n.removesuffix("_total") not in made} == set()


def test_the_unit_starts_a_command_that_there_is() -> None:
    [start] = re.findall(r"^ExecStart=\S+/keyback (\w+)$", UNIT.read_text(), re.M)
    assert start in main.commands


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="not on this platform: systemd")
def test_systemd_understands_the_unit() -> None:
    found = subprocess.run(["systemd-analyze", "verify", str(UNIT)], capture_output=True, text=True, timeout=60)
    said = [x for x in found.stderr.splitlines() if "keyback.service" in x and "is not executable" not in x]
    assert said == []
