"""The recipes for plug-ins: what is printed is followed in an empty folder, and what comes out passes its suites."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.house import ROOT
from tests.support.samples import SOURCE, install

PAGES = {language: ROOT / "docs" / language / "plug-ins.md" for language in ("en", "zh")}
FILE = re.compile(r"^`([\w./-]+\.\w+)`\n\n```\w+\n(.*?)^```$", re.M | re.S)
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.M | re.S)


def printed(language: str) -> dict[str, str]:
    """Every file that a page prints."""
    return dict(FILE.findall(PAGES[language].read_text("utf-8")))


def test_every_file_of_the_package_is_printed_as_it_is() -> None:
    files = {str(p.relative_to(SOURCE)): p for p in SOURCE.rglob("*") if p.is_file() and "__pycache__" not in p.parts}
    bare = {name for name in files if name.endswith("__init__.py")}
    for language in PAGES:
        assert printed(language).keys() == files.keys() - bare
        assert [n for n, text in printed(language).items() if text != files[n].read_text("utf-8")] == []


def test_both_pages_give_the_same_commands() -> None:
    commands = {language: SHELL.findall(page.read_text("utf-8")) for language, page in PAGES.items()}
    assert commands["en"] == commands["zh"]
    assert len(commands["en"]) == 3


# Both print the same files and commands, as is shown above.
@pytest.mark.parametrize("language", ["en", pytest.param("zh", marks=pytest.mark.slow)])
def test_followed_in_an_empty_folder_the_suites_pass(language: str, tmp_path: Path) -> None:
    start, folder, trying = SHELL.findall(PAGES[language].read_text("utf-8"))
    wanted = [line for line in (start + folder).splitlines() if line.startswith(("mkdir -p", "mkdir src", "touch"))]
    here = tmp_path / "keyback-samples"
    here.mkdir()
    for line in wanted:  # the others make an environment, which this one is
        subprocess.run(line.split(), cwd=here, check=True)
    for name, text in printed(language).items():
        (here / name).write_text(text, "utf-8")
    assert "pip install --no-build-isolation ." in trying
    install(here, tmp_path / "installed")
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "installed"), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"],
        cwd=here,
        env=env,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert re.search(r"\d\d passed", done.stdout)
