"""`keyback completion` and `keyback man`: a real shell completes, a real man reads."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from keyback.cli.completion import SHELLS
from keyback.cli.manual import PAGES, manual
from keyback.settings import Settings
from tests.support.commands import Keyback

BASH, ZSH, FISH, MAN = (shutil.which(name) or "" for name in ("bash", "zsh", "fish", "man"))
Completer = Callable[[str, list[str]], list[str]]


@pytest.fixture
def completer(keyback: Keyback, empty_place: Path) -> Completer:
    """Runs a shell with the completion script of its name as `$SCRIPT`, and `keyback` on its path; what it writes."""
    folder = empty_place / "bin"
    folder.mkdir()
    (folder / "keyback").symlink_to(Path(sys.executable).parent / "keyback")

    def run(name: str, command: list[str]) -> list[str]:
        script = empty_place / f"completion.{name}"
        script.write_text(keyback("completion", name).output)
        env = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "SCRIPT": str(script), "HOME": str(empty_place)}
        done = subprocess.run(command, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.stderr == ""
        return done.stdout.splitlines()

    return run


COMPLETED = [
    ("keyback ver", {"version"}),
    ("keyback people im", {"import"}),
    ("keyback version --pub", {"--public-key"}),
]


@pytest.mark.slow
@pytest.mark.skipif(not BASH, reason="bash is not installed: apt-get install bash")
def test_bash_completes_commands_and_options(completer: Completer) -> None:
    for typed, wanted in COMPLETED:
        words = typed.split()
        lines = f"source $SCRIPT; COMP_WORDS=({typed}); COMP_CWORD={len(words) - 1}; _keyback_completion keyback"
        found = completer("bash", [BASH, "--norc", "-c", f'{lines}; printf "%s\\n" "${{COMPREPLY[@]}}"'])
        assert set(found) == wanted, typed


@pytest.mark.slow
@pytest.mark.skipif(not ZSH, reason="zsh is not installed: apt-get install zsh")
def test_zsh_completes_commands_and_options(completer: Completer) -> None:
    # What puts completions on the screen is there only at a prompt; the script calls it with the name of an array.
    screen = "compdef() { :; }; _describe() { print -l -- ${(P)3} }; compadd() { print -l -- ${(P)5} }"
    for typed, wanted in COMPLETED:
        words = typed.split()
        lines = f"{screen}; source $SCRIPT; words=({typed}); CURRENT={len(words)}; _keyback_completion"
        found = completer("zsh", [ZSH, "-f", "-c", lines])
        assert {x.partition(":")[0] for x in found} == wanted, typed


@pytest.mark.slow
@pytest.mark.skipif(not FISH, reason="fish is not installed: apt-get install fish")
def test_fish_completes_commands_and_options(completer: Completer) -> None:
    for typed, wanted in COMPLETED:
        found = completer("fish", [FISH, "--no-config", "-c", f"source $SCRIPT; complete -C '{typed}'"])
        assert {x.partition("\t")[0] for x in found} == wanted, typed


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
