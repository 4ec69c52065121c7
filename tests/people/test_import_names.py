"""User names that move within one file: what counts is the state afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keyback.application.people import import_csv
from keyback.application.people.import_csv import BadRow, Report, Systems, import_people
from keyback.domain.people.person import canonicalize
from tests.support.kit import Kit

SYSTEMS = Systems({"builtin": "Keyback", "erp": "ERP"}, frozenset({"erp"}))
KEYED = "key,name,email,username\n"
PLAIN = "name,email,username\n"


@pytest.fixture
def kit(database_url: str, make_kit: Callable[..., Kit]) -> Kit:
    return make_kit(url=database_url)


def load(kit: Kit, folder: Path, text: str, **over: Any) -> tuple[Report, list[BadRow]]:
    file = folder / "people.csv"
    file.write_text(text, "utf-8")
    bad: list[BadRow] = []
    return kit.run(import_people(kit.services.db, file, SYSTEMS, on_bad=bad.append, **over)), bad


def who(kit: Kit, *names: str) -> list[str]:
    """Who is found by each user name."""
    found = kit.read(lambda tx: tx.people.match([canonicalize(n) for n in names]))
    return ["+".join(m.person.name for m in found.get(canonicalize(n), ())) for n in names]


def ids(kit: Kit, mail: str) -> dict[str, str]:
    """The ids of a person's accounts by user name."""
    [match] = kit.read(lambda tx: tx.people.match([mail]))[mail]
    return {a.username: a.id for a in match.accounts if a.state == "active"}


START = "1,Ann,ann@example.com,ann\n2,Bo,bo@example.com,bo\n3,Cy,cy@example.com,cy\n"


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 1000])
@pytest.mark.parametrize(
    ("after", "owners"),
    [
        ("1,Ann,ann@example.com,bo\n2,Bo,bo@example.com,ann\n3,Cy,cy@example.com,cy\n", ["Bo", "Ann", "Cy"]),  # a swap
        (
            "1,Ann,ann@example.com,bo\n2,Bo,bo@example.com,cy\n3,Cy,cy@example.com,ann\n",
            ["Cy", "Ann", "Bo"],
        ),  # a circle
        ("1,Ann,ann@example.com,bo\n2,Bo,bo@example.com,cy\n3,Cy,cy@example.com,new\n", ["", "Ann", "Bo"]),  # a chain
        ("4,Di,di@example.com,ann\n1,Ann,ann@example.com,ann.lee\n2,Bo,bo@example.com,bo\n", ["Di", "Bo", "Cy"]),
        ("1,Ann,ann@example.com,ann.lee\n4,Di,di@example.com,Ann\n5,Ed,ed@example.com,ANN2\n", ["Di", "Bo", "Cy"]),
    ],
)
@pytest.mark.parametrize("heading", [KEYED, PLAIN])
def test_names_move(
    kit: Kit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, heading: str, after: str, owners: list[str], batch: int
) -> None:
    cut = (lambda text: text) if heading == KEYED else (lambda text: "".join(x[2:] + "\n" for x in text.splitlines()))
    monkeypatch.setattr(import_csv, "BATCH", batch)
    load(kit, tmp_path, heading + cut(START))
    before = {m: ids(kit, f"{m}@example.com") for m in ("ann", "bo", "cy")}
    dry, bad = load(kit, tmp_path, heading + cut(after), dry_run=True)
    assert (bad, who(kit, "ann", "bo", "cy")) == ([], ["Ann", "Bo", "Cy"])
    report, bad = load(kit, tmp_path, heading + cut(after))
    assert bad == []
    assert who(kit, "ann", "bo", "cy") == owners
    assert (dry.added, dry.changed, dry.same) == (report.added, report.changed, report.same)
    again, bad = load(kit, tmp_path, heading + cut(after))
    assert (again.changed, again.added, bad) == (0, 0, [])
    for mail, old in before.items():  # the account, and with it the password, stays its person's under the new name
        assert set(ids(kit, f"{mail}@example.com").values()) == set(old.values()), mail


def test_a_name_that_stays_is_not_given_away_and_drags_others_along(kit: Kit, tmp_path: Path) -> None:
    load(kit, tmp_path, KEYED + START)
    # Ann wants Bo's, who keeps it; so Di cannot get Ann's either, which Ann keeps.
    _, bad = load(kit, tmp_path, KEYED + "1,Ann,ann@example.com,bo\n4,Di,di@example.com,ann\n")
    assert sorted((b.line, b.reason) for b in bad) == [(2, "taken"), (3, "taken")]
    assert who(kit, "ann", "bo", "cy") == ["Ann", "Bo", "Cy"]
    _, bad = load(kit, tmp_path, KEYED + "4,Di,di@example.com,cy\n")
    assert [(b.line, b.reason) for b in bad] == [(2, "taken")]


def test_a_number_of_the_system_does_not_move(kit: Kit, tmp_path: Path) -> None:
    heading = "key,name,email,username,system,external_id\n"
    load(kit, tmp_path, heading + "1,Ann,ann@example.com,ann,erp,7\n2,Bo,bo@example.com,bo,erp,8\n")
    before = ids(kit, "ann@example.com")
    _, bad = load(kit, tmp_path, heading + "1,Ann,ann@example.com,bo,erp,7\n2,Bo,bo@example.com,ann,erp,8\n")
    assert (bad, who(kit, "ann", "bo")) == ([], ["Bo", "Ann"])
    assert set(ids(kit, "ann@example.com").values()) == set(before.values())
    _, bad = load(kit, tmp_path, heading + "1,Ann,ann@example.com,bo,erp,8\n2,Bo,bo@example.com,ann,erp,7\n")
    assert [b.reason for b in bad] == ["taken", "taken"]


def test_a_name_that_an_account_of_ones_own_gave_up_is_there_for_the_next(kit: Kit, tmp_path: Path) -> None:
    heading = "key,name,email,username,system,external_id\n"
    load(kit, tmp_path, heading + "1,Ann,ann@example.com,ann,erp,7\n")
    report, bad = load(kit, tmp_path, heading + "1,Ann,ann@example.com,ann,erp,9\n")  # made anew there
    assert (report.changed, bad, who(kit, "ann")) == (1, [], ["Ann"])
    assert load(kit, tmp_path, heading + "1,Ann,ann@example.com,ann,erp,9\n")[0].same == 1
    _, bad = load(kit, tmp_path, heading + "1,Ann,ann@example.com,annie,erp,9\n2,Di,di@example.com,ann,erp,10\n")
    assert (bad, who(kit, "ann", "annie")) == ([], ["Di", "Ann"])


@pytest.mark.parametrize(
    "text",
    [
        "Ann,office@example.com,ann\nBo,office@example.com,bo\n",
        "Ann,office@example.com,ann\nCy,cy@example.com,cy\nBo,OFFICE@example.com,bo\n",
        "陈美雅,office@example.com,ann\n李雷,office@example.com,bo\n",
    ],
)
def test_two_names_behind_one_mail_are_never_one_person_in_silence(kit: Kit, tmp_path: Path, text: str) -> None:
    _, bad = load(kit, tmp_path, PLAIN + text)
    assert [(b.reason, b.column) for b in bad] == [("other_name", "name")] * 2
    assert {b.line for b in bad} == {b.other for b in bad}
    assert kit.read(lambda tx: tx.people.match(["office@example.com"])) == {}
    keyed = "".join(f"{n},{line}\n" for n, line in enumerate(text.splitlines()))
    _, bad = load(kit, tmp_path, KEYED + keyed)
    assert bad == []
    assert len(kit.read(lambda tx: tx.people.match(["office@example.com"]))["office@example.com"]) == 2


def test_one_name_in_another_order_is_one_person(kit: Kit, tmp_path: Path) -> None:
    text = 'Ann Lee,ann@example.com,ann\n"LEE, Ann",ann@example.com,ann2\n'
    report, bad = load(kit, tmp_path, PLAIN + text)
    assert (report.added, bad) == (1, [])


def test_a_file_without_a_column_for_user_names_renames_nobody(kit: Kit, tmp_path: Path) -> None:
    load(kit, tmp_path, KEYED + START)
    before = ids(kit, "ann@example.com")
    report, bad = load(kit, tmp_path, "key,name,email\n1,Ann,ann@example.com\n2,Bo,bo@example.com\n")
    assert (report.same, bad, ids(kit, "ann@example.com")) == (2, [], before)


def test_people_who_had_no_key_get_the_one_that_a_file_gives_them(kit: Kit, tmp_path: Path) -> None:
    load(kit, tmp_path, PLAIN + "Ann,ann@example.com,ann\nBo,bo@example.com,bo\n")
    before = ids(kit, "ann@example.com")
    report, bad = load(kit, tmp_path, KEYED + "1,Ann,ann@example.com,ann\n2,Somebody Else,bo@example.com,bo2\n")
    assert (report.same, report.added, [b.reason for b in bad]) == (1, 0, ["no_key_yet"])
    assert (ids(kit, "ann@example.com"), who(kit, "bo", "bo2")) == (before, ["Bo", ""])
    assert load(kit, tmp_path, KEYED + "1,Ann,ann@example.com,ann.lee\n")[0].changed == 1
