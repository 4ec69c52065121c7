"""A2: who is an administrator, as other systems say it: by a role, a profile, or yes and no."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keyback.application.people.csv_roles import role_of
from keyback.application.people.import_csv import BadRow, Report, Systems, import_people
from keyback.domain.people.person import canonicalize
from tests.support.each import each
from tests.support.kit import Kit

SYSTEMS = Systems({"builtin": "Keyback"}, tiers={"Finance": "mfa"})


@pytest.fixture
def kit(make_kit: Callable[..., Kit]) -> Kit:
    return make_kit()


@pytest.fixture
def load(kit: Kit, tmp_path: Path) -> Callable[..., tuple[Report, list[BadRow]]]:
    def run(content: str, **over: Any) -> tuple[Report, list[BadRow]]:
        file = tmp_path / "people.csv"
        file.write_text(content, "utf-8")
        bad: list[BadRow] = []
        return kit.run(import_people(kit.services.db, file, SYSTEMS, on_bad=bad.append, **over)), bad

    return run


Load = Callable[..., tuple[Report, list[BadRow]]]


def tier(kit: Kit, identifier: str) -> tuple[str, bool]:
    """Of the person, and whether their account has rights."""
    [match] = kit.read(lambda tx: tx.people.match([canonicalize(identifier)]))[canonicalize(identifier)]
    return match.person.tier, match.accounts[0].privileged


@each(
    ("text", "role"),
    [
        ("Superuser", "privileged"), ("Super User", "privileged"), ("SUPER_ADMIN", "privileged"),
        ("Owner", "privileged"), ("Workspace Owner", "privileged"), ("Administrator", "privileged"),
        ("System Administrator", "privileged"), ("SystemAdministrator", "privileged"), ("_SEAT_ADMIN_", "privileged"),
        ("Global Administrator; User", "privileged"), ("Sales User, Billing admin", "privileged"),
        ("User Administrator", "privileged"), ("Administrateur", "privileged"), ("root", "privileged"),
        ("Full access", "privileged"),
        ("管理员", "privileged"), ("超级管理员", "privileged"), ("子管理员", "privileged"),
        ("销售、系统管理员", "privileged"), ("所有者", "privileged"), ("超管", "privileged"), ("Админ", "privileged"),
        ("Standard User", "standard"), ("Read Only", "standard"), ("普通用户", "standard"), ("Non-admin", "standard"),
        ("非管理员", "standard"), ("user; viewer", "standard"), ("-", None), ("Wizard", None), ("User; Wizard", None),
        ("Former administrator", None), ("Product Owner", "standard"), ("Deal owner", None),
        ("大区销售经理", "standard"),
        ("Senior Sales Rep - North", "standard"), ("系统运维", None), ("Administrative", None),
    ],
)  # fmt: skip
def test_a_role_means_rights_or_none_or_is_not_understood(text: str, role: str | None) -> None:
    assert role_of(text) == role


@each(
    ("heading", "cell"),
    [
        ("Role", "Superuser"), ("role", "Owner"), ("Roles", "User;Administrator"), ("Profile", "System Administrator"),
        ("Profile: Name", "System Administrator"), ("User Role", "super-admin"), ("Is Admin", "yes"),
        ("Is Super User", "TRUE"), ("is_superuser", "1"), ("Is Delegated Admin", "TRUE"), ("Permission Set", "Admin"),
        ("User type", "Admin"), ("角色", "超级管理员"), ("角色（必填）", "系统管理员"), ("管理员", "是"),
        ("超级管理员", "√"),
        ("是否子管理员", "是"), ("权限", "管理员"), ("成员角色", "创建者"), ("Admin", "Super Admin"),
        ("Acme Admin?", "yes"), ("门店管理员", "是"), ("Is tenant superuser", "TRUE"), ("Tier", "Superuser"),
    ],
)  # fmt: skip
def test_an_administrator_is_one_under_any_heading(kit: Kit, load: Load, heading: str, cell: str) -> None:
    report, bad = load(f"name,email,{heading}\nAnn,ann@example.com,{cell}\n")
    assert (bad, report.warnings) == ([], ())
    assert tier(kit, "ann@example.com") == ("privileged", True)


@each(
    ("heading", "cell"),
    [("Role", "Wizard"), ("角色", "大掌柜"), ("Profile", "Tier 3"), ("Berechtigung", "Administrator"),
     ("Acme rights", "Super Admin")],
)  # fmt: skip
def test_what_is_not_understood_is_said_aloud(kit: Kit, load: Load, heading: str, cell: str) -> None:
    report, bad = load(f"name,email,{heading}\nAnn,ann@example.com,{cell}\n")
    assert (bad, len(report.warnings)) == ([], 1)
    assert heading in report.warnings[0]
    assert "line 2" in report.warnings[0]
    assert "--ignore" in report.warnings[0]
    assert load(f"name,email,{heading}\nAnn,ann@example.com,{cell}\n", ignore=[heading])[0].warnings == ()


def test_of_several_columns_the_strictest_counts(kit: Kit, load: Load) -> None:
    load("name,email,Is Admin,Is Super Admin,Role\nAnn,ann@example.com,no,yes,User\nBo,bo@example.com,no,no,Owner\n")
    assert tier(kit, "ann@example.com") == tier(kit, "bo@example.com") == ("privileged", True)


def test_a_role_that_is_not_understood_takes_no_rights_away_and_a_group_still_counts(kit: Kit, load: Load) -> None:
    load("name,email,role\nAnn,ann@example.com,Owner\nBo,bo@example.com,User\n")
    load("name,email,role,group\nAnn,ann@example.com,Wizard,Finance\nBo,bo@example.com,Wizard,Finance\n")
    assert tier(kit, "ann@example.com") == ("privileged", True)
    assert tier(kit, "bo@example.com") == ("mfa", False)
    load("name,email,role\nAnn,ann@example.com,Standard User\n")
    assert tier(kit, "ann@example.com") == ("standard", False)


def test_an_administrator_of_an_office_is_only_noted(kit: Kit, load: Load) -> None:
    report, _ = load("name,email,Job title\nAnn,ann@example.com,Administrator\n")
    assert (report.warnings, tier(kit, "ann@example.com")) == ((), ("standard", False))
    assert any("Job title" in n for n in report.notes)
