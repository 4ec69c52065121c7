"""`keyback connector`: what is declared, what works, and a section that is asked for, tried and written."""

from __future__ import annotations

import json
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from keyback.application.ports.connectors import Capabilities
from keyback.cli import connectors
from keyback.registry import CONNECTORS, OWN
from keyback.testing.demo_crm import DemoCrm
from keyback.testing.serving import served
from tests.support import user_tables
from tests.support.commands import Keyback
from tests.support.selfhosted import yudao
from tests.support.user_tables import TableServer

TOKEN = "a-token-of-the-demo-0815"


@pytest.fixture
def crm() -> Iterator[str]:
    app = DemoCrm(None, TOKEN)
    app.add_user("alice", "alice@example.com", "Alice", "an older one")
    with served(app) as url:
        yield url


@pytest.fixture
def config(place: Path) -> Path:
    path = place / "keyback.toml"
    path.write_text('default_locale = "en"\n', "utf-8")
    path.chmod(0o600)
    return path


def test_every_kind_says_what_it_can_do(keyback: Keyback, config: Path) -> None:
    rows = json.loads(keyback("connector", "list", "--kinds", "--json").stdout)
    assert {r["name"] for r in rows} == set(OWN[CONNECTORS])
    assert all(set(r["capabilities"]) == set(Capabilities.__slots__) for r in rows), rows
    ldap = next(r for r in rows if r["name"] == "ldap")
    assert (ldap["capabilities"]["unlock"], ldap["capabilities"]["revoke_sessions"]) == ("native", "none")
    assert "unlock (native)" in keyback("connector", "list", "--kinds").stdout


def test_a_section_is_asked_for_tried_and_written(keyback: Keyback, config: Path, crm: str) -> None:
    asked = "\n".join(["Demo CRM", crm, "", TOKEN]) + "\n"
    done = keyback("connector", "add", "crm", "--kind", "demo", text=asked)
    section = tomllib.loads(config.read_text("utf-8"))["systems"]["crm"]
    assert (section["kind"], section["title"], section["url"]) == ("demo", "Demo CRM", crm)
    assert TOKEN not in config.read_text("utf-8")
    file = Path(section["secret_file"])
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == (TOKEN + "\n", 0o600)
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert "Added systems.crm" in done.stdout

    assert "one account, active" in keyback("connector", "test", "crm", "--sample", "alice").stdout
    listed = json.loads(keyback("connector", "list", "--json").stdout)
    assert {r["name"]: r["kind"] for r in listed}["crm"] == "demo"
    assert "already" in keyback("connector", "add", "crm", "--kind", "demo", code=2, text=asked).output


def test_what_cannot_be_taken_is_asked_for_again_and_nothing_else(keyback: Keyback, config: Path, crm: str) -> None:
    asked = "\n".join(["Demo CRM", "http://crm.example.com", "", TOKEN, crm]) + "\n"
    done = keyback("connector", "add", "crm", "--kind", "demo", text=asked)
    assert "sign_in_url: where people sign in" in done.stdout
    assert "the url must be https://" in done.output
    assert tomllib.loads(config.read_text("utf-8"))["systems"]["crm"]["url"] == crm


def test_what_does_not_work_is_not_written_unasked(keyback: Keyback, config: Path, crm: str) -> None:
    before = config.read_text("utf-8")
    asked = "\n".join(["Demo CRM", crm, "", "another token"]) + "\n"
    done = keyback("connector", "add", "crm", "--kind", "demo", code=2, text=asked)
    assert "auth_expired" in done.stdout
    assert config.read_text("utf-8") == before
    assert not (config.parent / "crm-secret").exists()
    keyback("connector", "add", "crm", "--kind", "demo", "--yes", text=asked)
    tried = keyback("connector", "test", "crm", "--json", code=1)
    assert [line["status"] for line in json.loads(tried.stdout)] == ["bad"]
    keyback("connector", "test", "nowhere", code=2)


@pytest.mark.parametrize(
    "kind, names",
    [
        ("fxiaoke", {"sign_in_url", "app_id", "permanent_code_file", "user_id"}),
        ("odoo", {"sign_in_url", "url", "database", "login"}),
        ("zoho", {"sign_in_url", "client_id", "refresh_token_file"}),
    ],
)
def test_what_a_kind_needs_is_asked_for_a_second_secret_by_its_file(
    monkeypatch: pytest.MonkeyPatch, kind: str, names: set[str]
) -> None:
    asked: list[str] = []

    def prompt(name: str, **_: object) -> str:
        asked.append(name)
        return "x"

    monkeypatch.setattr(click, "prompt", prompt)
    section = connectors._asked(connectors.class_of(kind).options_model)
    assert names == set(asked) == set(section)


def test_what_a_recipe_leaves_to_the_section_is_asked_for(keyback: Keyback, config: Path) -> None:
    system = yudao.Yudao()
    system.add("alice", "alice@example.com", "an older one")
    with served(system) as url:
        asked = "\n".join(["In-house", url, "yudao", "", yudao.LOGIN, yudao.TENANT, "1,7", yudao.SECRET]) + "\n"
        said = keyback("connector", "add", "crm", "--kind", "http", text=asked).stdout
        section = tomllib.loads(config.read_text("utf-8"))["systems"]["crm"]
        assert (section["login"], section["values"]) == (yudao.LOGIN, {"admin_roles": "1,7"}), said
        assert "one account, active" in keyback("connector", "test", "crm", "--sample", "alice").stdout
        asked = "\n".join(["In-house", url, "nosuch", ""]) + "\n"
        assert "none is called" in keyback("connector", "add", "other", "--kind", "http", text=asked, code=2).stderr


@pytest.fixture(params=["sqlite", *(pytest.param(kind, marks=pytest.mark.slow) for kind in ("postgresql", "mysql"))])
def tables(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TableServer]:
    made = user_tables.STARTS[request.param](tmp_path)
    made.make_tables()
    yield made
    made.stop()


@pytest.mark.slow
def test_a_table_of_users_is_asked_for_tried_and_written(keyback: Keyback, config: Path, tables: TableServer) -> None:
    tables.add_user("alice", "alice@example.com", "an older one")
    file = not tables.port
    ca_file = str(tables.tls.ca) if tables.tls else ""
    columns = ["crm_users", "login", "email", "pw_hash", "bcrypt", "role=admin,owner"]
    account = ["" if file else user_tables.SERVICE, ca_file]
    secret = [] if file else [user_tables.SERVICE_PASSWORD]
    asked = "\n".join(["In-house", tables.url, *account, *columns, "", *secret]) + "\n"
    said = keyback("connector", "add", "crm", "--kind", "sql", text=asked).stdout
    assert "Added systems.crm" in said
    section = tomllib.loads(config.read_text("utf-8"))["systems"]["crm"]
    assert (section["url"], section["table"], section["privileged"]) == (tables.url, "crm_users", "role=admin,owner")
    assert user_tables.SERVICE_PASSWORD not in config.read_text("utf-8")
    assert ("secret_file" in section) is not file

    assert "one account, active" in keyback("connector", "test", "crm", "--sample", "alice").stdout
    assert tables.signs_in("alice", "an older one"), "looking changes nothing"
    keyback("connector", "test", "crm", "--sample", "alice", "--recover", "--yes")
    assert not tables.signs_in("alice", "an older one")

    wrong = [*columns[:3], "password", *columns[4:]]
    asked = "\n".join(["In-house", tables.url, *account, *wrong, "", *secret]) + "\n"
    before = config.read_text("utf-8")
    assert "bad" in keyback("connector", "add", "other", "--kind", "sql", text=asked, code=2).stdout
    assert config.read_text("utf-8") == before
    assert not (config.parent / "other-secret").exists()


def test_a_recipe_is_checked_and_tried_out_on_a_test_user(keyback: Keyback, config: Path, crm: str) -> None:
    assert "No mistakes." in keyback("connector", "check-recipe", "demo").stdout
    bad = config.parent / "bad.toml"
    bad.write_text('format = 1\n[auth]\nkind = "bearerr"\n', "utf-8")
    said = keyback("connector", "check-recipe", str(bad), code=1).stdout
    assert "line 3: auth.kind" in said
    assert "did you mean bearer?" in said
    assert json.loads(keyback("connector", "check-recipe", str(bad), "--json", code=1).stdout)[0]["line"] == 1
    said = keyback("connector", "check-recipe", str(bad), "--lang", "zh", code=1).stdout
    assert "第3行：auth.kind：'bearerr'不在可选值中" in said
    assert "是不是想写bearer" in said
    bad.write_bytes("# 客户系统\nformat = 1\n".encode("gbk"))
    assert keyback("connector", "check-recipe", str(bad), code=1).stdout.startswith(
        f"{bad}: line 1: the file is not UTF-8"
    )
    assert keyback("connector", "check-recipe", "nosuch", code=1).stderr

    section = f'\n[systems.crm]\nkind = "http"\ntitle = "CRM"\nurl = "{crm}"\nrecipe = "demo"\nsecret = "{TOKEN}"\n'
    config.write_text(config.read_text("utf-8") + section, "utf-8")
    said = keyback("connector", "test", "crm", "--sample", "alice").stdout
    assert "POST /api/find [Authorization: •••]" in said
    assert TOKEN not in said
    said = keyback("connector", "test", "crm", "--sample", "alice", "--recover", "--yes").stdout
    assert "set: done" in said
    assert "confirm: done" in said
    assert '"password": "•••"' in said
    assert "--sample" in keyback("connector", "test", "crm", "--recover", "--yes", code=2).output
