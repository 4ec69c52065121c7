"""The operations page and its examples speak of what is there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest
import yaml

from keyback.cli import main
from tests.support.house import ROOT

ALERTS = ROOT / "docs" / "examples" / "alerts.yml"
DASHBOARD = ROOT / "docs" / "examples" / "dashboard.json"
UNIT = ROOT / "docs" / "examples" / "keyback.service"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_metrics_to_watch_exist(language: str) -> None:
    page = (ROOT / "docs" / language / "operations.md").read_text("utf-8")
    named = set(re.findall(r"`(keyback_\w+)(?:\{|`)", page))
    source = (ROOT / "src" / "keyback" / "web" / "http" / "metrics.py").read_text("utf-8")
    made = set(re.findall(r'"(keyback_\w+)"', source))
    assert len(named) > 10
    assert {n for n in named if n.removesuffix("_total") not in made} == set()


def test_every_metric_worth_an_alert_has_a_rule_and_every_rule_a_metric() -> None:
    rules = [r for g in yaml.safe_load(ALERTS.read_text("utf-8"))["groups"] for r in g["rules"]]
    assert len({r["alert"] for r in rules}) == len(rules)
    assert all(
        r["expr"] and r["annotations"]["summary"] and r["labels"]["severity"] in ("page", "ticket") for r in rules
    )
    ruled = {m for r in rules for m in re.findall(r"keyback_\w+", r["expr"])}
    source = (ROOT / "src" / "keyback" / "web" / "http" / "metrics.py").read_text("utf-8")
    made = set(re.findall(r'"(keyback_\w+)"', source))
    assert {m for m in ruled if m.removesuffix("_total") not in made} == set()
    for language in ("en", "zh"):
        page = (ROOT / "docs" / language / "operations.md").read_text("utf-8")
        listed = set(re.findall(r"^\| `(keyback_\w+)", page, re.M))
        assert listed - ruled == set(), language


def test_the_unit_starts_a_command_that_there_is() -> None:
    [start] = re.findall(r"^ExecStart=\S+/keyback (\w+)$", UNIT.read_text(), re.M)
    assert start in main.commands


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="not on this platform: systemd")
def test_systemd_understands_the_unit() -> None:
    found = subprocess.run(["systemd-analyze", "verify", str(UNIT)], capture_output=True, text=True, timeout=60)
    said = [x for x in found.stderr.splitlines() if "keyback.service" in x and "is not executable" not in x]
    assert said == []


def test_the_dashboard_asks_for_every_metric_worth_an_alert_and_for_none_that_there_is_not() -> None:
    board = json.loads(DASHBOARD.read_text("utf-8"))
    panels = [p for p in board["panels"] if p["type"] != "row"]
    asked = {m for p in panels for t in p["targets"] for m in re.findall(r"keyback_\w+", t["expr"])}
    source = (ROOT / "src" / "keyback" / "web" / "http" / "metrics.py").read_text("utf-8")
    made = set(re.findall(r'"(keyback_\w+)"', source)) | {"keyback_build_info"}
    assert {m for m in asked if re.sub(r"_(total|bucket)$", "", m) not in made} == set()
    ruled = set(re.findall(r"keyback_\w+", ALERTS.read_text("utf-8"))) - {"keyback_build_info"}
    assert {m for m in ruled if m not in asked} == set()
    assert len({p["id"] for p in board["panels"]}) == len(board["panels"])
    cells: set[tuple[int, int]] = set()
    for p in board["panels"]:
        at = p["gridPos"]
        taken = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not taken & cells, p["title"]
        assert at["x"] + at["w"] <= 24
        cells |= taken
    assert all(p["datasource"]["uid"] == "${datasource}" for p in panels), "whoever imports it chooses the source"
