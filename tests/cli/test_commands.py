"""What each command does and says."""

from __future__ import annotations

import csv
import json
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keyback.application.ports.storage import Tx
from keyback.cli.common import safe
from keyback.cli.examples import left_over
from keyback.domain.recovery.events import Note
from keyback.settings import Settings
from keyback.settings_sections import Mail
from keyback.storage.migrate import head
from keyback.testing.mailbox import Mailbox
from tests.support.commands import Keyback, on_services, sql
from tests.support.house import ROOT


def write(fn: Callable[[Tx], Any]) -> Any:
    async def work(s: Any) -> Any:
        return await s.db.write(fn)

    return on_services(work)


# ── init, migrate ───────────────────────────────────────────────────────────


@pytest.mark.covers("P1", "A-13.3.1")
def test_init_makes_what_is_missing_and_overwrites_nothing(empty_place: Path, keyback: Keyback) -> None:
    options = ["--public-url", "https://recover.example.com", "--company", 'Qingyu "Instruments"']
    options += ["--mail-host", "smtp.example.com"]
    first = keyback("init", *options, "--mail-sender", "keyback@example.com").output
    config, keyring = empty_place / "keyback.toml", empty_place / "keyback-data" / "keyring"
    before = config.read_text(), keyring.read_text()
    assert [stat.S_IMODE(p.stat().st_mode) for p in (config, keyring)] == [0o600, 0o600]
    assert stat.S_IMODE(keyring.parent.stat().st_mode) == 0o700
    assert before[1].split(":", 1)[1].strip() not in first
    second = keyback("init", "--company", "Another").output
    assert (config.read_text(), keyring.read_text()) == before
    assert second.count("kept") == 3
    assert Settings().company.zh_CN == 'Qingyu "Instruments"'
    assert Settings().public_url == "https://recover.example.com"


def test_init_without_options_says_what_is_still_to_do(empty_place: Path, keyback: Keyback) -> None:
    assert "mail.host is not set" in keyback("init").output
    assert keyback("migrate").output == f"Revision {head()} already.\n"


def test_init_refuses_wrong_values_and_writes_nothing(empty_place: Path, keyback: Keyback) -> None:
    result = keyback("init", "--public-url", "ftp://x", code=2)
    assert "public_url" in result.output
    assert list(empty_place.iterdir()) == []


def test_migrate_tells_before_and_after(empty_place: Path, keyback: Keyback) -> None:
    said = {"after": head(), "name_clashes": []}
    assert json.loads(keyback("migrate", "--json").stdout) == {"before": None, "changed": True, **said}
    assert json.loads(keyback("migrate", "--json").stdout) == {"before": head(), "changed": False, **said}


# ── check ───────────────────────────────────────────────────────────────────


def test_check_is_content_with_a_whole_keyback(place: Path, keyback: Keyback, monkeypatch: pytest.MonkeyPatch) -> None:
    with Mailbox() as mailbox:
        monkeypatch.setenv("KEYBACK_MAIL__PORT", str(mailbox.port))
        found = json.loads(keyback("check", "--json").output)
        assert mailbox.messages() == [], "nobody is mailed"
    status = {c["name"]: c["status"] for c in found["checks"]}
    left = ["company.en", "company.zh_CN", "helpdesk.en", "helpdesk.zh_CN", "public_url", "mail.sender"]
    names = [
        "settings",
        *left,
        "listen",
        "keyring",
        "database",
        "writing",
        "clock",
        "mail",
        "system builtin",
        "hashing",
    ]
    assert list(status) == names
    assert found["ok"] is True
    assert set(status.values()) <= {"ok", "warn"}


@pytest.mark.slow
def test_check_names_everything_that_is_bad_at_once(
    empty_place: Path, keyback: Keyback, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyback("migrate")
    monkeypatch.setenv("KEYBACK_PUBLIC_URL", "http://recover.example.com")
    monkeypatch.setenv("KEYBACK_MAIL__HOST", "127.0.0.1")
    monkeypatch.setenv("KEYBACK_MAIL__PORT", "1")
    monkeypatch.setenv("KEYBACK_MAIL__SECURITY", "plain")
    monkeypatch.setenv("KEYBACK_MAIL__SENDER", "keyback@example.com")
    systems = {
        "crm": {"kind": "demo", "title": "CRM", "base_url": "http://127.0.0.1:1", "token": "t0ken"},
        "odd": {"kind": "unheard-of", "title": "Odd"},
    }
    monkeypatch.setenv("KEYBACK_SYSTEMS", json.dumps(systems))
    result = keyback("check", "--json", code=1)
    found = {c["name"]: c for c in json.loads(result.output)["checks"]}
    bad = {name for name, c in found.items() if c["status"] == "bad"}
    assert bad == {"settings", "keyring", "mail", "system crm", "system odd"}
    assert "https" in found["settings"]["detail"]
    assert "keyback init" in found["keyring"]["detail"]
    assert "t0ken" not in result.output


EXAMPLES = {"company.en", "company.zh_CN", "helpdesk.en", "helpdesk.zh_CN", "public_url", "mail.host", "mail.sender"}


@pytest.mark.slow
def test_check_names_what_is_still_the_example_of_init(
    empty_place: Path, keyback: Keyback, monkeypatch: pytest.MonkeyPatch
) -> None:
    def named() -> set[str]:
        found = [c for c in json.loads(keyback("check", "--json", code=1).stdout)["checks"] if c["name"] in EXAMPLES]
        assert [c["name"] for c in found if (c["status"], bool(c["next"])) != ("warn", True)] == []
        return {c["name"] for c in found}

    keyback("init")
    assert named() == EXAMPLES - {"mail.host", "mail.sender"}
    # A relay that does not answer; nobody looks further than the names.
    for name, value in {"HOST": "127.0.0.1", "PORT": "1", "SECURITY": "plain", "SENDER": "it@example.com"}.items():
        monkeypatch.setenv(f"KEYBACK_MAIL__{name}", value)
    assert named() == EXAMPLES - {"mail.host"}
    assert {name for name, *_ in left_over(Settings(mail=Mail(host="smtp.example.com")))} >= {"mail.host"}
    monkeypatch.setenv("KEYBACK_MAIL__SENDER", "it@qingyu.test")
    monkeypatch.setenv("KEYBACK_PUBLIC_URL", "https://recover.qingyu.test")
    for section, name in (("COMPANY", "Qingyu Instruments"), ("HELPDESK", "the IT desk, extension 4357")):
        for language in ("EN", "ZH_CN"):
            monkeypatch.setenv(f"KEYBACK_{section}__{language}", name)
    assert named() == set()


def test_check_says_that_the_database_is_empty(empty_place: Path, keyback: Keyback) -> None:
    assert "bad   database: the database is empty. Run: keyback migrate" in keyback("check", code=1).output
    assert not (empty_place / "keyback-data").exists(), "looking makes no file"


# ── people ──────────────────────────────────────────────────────────────────


@pytest.mark.covers("A-1.2.10")
def test_import_reports_bad_rows_and_writes_them_for_a_spreadsheet(place: Path, keyback: Keyback) -> None:
    file = place / "people.csv"
    file.write_bytes("姓名,邮箱,办公地点\n陈美雅,maya@example.com,=1+1\n=cmd(),nothing,x\n".encode("gb18030"))
    result = keyback("people", "import", "people.csv", "--errors", "bad.csv", code=1)
    assert "line 3: email is not an email address" in result.stderr
    assert "1 added, 0 changed, 0 unchanged" in result.stdout
    assert "Columns that were not used: 办公地点" in result.stdout
    assert "2 rows read as GB18030. Line 2 names 陈美雅." in result.stdout
    rows = list(csv.reader((place / "bad.csv").read_text("utf-8-sig").splitlines()))
    assert rows[1] == ["3", "email is not an email address", "'=cmd()", "nothing", "x"]
    again = json.loads(keyback("people", "import", "people.csv", "--json", code=1).stdout)
    assert (again["added"], again["same"], again["bad"]) == (0, 1, 1)
    assert again["bad_rows"][0]["line"] == 3
    assert "new file" in keyback("people", "import", "people.csv", "--errors", "bad.csv", code=2).output


@pytest.mark.parametrize("page", ["README.md", "README.zh.md"])
def test_the_people_of_the_readme_are_imported(place: Path, keyback: Keyback, page: str) -> None:
    [example] = re.findall(r"```csv\n(.*?)```", (ROOT / page).read_text("utf-8"), re.S)
    (place / "people.csv").write_text(example, "utf-8")
    report = json.loads(keyback("people", "import", "people.csv", "--json").stdout)
    assert (report["added"], report["bad"], len(report["unused"])) == (2, 0, 0)


def test_import_of_a_good_file_ends_well_and_of_a_workbook_does_not(place: Path, keyback: Keyback) -> None:
    (place / "good.csv").write_text("name,email\nAnn,ann@example.com\n")
    assert "Would be: 1 added" in keyback("people", "import", "good.csv", "--dry-run").output
    keyback("people", "import", "good.csv")
    (place / "book.csv").write_bytes(b"PK\x03\x04")
    assert "save it as CSV" in keyback("people", "import", "book.csv", code=1).output
    keyback("people", "import", "none.csv", code=2)


# ── case ────────────────────────────────────────────────────────────────────


@pytest.mark.covers("P6", "A-1.3.3")
def test_cases_are_listed_and_shown_without_anything_that_moves_the_terminal(case_id: str, keyback: Keyback) -> None:
    listed, shown = keyback("case", "list").output, keyback("case", "show", case_id).output
    for out in (listed, shown):
        assert case_id in out
        assert "Maya" in out
        assert all(c.isprintable() or c == "\n" for c in out)
    assert "A link and a code were sent; asked from 192.0.2.7, Windows, Chrome." in shown
    assert keyback("case", "list", "--state", "closed").output == "None.\n"
    data = json.loads(keyback("case", "show", case_id, "--json").output)
    assert (data["state"], data["accounts"][0]["username"]) == ("proving", "mäya")
    assert [e["type"] for e in data["events"]] == ["requested", "challenge_sent"]
    assert [c["id"] for c in json.loads(keyback("case", "list", "--json").output)] == [case_id]
    assert "No recovery has this ID." in keyback("case", "show", "nobody", code=1).output
    hyphen = "-m" + "a" * 20  # as one id in 64 begins
    for args in (["show", hyphen], ["show", hyphen, "--json"], ["show", "--", hyphen]):
        assert "No recovery has this ID." in keyback("case", *args, code=1).output
    assert "No recovery has this ID" in keyback("case", "cancel", hyphen, "--reason", "A test", "--yes", code=1).output
    assert "No such option" in keyback("case", "show", "-m", code=2).output


def test_cancel_needs_a_reason_and_a_yes_and_tells_the_person(case_id: str, keyback: Keyback) -> None:
    keyback("case", "cancel", case_id, code=2)
    keyback("case", "cancel", case_id, "--reason", "\x1b[2J", "--yes", code=2)
    assert "--yes" in keyback("case", "cancel", case_id, "--reason", "Called us", code=2).output
    keyback("case", "cancel", case_id, "--reason", "Called us", "--yes")
    shown = keyback("case", "show", case_id).output
    assert "Canceled by operator; reason: Called us." in shown
    assert "can't be canceled" in keyback("case", "cancel", case_id, "--reason", "Again", "--yes", code=1).output

    async def depth(s: Any) -> Any:
        return await s.db.read(lambda tx: tx.outbox.depth())

    assert on_services(depth)["mail/ready"] >= 1


# ── audit ───────────────────────────────────────────────────────────────────


@pytest.mark.covers("P5")
def test_audit_is_exported_signed_and_later_compared(place: Path, keyback: Keyback) -> None:
    write(lambda tx: tx.audit.record("s", [Note("tick", {"n": n, "name": "a\nb"}) for n in range(30)]))
    keyback("audit", "export", "--out", "log.jsonl")
    assert "not overwritten" in keyback("audit", "export", "--out", "log.jsonl", code=1).stderr  # it is evidence
    lines = (place / "log.jsonl").read_text().splitlines()
    assert len(lines) == 31
    assert set(json.loads(lines[-1])) == {"seq", "hash", "at", "mac"}
    assert json.loads(lines[4])["data"] == {"n": 4, "name": "a\nb"}
    assert keyback("audit", "export", "--after", "28").stdout.count("\n") == 3
    table = keyback("audit", "export", "--format", "csv").stdout.splitlines()
    assert (table[0], len(table)) == ("seq,at,stream,type,data,hash", 32)
    assert "part of the log" in keyback("audit", "verify", "--head", "log.jsonl").output

    sql("DELETE FROM events WHERE seq > 25")
    sql("UPDATE audit_head SET seq = 25, hash = (SELECT hash FROM events WHERE seq = 25)")
    keyback("audit", "verify")
    cut = json.loads(keyback("audit", "verify", "--head", "log.jsonl", "--json", code=1).stdout)
    assert (cut["ok"], cut["finding"]["kind"], cut["finding"]["seq"]) == (False, "cut_off", 26)
    sql("UPDATE events SET data = '7' WHERE seq = 12")
    assert "Row 12 was edited" in keyback("audit", "verify", code=1).output
    assert "not signed" in keyback("audit", "export", code=1).stderr
    (place / "odd").write_text("{}\n")
    assert "no signed head" in keyback("audit", "verify", "--head", "odd", code=1).output


# ── all ─────────────────────────────────────────────────────────────────────


@pytest.mark.slow
def test_openapi_is_written_as_json(empty_place: Path, keyback: Keyback) -> None:
    document = json.loads(keyback("openapi").stdout)
    assert document["openapi"].startswith("3.1")
    keyback("openapi", "--out", "api.json")
    assert json.loads((empty_place / "api.json").read_text()) == document


def test_safe_text_keeps_words_and_drops_what_acts() -> None:
    assert safe("陈美雅 O'Neil") == "陈美雅 O'Neil"
    assert safe("a\x1b[31m\r\n\u202eb") == "a�[31m���b"


@pytest.mark.covers("H11")
def test_addresses_that_change_are_shown_and_moving_all_is_asked(place: Path, keyback: Keyback) -> None:
    head = "key,name,email,username\n"
    (place / "people.csv").write_text(head + "1,Maya\x1b[31m Okafor,maya@old.example,maya\n2,Ola,ola@old.example,ola\n")
    keyback("people", "import", "people.csv", code=1)
    (place / "people.csv").write_text(head + "1,Maya,maya@old.example,maya\n2,Ola,ola@old.example,ola\n")
    keyback("people", "import", "people.csv")
    (place / "people.csv").write_text(head + "1,Maya,maya@new.example,maya\n2,Ola,ola@new.example,ola\n")
    shown = keyback("people", "import", "people.csv", "--dry-run").output
    assert "Addresses: 2 changed. A new one can recover in 72 hours" in shown
    assert "Ola: o•••@old.example becomes o•••@new.example" in shown
    keyback("people", "import", "people.csv", "--addresses-moved", code=2)  # nobody can be asked here
    report = json.loads(keyback("people", "import", "people.csv", "--addresses-moved", "--yes", "--json").stdout)
    assert (report["addresses"], [x["kind"] for x in report["lines"]]) == (2, ["moved", "moved"])
