"""`keyback completion` and `keyback man`: a real shell completes, a real man reads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from keyback.cli.completion import SHELLS
from keyback.cli.manual import PAGES, manual
from keyback.settings import Settings
from tests.support.commands import Keyback

BASH, MAN = shutil.which("bash") or "", shutil.which("man") or ""


@pytest.mark.slow
@pytest.mark.skipif(not BASH, reason="bash is not installed: apt-get install bash")
def test_bash_completes_commands_and_options(keyback: Keyback, empty_place: Path) -> None:
    script = empty_place / "completion"
    script.write_text(keyback("completion", "bash").output)
    folder = empty_place / "bin"
    folder.mkdir()
    (folder / "keyback").symlink_to(Path(sys.executable).parent / "keyback")
    env = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}

    def complete(*words: str) -> list[str]:
        typed = " ".join(f"'{w}'" for w in words)
        lines = f"source {script}; COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _keyback_completion keyback"
        done = subprocess.run(
            [BASH, "--norc", "-c", f'{lines}; printf "%s\\n" "${{COMPREPLY[@]}}"'],
            env=env,
            capture_output=True,
            text=True,
        )
        return done.stdout.split()

    assert complete("keyback", "ver") == ["version"]
    assert complete("keyback", "people", "im") == ["import"]
    assert "--public-key" in complete("keyback", "version", "--pub")


def test_every_shell_has_a_script(keyback: Keyback, empty_place: Path) -> None:
    for shell in SHELLS:
        assert "_KEYBACK_COMPLETE" in keyback("completion", shell).output
    assert "Invalid value" in keyback("completion", "csh", code=2).stderr


@pytest.mark.skipif(not MAN, reason="man is not installed: apt-get install man-db")
@pytest.mark.parametrize("page", PAGES)
def test_man_reads_a_page_without_a_warning(page: str, tmp_path: Path) -> None:
    file = tmp_path / page
    file.write_text(manual(page), "utf-8")
    env = {**os.environ, "LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MANPAGER": "cat"}
    done = subprocess.run([MAN, "--warnings=w", "-l", file], capture_output=True, text=True, env=env)
    assert (done.returncode, done.stderr) == (0, "")
    assert "`" not in done.stdout
    if page == "keyback":
        assert "keyback version" in done.stdout
        assert "--public-key" in done.stdout
    else:
        assert {n for n in Settings.model_fields if n not in done.stdout} == set()


def test_what_roff_would_take_for_its_own_is_text() -> None:
    from keyback.cli.manual import _words

    assert _words(".TH of `a-b`") == r"\&.TH of \fBa\-b\fR"
    assert _words(r"C:\keys") == r"C:\ekeys"
