"""`keyback evidence`: one folder for an assessor, true, without a secret, the same whatever the settings hold."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import stat
from pathlib import Path

import jsonschema_rs
import pytest
from pydantic import SecretStr

from keyback.cli.evidence.shown_settings import HIDDEN, shown
from keyback.settings import Settings
from keyback.settings_sections import System
from tests.support.commands import Keyback

CANARY = "Canary-4711-geheim"


@pytest.mark.slow
@pytest.mark.covers("N-R13", "L-1", "C-6", "P5")
@pytest.mark.usefixtures("place")
def test_an_assessor_gets_everything_and_no_secret(keyback: Keyback, tmp_path: Path) -> None:
    out = tmp_path / "evidence"
    said = keyback("evidence", str(out), "--names").stdout
    assert "index.en.md" in said
    names = {p.name for p in out.iterdir()}
    for kind in ("index", "policy", "retention", "data-map", "dpia", "pipia"):
        assert {f"{kind}.en.md", f"{kind}.zh.md"} <= names, kind
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    assert all(stat.S_IMODE(p.stat().st_mode) == 0o600 for p in out.iterdir())
    sums = dict(reversed(line.split("  ")) for line in (out / "SHA256SUMS").read_text().splitlines())  # type: ignore[arg-type]
    assert sums.keys() == names - {"SHA256SUMS"}
    assert all(hashlib.sha256((out / n).read_bytes()).hexdigest() == digest for n, digest in sums.items())
    for name in names:
        text = (out / name).read_text("utf-8")
        assert "{{" not in text, name
        assert "{%" not in text, name
        if name.startswith("index."):
            listed = set(re.findall(r"`([\w.-]+\.(?:md|csv|json|jsonl|txt))`", text))
            assert listed <= names | {"x"}, listed - names
    assert json.loads((out / "audit-verification.json").read_text())["whole"] is True
    head = tmp_path / "head.jsonl"
    head.write_bytes((out / "audit-head.jsonl").read_bytes())
    assert "is part of the log" in keyback("audit", "verify", "--head", str(head)).stdout

    assert re.fullmatch(r"sqlite 3\.\d+\.\d+", json.loads((out / "versions.json").read_text())["database"])
    _look_at_requirements(out)
    _look_at_bill(out)


def _look_at_requirements(out: Path) -> None:
    rows = {r["id"]: r for r in csv.DictReader((out / "requirements.csv").read_text("utf-8").splitlines())}
    assert rows["N-P1"]["source"].startswith("NIST SP 800-63B-4")
    assert {r["state"] for r in rows.values()} <= {"", "kept", "given up", "not kept"}
    assert rows["C-4"]["state"] in ("kept", "not kept")
    assert int(rows["A1"]["tests"]) > 5
    assert rows["G-4"]["why_not"]


def _look_at_bill(out: Path) -> None:
    bill = json.loads((out / "bom.cdx.json").read_text())
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    found = {c["name"]: c for c in bill["components"]}
    assert {"cryptography", "sqlalchemy", "argon2-cffi"} <= found.keys()
    assert "keyback" not in found
    assert found["sqlalchemy"]["purl"] == f"pkg:pypi/sqlalchemy@{found['sqlalchemy']['version']}"
    assert len({c["bom-ref"] for c in bill["components"]}) == len(bill["components"])
    assert jsonschema_rs.is_valid({"type": "string", "pattern": "^urn:uuid:[0-9a-f-]{36}$"}, bill["serialNumber"])


@pytest.mark.usefixtures("place")
def test_what_is_there_is_never_changed(keyback: Keyback, tmp_path: Path) -> None:
    out = tmp_path / "e"
    out.mkdir()
    (out / "mine.txt").write_text("mine")
    assert "is there already" in keyback("evidence", str(out), code=1).stderr
    assert os.listdir(out) == ["mine.txt"]
    assert "can't be made" in keyback("evidence", str(tmp_path / "no" / "where"), code=1).stderr


@pytest.mark.covers("INV-I4")
def test_no_secret_of_any_kind_is_in_the_settings() -> None:
    systems = {
        "crm": System(kind="salesforce", title="CRM", client_secret=CANARY, url="https://crm.example.com"),  # type: ignore[call-arg]
        "odd": System(kind="nobody_has_this", title="Odd", anything=CANARY, list=[CANARY], n=3),  # type: ignore[call-arg]
    }
    s = Settings(
        database_url=f"postgresql://keyback:{CANARY}@db.example.com/keyback",
        valkey_url=f"valkey://:{CANARY}@cache.example.com",
        keyring=SecretStr(f"k1:{CANARY}"),
        systems=systems,
        mail={"host": "smtp.example.com", "sender": "a@example.com", "password": CANARY},  # type: ignore[arg-type]
        sms={"kind": "http", "prefixes": ["+86"], "token": CANARY},  # type: ignore[arg-type]
        proof_options={"some_proof": {"key": CANARY, "words": CANARY}},
    )
    text = shown(s)
    assert CANARY not in text
    lines = dict(line.split(" = ", 1) for line in text.splitlines())
    assert lines["database_url"] == '"postgresql://db.example.com/keyback"'
    assert lines["mail.password"] == lines["keyring"] == lines["systems.odd.anything"] == HIDDEN
    assert lines["systems.odd.n"] == "3"
    assert lines["systems.crm.title"] == '"CRM"'
    assert lines["mail.host"] == '"smtp.example.com"'
    assert lines["password.preset"]
