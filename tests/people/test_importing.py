"""Importing people from CSV files as companies have them, on both databases."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keyback.application.audit_log import log_of
from keyback.application.people.import_csv import BadRow, Report, Systems, Unreadable, import_people
from keyback.application.ports.storage import Imported, ImportedAccount
from keyback.domain.people.person import canonicalize
from tests.support.kit import Kit

SYSTEMS = Systems({"builtin": "Keyback", "crm": "Qingyu CRM", "erp": "ERP"}, frozenset({"erp"}))


def load(kit: Kit, path: Path, text: str | bytes, **over: Any) -> tuple[Report, list[BadRow]]:
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    bad: list[BadRow] = []
    report = kit.run(import_people(kit.services.db, path, SYSTEMS, on_bad=bad.append, **over))
    return report, bad


def counts(r: Report) -> tuple[int, int, int, int]:
    return r.added, r.changed, r.same, r.bad


def one(kit: Kit, identifier: str) -> Any:
    [match] = kit.read(lambda tx: tx.people.match([canonicalize(identifier)]))[canonicalize(identifier)]
    return match


def accounts(kit: Kit, identifier: str) -> dict[tuple[str, str], str]:
    return {(a.system, a.username): a.state for a in one(kit, identifier).accounts}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "people.csv"


@pytest.fixture
def kit(make_kit: Callable[..., Kit]) -> Kit:
    return make_kit()


@pytest.mark.parametrize(
    ("encoding", "separator"),
    [("utf-8", ","), ("utf-8-sig", ";"), ("gb18030", ","), ("gb18030", "\t"), ("utf-16", "\t")],
)
def test_chinese_file_with_several_accounts_a_person(
    database_url: str, make_kit: Callable[..., Kit], file: Path, encoding: str, separator: str
) -> None:
    kit = make_kit(url=database_url)
    text = (
        "工号,姓名,电子邮箱,备用邮箱,登录名,系统,语言,状态,级别,单点登录\r\n"
        "007,陈美雅,maya@example.com,maya@example.net,maya,builtin,中文,在职,普通,\r\n"
        "008,李雷,lilei@example.com,,lilei,Keyback,英文,离职,双因素,\r\n"
        "007,陈美雅,Maya@Example.com,,陈美雅,qingyu crm,中文,锁定,管理员,企业微信\r\n"
    )
    report, bad = load(kit, file, text.replace(",", separator).encode(encoding))
    assert (bad, counts(report), report.rows) == ([], (2, 0, 0, 0), 3)
    maya = one(kit, "陈美雅")
    assert (maya.person.name, maya.person.locale, maya.person.tier) == ("陈美雅", "zh_CN", "privileged")
    assert [(c.address, c.role) for c in maya.contacts] == [
        ("maya@example.com", "primary"),
        ("maya@example.net", "backup"),
    ]
    assert [(a.system, a.username, a.state, a.privileged, a.provider) for a in maya.accounts] == [
        ("builtin", "maya", "active", False, ""),
        ("crm", "陈美雅", "locked", True, "企业微信"),
    ]
    lilei = one(kit, "lilei")
    assert (lilei.person.state, lilei.person.tier, lilei.person.locale) == ("disabled", "mfa", "en")


def test_every_bad_row_is_named_by_its_line_and_the_good_ones_are_taken(kit: Kit, file: Path) -> None:
    text = (
        "key,name,email,username,system,external_id,state,tier,language\n"
        "1,Ann Lee,ann@example.com,ann,builtin,,active,standard,en\n"  # 2
        '2,"Bo\nBerg",bo@example.com,bo,builtin,,,,\n'  # 3, 4
        "3,,cy@example.com,cy,builtin,,,,\n"  # 5
        "\n"  # 6
        "4,Di,di at example.com,di,builtin,,,,\n"  # 7
        "5,Ed,ed@example.com,e\u200bd,builtin,,,,\n"  # 8
        "6,Flo,flo@example.com,flo,payroll,,,,\n"  # 9
        "7,Gus,gus@example.com,gus,builtin,,sabbatical,,\n"  # 10
        "8,Hal,hal@example.com,hal,builtin,,,godlike,\n"  # 11
        "9,Ida,ida@example.com,ida,builtin,,,,klingon\n"  # 12: she gets the default language
        "10,Jo,jo@example.com,ANN,builtin,,,,\n"  # 13
        "1,Ann Lee,other@example.com,ann2,crm,,,,\n"  # 14
        "11,Kim,kim@example.com,kim,erp,,,,\n"  # 15
        "12,Lou,lou@example.com,lou,erp,42,,,\n"  # 16
        "13,Mo,mo@example.com,mo,erp,42,,,\n"  # 17
        ",Ned,ned@example.com,ned,builtin,,,,\n"  # 18
        "14,Oz,oz@example.com,oz,builtin,,,,,surplus\n"  # 19
        '15,"Pat"x,pat@example.com,pat,builtin,,,,\n'  # 20
        "16,Quinn,quinn@localhost,quinn,builtin,,,,\n"  # 21
        f"17,{'R' * 201},rob@example.com,rob,builtin,,,,\n"  # 22
        "18,Sue,sue@example.com,sue,builtin,,,,\n"  # 23
    )
    report, bad = load(kit, file, text)
    assert [(b.line, b.reason, b.column, b.other) for b in sorted(bad, key=lambda b: b.line)] == [
        (5, "missing", "name", 0),
        (7, "bad_mail", "email", 0),
        (8, "not_text", "username", 0),
        (9, "unknown", "system", 0),
        (10, "unknown", "state", 0),
        (11, "unknown", "tier", 0),
        (13, "duplicate", "username", 2),
        (14, "other_mail", "email", 2),
        (15, "no_system_id", "external_id", 0),
        (17, "duplicate", "external_id", 16),
        (18, "missing", "key", 0),
        (19, "cells", "", 0),
        (20, "quotes", "", 0),
        (21, "bad_mail", "email", 0),
        (22, "too_long", "name", 0),
    ]
    assert counts(report) == (5, 0, 0, 15)
    assert one(kit, "bo").person.name == "Bo Berg"
    words = {b.line: b.words() for b in bad}
    known = "builtin (Keyback), crm (Qingyu CRM), erp (ERP)"
    assert words[9] == f"system has an unknown value; known values are {known}"
    assert {"active", "停用"} <= set(words[10].replace(",", "").split())
    for b in bad:
        assert b.words()
        assert "example.com" not in b.words()


@pytest.mark.slow
def test_two_thousand_rows_twice_and_then_with_changes(
    database_url: str, make_kit: Callable[..., Kit], file: Path
) -> None:
    kit = make_kit(url=database_url)
    heading = "name,email,username,system"
    # A person's two rows are a thousand rows apart.
    rows = [f"Person {n},p{n}@example.com,p{n}-{s},{s}" for s in ("builtin", "crm") for n in range(1000)]
    told: list[tuple[int, int]] = []
    report, _ = load(kit, file, "\n".join([heading, *rows]), progress=lambda done, of: told.append((done, of)))
    assert counts(report) == (1000, 0, 0, 0)
    assert told[-1] == (2000, 2000)
    again, _ = load(kit, file, "\n".join([heading, *rows]))
    assert counts(again) == (0, 0, 1000, 0)
    for n in (3, 1003):
        rows[n] = rows[n].replace("Person 3", "Perla")
    rows[1004] = rows[1004].replace("p4-crm", "p4-new")
    third, _ = load(kit, file, "\n".join([heading, *rows]))
    assert counts(third) == (0, 2, 998, 0)
    assert one(kit, "p3@example.com").person.name == "Perla"
    notes = kit.read(lambda tx: list(log_of(tx).of_stream("import")))
    assert [n["type"] for n in notes] == ["people_import_started", "people_imported"] * 3
    assert notes[-1]["data"] == {"file": third.sha256, "added": 0, "changed": 2, "same": 998, "bad": 0}


def test_what_a_file_has_no_column_for_stays(kit: Kit, file: Path) -> None:
    load(
        kit,
        file,
        "key,name,email,backup email,username,system,locale,state,tier,sso\n"
        "1,Ann,ann@example.com,ann@example.net,ann,builtin,zh,locked,mfa,\n"
        "1,Ann,ann@example.com,,ann.crm,crm,zh,active,mfa,Entra\n",
    )
    before = one(kit, "ann")
    report, _ = load(kit, file, "key,name,email,username\n1,Ann,ann@example.com,ann\n")
    assert counts(report) == (0, 0, 1, 0)
    report, _ = load(kit, file, "key,name,email,username\n1,Anna,ann@example.com,ann\n")
    assert counts(report) == (0, 1, 0, 0)
    after = one(kit, "ann")
    assert (after.person.locale, after.person.tier, after.person.name) == ("zh_CN", "mfa", "Anna")
    assert [c.address for c in after.contacts] == ["ann@example.com", "ann@example.net"]
    assert after.accounts == before.accounts
    assert one(kit, "ann.crm").person.id == after.person.id, "the other system's user name still leads here"


def test_a_file_with_keys_switches_off_only_what_it_is_about(kit: Kit, file: Path) -> None:
    heading, ann = "key,name,email,username,system,external_id\n", "1,Ann,ann@example.com,ann,builtin,\n"
    bob = "2,Bob,bob@example.com,bob,builtin,\n2,Bob,bob@example.com,bob,erp,7\n"
    load(kit, file, heading + ann + "1,Ann,ann@example.com,ann.crm,crm,\n" + bob)
    load(kit, file, heading + ann)
    assert accounts(kit, "ann") == {("builtin", "ann"): "active", ("crm", "ann.crm"): "active"}
    load(kit, file, heading + ann + bob.replace("erp,7", "crm,"))
    assert accounts(kit, "ann") == {("builtin", "ann"): "active", ("crm", "ann.crm"): "disabled"}
    assert accounts(kit, "bob") == {("builtin", "bob"): "active", ("crm", "bob"): "active", ("erp", "bob"): "active"}


@pytest.mark.parametrize(
    "broken",
    [
        "1,Ann,ann@example.com,,crm",
        '1,Ann,ann@example.com,"ann.crm"x,crm',
        "1,Ann,ann@,x,crm",
        ",Ann,ann@example.com,x,crm",
    ],
)
def test_a_bad_row_switches_nothing_off(kit: Kit, file: Path, broken: str) -> None:
    heading = "key,name,email,username,system\n"
    good = "1,Ann,ann@example.com,ann,builtin\n"
    load(kit, file, heading + good + "1,Ann,ann@example.com,ann.crm,crm\n")
    _, bad = load(kit, file, f"{heading}{good}2,Bo,bo@example.com,bo,crm\n{broken}\n")
    assert [b.line for b in bad] == [4]
    assert accounts(kit, "ann") == {("builtin", "ann"): "active", ("crm", "ann.crm"): "active"}


def test_a_file_without_keys_switches_nothing_off(kit: Kit, file: Path) -> None:
    heading, good = "name,email,username,system\n", "Ann,ann@example.com,ann,builtin\n"
    load(kit, file, heading + good + "Ann,ann@example.com,ann.crm,crm\n")
    load(kit, file, heading + good + "Ann,ann@example.con,other,crm\n")
    assert accounts(kit, "ann") == {("builtin", "ann"): "active", ("crm", "ann.crm"): "active"}


def test_name_or_number_of_somebody_else_in_the_database(
    database_url: str, make_kit: Callable[..., Kit], file: Path
) -> None:
    kit = make_kit(url=database_url)
    old = (ImportedAccount("builtin", "1", "ann"), ImportedAccount("erp", "77", "ann.erp"))
    ann = Imported("ann", "Ann", "en", "standard", "active", ("a@example.com",), old)
    kit.write(lambda tx: tx.people.save_imported([ann]))
    report, bad = load(
        kit,
        file,
        "key,name,email,username,system,external_id\n"
        "bo,Bo,bo@example.com,Ann,builtin,2\n"
        "cy,Cy,cy@example.com,cy,erp,77\n"
        "di,Di,di@example.com,di,builtin,\n",
    )
    assert [(b.line, b.reason) for b in bad] == [(2, "taken"), (3, "taken")]
    assert counts(report) == (1, 0, 0, 2)


def test_dry_run_says_what_would_happen_and_changes_nothing(kit: Kit, file: Path) -> None:
    text = "name,email\nAnn,ann@example.com\nBo,nothing\n"
    report, bad = load(kit, file, text, dry_run=True)
    assert (counts(report), len(bad)) == ((1, 0, 0, 1), 1)
    assert kit.read(lambda tx: tx.people.match(["ann@example.com"])) == {}
    assert kit.read(lambda tx: log_of(tx).head()[0]) == 0
    assert counts(load(kit, file, text)[0]) == (1, 0, 0, 1)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"PK\x03\x04rest", "workbook"),
        (b"name,email\nAnn,\xff\xff\xff", "line 2 is not UTF-8 \\(byte 0xFF\\)"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "workbook"),
        (b"\n<html><table><tr><td>name", "web page"),
        (b"Ann,ann@example.com\n", "no column for name and email"),
        (b'name,"email\nx', "no column for name and email"),
    ],
)
def test_files_that_cannot_be_used_are_refused_as_a_whole(kit: Kit, file: Path, content: bytes, words: str) -> None:
    with pytest.raises(Unreadable, match=words):
        load(kit, file, content)
    assert kit.read(lambda tx: log_of(tx).head()[0]) == 0


def test_without_a_system_column_there_must_be_a_system_called_builtin(kit: Kit, file: Path) -> None:
    file.write_text("name,email\nAnn,ann@example.com\n")
    with pytest.raises(Unreadable, match="no column for the system"):
        kit.run(import_people(kit.services.db, file, Systems({"crm": "CRM"}), on_bad=lambda _: None))


def test_an_import_ends_the_links_of_whom_it_changes(kit: Kit, file: Path) -> None:
    load(kit, file, "key,name,email\n1,Ann,ann@example.com\n")
    before = one(kit, "ann@example.com").person.security_version
    load(kit, file, "key,name,email,username\n1,Ann,new@example.com,ann@example.com\n")
    after = one(kit, "new@example.com").person
    assert after.security_version > before


def test_a_group_gives_its_people_a_tier(database_url: str, make_kit: Callable[..., Kit], file: Path) -> None:
    kit = make_kit(url=database_url)
    systems = Systems(SYSTEMS.titles, tiers={"Sales operations": "privileged", "财务": "mfa", "Auditors": "mfa"})

    def load_groups(text: str) -> Report:
        file.write_text(text, "utf-8")
        bad: list[BadRow] = []
        report = kit.run(import_people(kit.services.db, file, systems, on_bad=bad.append))
        assert bad == []
        return report

    def tiers(*names: str) -> list[str]:
        return [one(kit, n).person.tier for n in names]

    rows = "name,email,username,部门\nMaya,maya@example.com,maya,Field; ＳＡＬＥＳ  operations\n"
    report = load_groups(rows + "李雷,lilei@example.com,lilei,财务\nOmar,omar@example.com,omar,Field\n")
    assert tiers("maya", "lilei", "omar") == ["privileged", "mfa", "standard"]
    assert report.empty_groups == ("Auditors",)
    # The account stays what the system says that it is; a person who left the group is as everybody.
    assert [a.privileged for a in one(kit, "maya").accounts] == [False]
    load_groups("name,email,username,group\nMaya,maya@example.com,maya,Field\n")
    assert tiers("maya", "lilei") == ["standard", "mfa"]
    # A file that says nothing of groups changes nothing, and a column for the tier may only say more.
    load_groups("name,email,username\n李雷,lilei@example.com,lilei\n")
    load_groups("name,email,username,tier,group\nOmar,omar@example.com,omar,admin,财务\n")
    assert tiers("lilei", "omar") == ["mfa", "privileged"]
    load_groups("name,email,username,group\nOmar,omar@example.com,omar,Field\n")
    assert [a.privileged for a in one(kit, "omar").accounts] == [True]
