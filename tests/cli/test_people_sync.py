"""`keyback people sync` on the stand-in of Zoho, and the list of doubtful links."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.commands import Keyback
from tests.support.zoho import Organization, zoho_organization


@pytest.fixture
def organization() -> Iterator[Organization]:
    with zoho_organization() as made:
        yield made


@pytest.fixture
def config(place: Path, organization: Organization) -> Path:
    o = organization.options()
    lines = [f"{k} = {json.dumps(v)}" for k, v in o.items()]
    path = place / "keyback.toml"
    path.write_text("\n".join(["[systems.zoho]", 'kind = "zoho"', 'title = "Zoho CRM"', *lines, ""]), "utf-8")
    path.chmod(0o600)
    return path


@pytest.mark.slow
def test_people_come_from_a_system(keyback: Keyback, config: Path, organization: Organization) -> None:
    for n in range(30):
        organization.add(f"p{n}@example.com")
    assert "Would be: 31 added" in keyback("people", "sync", "zoho", "--dry-run").stdout
    assert "31 added, 0 changed" in keyback("people", "sync", "zoho").stdout
    report = json.loads(keyback("people", "sync", "zoho", "--json").stdout)
    assert (report["same"], report["added"], report["off"]) == (31, 0, 0)
    assert "p3@example.com" in keyback("people", "show", "p3@example.com").stdout
    for a in list(organization.fake.accounts)[:20]:
        a.active = False
    held = keyback("people", "sync", "zoho", code=1)
    assert "none were disabled" in held.stdout
    checked = json.loads(keyback("check", "--json", code=1).stdout)["checks"]
    [line] = [c for c in checked if c["name"] == "sync zoho"]
    assert (line["status"], "keyback people sync zoho --yes" in line["next"]) == ("warn", True)
    assert "20 accounts were disabled" in keyback("people", "sync", "zoho", "--yes").stdout


def test_links_wait_for_a_decision(keyback: Keyback, config: Path, organization: Organization, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text("key,name,email,username,system,external_id\n1,Maya,maya@example.com,maya,zoho,other\n")
    keyback("people", "import", str(file))
    organization.add("maya@example.com")
    assert "keyback people links list" in keyback("people", "sync", "zoho").stdout
    shown = keyback("people", "links", "list").stdout
    assert "same address" in shown
    assert "Maya" in shown
    [link] = json.loads(keyback("people", "links", "list", "--json").stdout)
    keyback("people", "links", "accept", link["id"], "--reason", "asked her", code=2)
    keyback("people", "links", "accept", link["id"], "--reason", "asked her", "--yes")
    assert "Nothing to decide" in keyback("people", "links", "list").stdout
    keyback("people", "links", "reject", link["id"], "--reason", "late", code=1)


def test_a_system_without_a_list_says_so(keyback: Keyback, place: Path) -> None:
    assert "can't list" in keyback("people", "sync", "builtin", code=1).output
    assert "no system called" in keyback("people", "sync", "nowhere", code=2).output
