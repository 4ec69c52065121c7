"""Commands are imported when they are needed, and every one of them can be."""

from __future__ import annotations

import json
import subprocess
import sys

import click
import pytest

from keyback.cli import WHERE, main

LOOK = """import sys, json; from keyback.cli import main
print(json.dumps(sorted(m for m in sys.modules if 'keyback' in m)))"""
SERVE = "import sys; import keyback.cli.serve; print('alembic' in sys.modules, 'starlette' in sys.modules)"


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_every_name_leads_to_its_command() -> None:
    found = {name: main.get_command(click.Context(main), name) for name in WHERE}
    assert {name: command.name for name, command in found.items() if command} == {name: name for name in WHERE}
    assert set(main.commands) == set(WHERE)
    assert main.get_command(click.Context(main), "nothing") is None


@pytest.mark.slow
def test_the_command_alone_imports_nothing_of_the_rest() -> None:
    assert json.loads(run(LOOK)) == ["keyback", "keyback.cli", "keyback.cli.group"]
    assert run(SERVE).split() == ["False", "False"]
