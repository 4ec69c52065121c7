"""The two pytest plug-ins, each tried in a run of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.support.house import ROOT


def run(folder: Path, source: str, plugin: str, ci: str = "") -> subprocess.CompletedProcess[str]:
    (folder / "test_it.py").write_text("import pytest\n" + source, "utf-8")
    (folder / "pytest.ini").write_text("[pytest]\nmarkers = covers(*ids)\n", "utf-8")
    env = {**os.environ, "CI": ci, "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    args = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", plugin, str(folder)]
    return subprocess.run(args, cwd=folder, env=env, capture_output=True, text=True, timeout=60)


SKIPS = """
@pytest.mark.skip(reason="no server")
def test_marked(): ...

def test_calls():
    pytest.skip("no browser")

@pytest.mark.skip(reason="not on this platform: needs fork")
def test_platform(): ...

@pytest.mark.xfail(strict=True)
def test_known():
    raise ValueError
"""


def test_skips_fail_in_ci_but_for_the_platform(tmp_path: Path) -> None:
    done = run(tmp_path, SKIPS, "tests.support.noskip", ci="true")
    assert done.returncode == 1
    assert "1 failed, 1 skipped, 1 xfailed, 1 error" in done.stdout
    assert "Skipped in CI, where nothing may be: no server" in done.stdout


def test_a_skipped_file_fails_in_ci(tmp_path: Path) -> None:
    done = run(tmp_path, 'pytest.skip("no module", allow_module_level=True)', "tests.support.noskip", ci="1")
    assert done.returncode == 2
    assert "Skipped in CI, where nothing may be: no module" in done.stdout


def test_skips_stay_skips_elsewhere(tmp_path: Path) -> None:
    done = run(tmp_path, SKIPS, "tests.support.noskip")
    assert done.returncode == 0
    assert "3 skipped, 1 xfailed" in done.stdout


def test_an_unknown_id_stops_the_run(tmp_path: Path) -> None:
    done = run(tmp_path, '@pytest.mark.covers("C5", "I12")\ndef test_a(): ...', "tests.support.conformance")
    assert done.returncode == 4
    assert "covers('I12') is not in docs/requirements.toml; INV-I12 is" in done.stdout + done.stderr
    assert "'C5'" not in done.stdout + done.stderr
