"""Groups that people are in, as files and systems say: kept within bounds, chosen by, and forgotten with the person."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from keyback.application.people.import_csv import BadRow, Report, Systems, import_people
from keyback.application.people.sync import sync_people
from keyback.application.people.sync_batch import SyncRules
from keyback.application.people.sync_report import SyncReport
from keyback.application.ports.connectors import FoundAccount
from keyback.application.ports.imports import ImportedPart
from keyback.domain.people.groups import MAX_GROUP, MAX_GROUPS, group_name, tidy_groups
from keyback.storage.maintenance import persons
from keyback.storage.sql.schema_groups import person_groups
from tests.support.each import each
from tests.support.kit import Kit, person
from tests.support.listing import Listing, account
from tests.support.steps import fit

Make = Callable[..., Kit]
SYSTEMS = Systems({"builtin": "Company"})


@each(
    ("texts", "kept", "left_out"),
    [
        (["Sales", "sales ", " SALES", "ＳＡＬＥＳ"], ("Sales",), 0),
        (["Sales", "Finance", "", "  "], ("Finance", "Sales"), 0),
        (["销售部", "财务部"], ("财务部", "销售部"), 0),
        (["Straße", "STRASSE"], ("Straße",), 0),
        (["a\nb", "c\td"], ("a b", "c d"), 0),
        (["a\u202eb"], ("ab",), 0),
        (["a\x00b", "ok"], ("ok",), 1),
        (["x" * (MAX_GROUP + 1), "y" * MAX_GROUP], ("y" * MAX_GROUP,), 1),
        (["\ufdfa" * 20], (), 1),  # short, and long once it is folded
        ([f"g{n:04}" for n in range(MAX_GROUPS + 7)], tuple(f"g{n:04}" for n in range(MAX_GROUPS)), 7),
    ],
)
def test_names_are_tidied_and_bounded(texts: list[str], kept: tuple[str, ...], left_out: int) -> None:
    assert tidy_groups(texts) == (kept, left_out)


def sync(kit: Kit, *accounts: FoundAccount, **over: Any) -> SyncReport:
    crm = Listing()
    crm.pages = [list(accounts)]
    report: SyncReport = kit.run(sync_people(kit.services.db, crm, "run", SyncRules(), **over))
    return report


def load(kit: Kit, path: Path, text: str, **over: Any) -> Report:
    path.write_text(text, "utf-8")
    bad: list[BadRow] = []
    report = kit.run(import_people(kit.services.db, path, SYSTEMS, on_bad=bad.append, **over))
    assert bad == []
    return report


def of(kit: Kit, name: str) -> list[str]:
    (found,) = kit.read(lambda tx: tx.people.match([name]))[name]
    return list(kit.read(lambda tx: tx.groups.of_people([found.person.id])).get(found.person.id, ()))


def version(kit: Kit, name: str) -> int:
    (found,) = kit.read(lambda tx: tx.people.match([name]))[name]
    return int(found.person.security_version)


@pytest.mark.both
def test_a_file_brings_groups_and_departments_and_takes_them_away(
    make_kit: Make, database_url: str, tmp_path: Path
) -> None:
    kit, file = make_kit(url=database_url), tmp_path / "people.csv"
    head = "name,email,username,department,groups\n"
    report = load(kit, file, f"{head}Maya,maya@example.com,maya,Sales,Field; East\nOmar,omar@example.com,omar,,\n")
    assert (report.added, report.unused) == (2, ())
    assert (of(kit, "maya"), of(kit, "omar")) == (["East", "Field", "Sales"], [])
    before = version(kit, "maya")
    again = load(kit, file, f"{head}Maya,maya@example.com,maya,SALES,East|Field\nOmar,omar@example.com,omar,,\n")
    assert (again.changed, again.same) == (0, 2), "the same groups, written otherwise"
    moved = f"{head}Maya,maya@example.com,maya,Finance,East\nOmar,omar@example.com,omar,Sales,\n"
    assert load(kit, file, moved, dry_run=True).changed == 2
    assert of(kit, "omar") == [], "a dry run keeps nothing"
    assert load(kit, file, moved).changed == 2
    assert (of(kit, "maya"), of(kit, "omar")) == (["East", "Finance"], ["Sales"])
    assert version(kit, "maya") == before, "no link ends because somebody is in another department"
    silent = load(kit, file, "name,email,username\nMaya,maya@example.com,maya\nOmar,omar@example.com,omar\n")
    assert (silent.same, of(kit, "maya")) == (2, ["East", "Finance"]), "a file that does not say leaves them alone"
    long = load(kit, file, f"{head}Maya,maya@example.com,maya,{'x' * 200},East\n")
    assert (long.groups_left_out, of(kit, "maya")) == (1, ["East"])


@pytest.mark.both
def test_names_are_listed_and_people_found_a_page_at_a_time(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url)
    people = [replace(person(f"p{n:02}"), groups=("Everybody", f"Team {n % 3}")) for n in range(20)]
    people.append(replace(person("q"), groups=("100%", "_x", "Zoë", "销售")))
    kit.write(lambda tx: tx.people.save_imported(people))
    names = kit.read(lambda tx: tx.groups.named())
    assert sorted(names) == sorted(["100%", "Everybody", "Team 0", "Team 1", "Team 2", "_x", "Zoë", "销售"])
    paged: list[str] = []
    while page := kit.read(lambda tx, last=paged[-1:]: tx.groups.named(group_name("".join(last)), 3)):
        assert len(page) <= 3
        paged += page
    assert paged == list(names)
    found: list[str] = []
    while some := kit.read(lambda tx, last=found[-1:]: tx.groups.members("everybody", "".join(last), 7)):
        found += [p.id for p in some]
    assert (len(found), found) == (20, sorted(found))
    assert len(kit.read(lambda tx: tx.groups.members("team 1"))) == 7
    assert kit.read(lambda tx: (tx.groups.known("team 1"), tx.groups.known("nobody"))) == ("Team 1", "")


@pytest.mark.both
def test_a_sync_brings_groups_and_one_that_is_silent_leaves_them(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url)
    fit(kit)
    sync(kit, account(1, groups=("Sales", "CRM users")), account(2, groups=()), account(3))
    assert [of(kit, f"user{n}") for n in (1, 2, 3)] == [["CRM users", "Sales"], [], []]
    report = sync(kit, account(1, groups=("Sales",)), account(2, groups=("Finance",)), account(3))
    assert report.skipped == {}
    assert [of(kit, f"user{n}") for n in (1, 2)] == [["Sales"], ["Finance"]]
    sync(kit, account(1), account(2), account(3))
    assert [of(kit, f"user{n}") for n in (1, 2)] == [["Sales"], ["Finance"]]
    report = sync(kit, account(1, groups=("x" * 500, "ok")), account(2), account(3))
    assert (report.skipped, report.faults, of(kit, "user1")) == ({"bad_group": 1}, 0, ["ok"])
    sync(kit, account(1), account(3), any_off=True)
    assert kit.read(lambda tx: tx.groups.known("finance")) == "", "an account that is gone says nothing any more"
    sync(kit, account(1), account(2), account(3))
    assert of(kit, "user2") == ["Finance"]


@pytest.mark.both
def test_what_a_file_and_what_a_system_says_stand_beside_each_other(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url)
    fit(kit)
    sync(kit, account(1, groups=("Sales",)))
    (found,) = kit.read(lambda tx: tx.people.match(["user1"]))["user1"]
    key = kit.read(lambda tx: tx.syncs.keys([found.person.id]))[found.person.id]
    said = ImportedPart(key, "", "en", "standard", "active", (), groups=("Works council",))
    kit.write(lambda tx: tx.people.save_imported([said]))
    assert of(kit, "user1") == ["Sales", "Works council"]
    sync(kit, account(1, groups=("Finance",)))
    assert of(kit, "user1") == ["Finance", "Works council"]


@pytest.mark.both
@pytest.mark.covers("C-10")
def test_whoever_is_erased_is_in_no_group(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url)
    kit.write(lambda tx: tx.people.save_imported([replace(person("maya"), groups=("Sales", "East")), person("omar")]))
    (found,) = kit.read(lambda tx: tx.people.match(["maya"]))["maya"]
    rows = kit.write(lambda tx: persons.erase(tx, found.person.id, "asked"))
    assert rows["person_groups"] == 2
    assert kit.read(lambda tx: tx.conn.execute(person_groups.select()).all()) == []
    assert kit.read(lambda tx: tx.groups.named()) == []
