"""A1: nobody becomes a second person, whatever column the next file leaves out or brings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from keyback.application.audit_log import log_of
from keyback.application.people.csv_encoding import Unreadable
from keyback.application.people.import_csv import BadRow, Report, Systems, import_people
from tests.support.kit import Kit

SYSTEMS = Systems({"builtin": "Keyback", "erp": "ERP"}, frozenset({"erp"}))
KEYED = "key,name,email,username\n1,Ann,ann@example.com,ann\n2,Bo,bo@example.com,bo\n"


@pytest.fixture
def kit(database_url: str, make_kit: Callable[..., Kit]) -> Kit:
    return make_kit(url=database_url)


@pytest.fixture
def load(kit: Kit, tmp_path: Path) -> Callable[..., tuple[Report, list[BadRow]]]:
    def run(content: str, **over: Any) -> tuple[Report, list[BadRow]]:
        file = tmp_path / "people.csv"
        file.write_text(content, "utf-8")
        bad: list[BadRow] = []
        return kit.run(import_people(kit.services.db, file, SYSTEMS, on_bad=bad.append, **over)), bad

    return run


Load = Callable[..., tuple[Report, list[BadRow]]]


def people(kit: Kit) -> list[tuple[str, str, str]]:
    """Key, name and state of everybody."""
    query = text("SELECT key, name, state FROM people ORDER BY key")
    return kit.read(lambda tx: [tuple(r) for r in tx.conn.execute(query)])


@pytest.mark.slow
@pytest.mark.parametrize("dry_run", [True, False])
@pytest.mark.parametrize(
    ("content", "line", "column"),
    [
        ("name,email\nCy,cy@example.com\nAnn,ann@example.com\n", 3, "email"),  # another user name, the same address
        ("name,email,status\nAnn Lee,ANN@example.com,left\n", 2, "email"),
        ("姓名,邮箱,用户名\n安,new@example.com,Ann\n", 2, "username"),  # another address, the same user name
        ("name,email,username\nBo,ann@example.com,fresh\nAnn,bo@example.com,newer\n", 2, "email"),
    ],
)
def test_a_file_without_keys_after_one_with_keys_stops(
    kit: Kit, load: Load, content: str, line: int, column: str, dry_run: bool
) -> None:
    load(KEYED)
    before, rows = people(kit), kit.read(lambda tx: log_of(tx).head()[0])
    with pytest.raises(Unreadable) as refused:
        load(content, dry_run=dry_run)
    said = str(refused.value)
    assert f"line {line} names someone by {column} who is known by the key" in said
    assert "Add the column key (工号)" in said
    assert (people(kit), kit.read(lambda tx: log_of(tx).head()[0])) == (before, rows), "nothing was written"


def test_an_external_id_tells_it_too(kit: Kit, load: Load) -> None:
    load("key,name,email,username,system,external_id\n1,Ann,ann@example.com,ann,ERP,77\n")
    with pytest.raises(Unreadable, match="by external_id"):
        load("name,email,username,system,external_id\nAnn,ann@new.example.com,ann.lee,ERP,77\n")


def test_an_address_that_waits_tells_it_too(kit: Kit, load: Load) -> None:
    load(KEYED)
    load(KEYED.replace("ann@example.com", "ann@new.example.com"))
    with pytest.raises(Unreadable, match="by email"):
        load("name,email\nAnn,ann@new.example.com\n")


def test_who_was_never_given_a_key_goes_on_without(kit: Kit, load: Load) -> None:
    load(KEYED)
    report, bad = load("name,email,username\nCy,cy@example.com,cy\n")
    assert (report.added, bad) == (1, [])
    report, bad = load("name,email,username\nCy,cy@example.com,cyrus\nDi,di@example.com,cy\n")
    assert (report.added, report.changed, bad) == (1, 1, [])
    backup = load("key,name,email,username,backup_email\n1,Ann,ann@example.com,ann,home@example.com\n")
    assert backup[1] == []
    report, bad = load("name,email,username\nEve,home@example.com,eve\n")
    assert (report.added, bad) == (1, []), "a backup address of somebody may be another's main one"


@pytest.mark.parametrize(
    ("first", "then", "reason"),
    [
        (
            "name,email,username\nAnn,ann@example.com,ann\n",
            "key,name,email,username\n1,Ann Lee,ann@example.com,ann.lee\n",
            "no_key_yet",
        ),
        (KEYED, "key,name,email,username\nE1,Ann,ann@example.com,ann.lee\n", "other_key"),
    ],
)
def test_a_new_key_for_an_address_that_is_known(kit: Kit, load: Load, first: str, then: str, reason: str) -> None:
    load(first)
    before = people(kit)
    report, bad = load(then)
    assert ([b.reason for b in bad], report.added, people(kit)) == ([reason], 0, before)
    assert "keyback people" in bad[0].words()


def test_a_shared_mailbox_and_one_that_is_given_on_are_no_second_selves(kit: Kit, load: Load) -> None:
    load(KEYED)
    report, bad = load("key,name,email,username\n3,Cy,ann@example.com,cy\n")
    assert (report.added, bad) == (1, []), "another name: several may share one"
    report, bad = load(KEYED + "4,Ann,ann@example.com,ann2\n")
    assert (report.added, bad) == (1, []), "both are in the file: two of the same name"


def test_who_was_known_by_an_address_before_the_last_one_gets_the_key(kit: Kit, load: Load) -> None:
    load("name,email,username\nAnn,ann@example.com,ann\n")
    kit.write(
        lambda tx: tx.conn.execute(text("UPDATE people SET key = 'old@example.com'"))  # type: ignore[attr-defined]
    )
    report, bad = load("key,name,email,username\n1,Ann,ann@example.com,ann.lee\n")
    assert (bad, people(kit), report.added) == ([], [("1", "Ann", "active")], 0)
