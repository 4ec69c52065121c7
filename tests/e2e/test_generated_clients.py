"""Clients that others generate from `docs/openapi.json` work as they come: they are made here, and drive a recovery.

The generators are installed into a temporary folder, from whichever index this machine uses.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.e2e.site import NEW, Site, Someone

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
DOC = ROOT / "docs" / "openapi.json"
HERE = Path(__file__).parent / "clients"
PYTHON_CLIENT = "openapi-python-client==0.29.1"
NPM = ("openapi-typescript@7.13.0", "openapi-fetch@0.17.0", "typescript@5.9", "@types/node@20")
SETTINGS = '{"compilerOptions": {"module": "nodenext", "target": "es2022", "strict": true, "skipLibCheck": true}}'


def do(cwd: Path, *command: str | Path) -> str:
    done = subprocess.run([str(c) for c in command], cwd=cwd, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, f"{command[0]}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout + done.stderr


def installed(cwd: Path, what: str, *commands: Sequence[str | Path]) -> None:
    """Installs a generator. Where it cannot be had, the test is skipped and says so; under `.ci/run` that fails."""
    try:
        for command in commands:
            do(cwd, *command)
    except (AssertionError, OSError, subprocess.TimeoutExpired) as e:
        pytest.skip(f"{what} could not be installed here: {str(e)[:300]}")


def drive(site: Site, who: Someone, *command: str | Path, cwd: Path) -> list[str]:
    """What the client prints; it is given the code of the mail once it waits for one."""
    given = [str(c) for c in command]
    with subprocess.Popen(
        [*given, site.url, who.mail, NEW], cwd=cwd, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True,
    ) as client:  # fmt: skip
        assert client.stdout is not None
        first = client.stdout.readline()
        out, wrong = client.communicate(site.mail(who)["codes"][0] + "\n" if first else "", timeout=120)
    assert client.returncode == 0, wrong[-3000:]
    return [first.strip(), *out.split("\n")[:-1]]


STATES = ["waiting", "password_due", "done done"]


def test_a_client_by_openapi_python_client(site: Site, tmp_path: Path) -> None:
    python = tmp_path / "env" / "bin" / "python"
    made = (sys.executable, "-m", "venv", tmp_path / "env")
    installed(tmp_path, PYTHON_CLIENT, made, (python, "-m", "pip", "install", "-q", PYTHON_CLIENT))
    (tmp_path / "config.yml").write_text("post_hooks: []\n")
    said = do(
        tmp_path, tmp_path / "env" / "bin" / "openapi-python-client", "generate", "--path", DOC,
        "--output-path", "keyback_client", "--meta", "none", "--config", "config.yml",
    )  # fmt: skip
    assert "Warning" not in said, "the generator understands all of it"
    shutil.copy(HERE / "drive.py", tmp_path)
    assert drive(site, site.person(), python, "drive.py", cwd=tmp_path) == STATES


def test_a_client_by_openapi_typescript_and_openapi_fetch(site: Site, tmp_path: Path) -> None:
    (tmp_path / "package.json").write_text('{"type": "module", "private": true}')
    (tmp_path / "tsconfig.json").write_text(SETTINGS)
    installed(tmp_path, "openapi-typescript", ("npm", "install", "--no-audit", "--no-fund", *NPM))
    shutil.copy(HERE / "drive.ts", tmp_path)
    tools = tmp_path / "node_modules" / ".bin"
    do(tmp_path, tools / "openapi-typescript", DOC, "-o", "schema.ts")
    do(tmp_path, tools / "tsc", "-p", ".")
    assert drive(site, site.person(), "node", "drive.js", cwd=tmp_path) == STATES
