"""`keyback breach`: a file from published leaks, offline."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path

import pytest

from keyback.storage.breach.lookup import BreachFile
from tests.support.commands import Keyback

LEAKED = ["copper lantern", "harbour at noon", "中文密码很长很长"]


@pytest.fixture
def source(empty_place: Path) -> Path:
    path = empty_place / "leak.gz"
    path.write_bytes(gzip.compress("\n".join(hashlib.sha1(p.encode()).hexdigest() for p in LEAKED).encode()))
    return path


@pytest.mark.covers("A-6.2.12")
def test_build_and_check(keyback: Keyback, source: Path, empty_place: Path) -> None:
    out = empty_place / "leaked.kbl"
    told = keyback("breach", "build", str(source), "--out", str(out))
    assert "3 entries" in told.output
    assert "Sorting: 1024 of 1024" in told.output
    leaked = BreachFile(out)
    assert all(p in leaked for p in LEAKED)
    leaked.close()
    assert "3 entries, as they were written on" in keyback("breach", "check", str(out)).output
    facts = json.loads(keyback("breach", "check", str(out), "--json").stdout)
    assert facts["ok"]
    assert facts["entries"] == 3


def test_build_in_json(keyback: Keyback, source: Path, empty_place: Path) -> None:
    out = empty_place / "leaked.kbl"
    facts = json.loads(keyback("breach", "build", str(source), "--out", str(out), "--fp", "0.001", "--json").stdout)
    assert (facts["read"], facts["entries"], facts["bytes"]) == (3, 3, out.stat().st_size)
    assert facts["false_positives"] <= 0.001


def test_wrong_sources_are_refused_in_one_line(keyback: Keyback, empty_place: Path) -> None:
    (empty_place / "notes.txt").write_text("hunter2\n")
    told = keyback("breach", "build", "notes.txt", "--out", "out", code=1)
    assert "notes.txt, line 1" in told.output
    assert "hunter2" not in told.output
    keyback("breach", "build", "absent", "--out", "out", code=2)
    keyback("breach", "build", "notes.txt", "--out", "out", "--fp", "0.5", code=2)
    keyback("breach", "build", "notes.txt", "--out", "nowhere/out", code=1)


def test_a_changed_or_foreign_file_is_told(keyback: Keyback, source: Path, empty_place: Path) -> None:
    out = empty_place / "leaked.kbl"
    keyback("breach", "build", str(source), "--out", str(out))
    raw = bytearray(out.read_bytes())
    raw[115] ^= 1
    out.write_bytes(raw)
    assert "was changed" in keyback("breach", "check", str(out), code=1).output
    assert "is not a breach file" in keyback("breach", "check", str(source), code=1).output
