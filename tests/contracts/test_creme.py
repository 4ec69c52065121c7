"""The kind `creme`: the contract suite on a real Crème, whom it leaves alone, and its tables on the other databases."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import tomllib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from keyback.application.ports.connectors import Step
from keyback.connectors.sql import CremeConnector
from keyback.domain.secret import Secret
from keyback.testing.connectors import NEW, OLD, ConnectorContract, Traits, by_step, plan
from keyback.testing.creme_server import USER_ADMINISTRATORS, CremeServer, start_creme
from tests.support import creme
from tests.support.commands import Keyback
from tests.support.kit import Kit
from tests.support.real_sync import PEOPLE, RENAMED, follows
from tests.support.user_tables import SERVICE, SERVICE_PASSWORD, STARTS, TableServer

COUNTED = """
CREATE TABLE counted (id integer);
CREATE TRIGGER counting AFTER UPDATE OF password ON creme_core_cremeuser WHEN OLD.password <> NEW.password
BEGIN INSERT INTO counted VALUES (NEW.id); END;
"""


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CremeServer]:
    made = start_creme(tmp_path_factory.mktemp("creme"), creme.programs())
    with contextlib.closing(sqlite3.connect(made.database)) as c:
        c.executescript(COUNTED)
    yield made
    made.stop()


@dataclass
class CremeHarness:
    server: CremeServer
    connector: CremeConnector
    traits: Traits

    async def add_user(self, username: str, mail: str, **more: Any) -> str:
        return await asyncio.to_thread(self.server.add_user, username, mail, OLD, **more)

    async def open_session(self, username: str, password: str) -> Callable[[], Awaitable[bool]] | None:
        session = await asyncio.to_thread(self.server.open_session, username, password)

        async def alive() -> bool:
            assert session
            return await asyncio.to_thread(self.server.session_lives, session)

        return alive if session else None

    async def changes(self, external_id: str) -> int:
        ((count,),) = self.run("SELECT count(*) FROM counted WHERE id = ?", external_id)
        return int(count)

    def run(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.server.database, timeout=30)) as c, c:
            return c.execute(text, values).fetchall()

    async def lock(self, external_id: str) -> None:
        raise AssertionError("Crème locks nobody")


@pytest.fixture
async def harness(server: CremeServer) -> AsyncIterator[CremeHarness]:
    connector = CremeConnector.from_options("crm", "Crème", server.section())
    made = CremeHarness(server, connector, Traits(network=False))
    made.run("DELETE FROM creme_core_cremeuser_roles")
    made.run("DELETE FROM creme_core_cremeuser WHERE username <> 'root'")
    yield made
    await connector.close()


@pytest.mark.slow
class TestCreme(ConnectorContract):
    @pytest.mark.covers("N9")
    async def test_who_may_administer_users_is_privileged_by_whichever_role(self, harness: CremeHarness) -> None:
        await harness.add_user("plain", "plain@example.com")
        await harness.add_user("second", "second@example.com", special=USER_ADMINISTRATORS)
        await harness.add_user("staff", "staff@example.com", staff=True)
        none = await harness.add_user("none", "none@example.com")
        harness.run("UPDATE creme_core_cremeuser SET role_id = NULL WHERE id = ?", none)
        privileged = {name: (await harness.connector.find(name))[0].privileged for name in NAMES}
        assert privileged == {"plain": False, "second": True, "staff": True, "none": True, "root": True}

    async def test_a_team_is_nobody(self, harness: CremeHarness) -> None:
        key = await harness.add_user("team", "team@example.com", team=True)
        assert (
            list(await harness.connector.find("team")) == list(await harness.connector.find("team@example.com")) == []
        )
        assert [o.code for o in await harness.connector.apply(plan(key, "team"))] == ["not_found"]
        assert [a.username async for page in harness.connector.list_accounts() for a in page] == ["root"]

    async def test_digits_alone_are_refused_in_its_words(self, harness: CremeHarness) -> None:
        key = await harness.add_user("alice", "alice@example.com")
        done = await harness.connector.apply(replace(plan(key, "alice"), new_password=Secret("740291836455")))
        assert (done[-1].code, done[-1].vendor_text) == ("policy_rejected", "This password is entirely numeric.")
        assert await harness.open_session("alice", OLD)

    async def test_the_same_password_again_ends_sessions_and_later_tries_promise_nothing(
        self, harness: CremeHarness
    ) -> None:
        key = await harness.add_user("alice", "alice@example.com")
        alive = await harness.open_session("alice", OLD)
        again = replace(plan(key, "alice"), new_password=Secret(OLD))
        assert by_step(await harness.connector.apply(again))[Step.REVOKE].status == "done"
        assert alive is not None
        assert not await alive()
        later = by_step(await harness.connector.apply(replace(again, attempt=2)))
        assert (later[Step.SET].status, later[Step.REVOKE].status) == ("done", "unsupported")
        assert await harness.changes(key) == 1


@pytest.mark.slow
def test_connector_add_asks_for_its_file_tries_it_and_writes_it(
    server: CremeServer, keyback: Keyback, place: Path
) -> None:
    config = place / "keyback.toml"
    config.write_text('default_locale = "en"\n', "utf-8")
    config.chmod(0o600)
    server.add_user("added", "added@example.com", OLD)
    section = server.section()
    asked = "\n".join(["Crème", str(section["url"]), "", "", str(section["sign_in_url"])]) + "\n"
    said = keyback("connector", "add", "crm", "--kind", "creme", text=asked).stdout
    assert "Added systems.crm" in said
    assert "Password, token or secret" not in said, "a file has none"
    written = tomllib.loads(config.read_text("utf-8"))["systems"]["crm"]
    assert written == {"kind": "creme", "title": "Crème", **section}
    assert "one account, active" in keyback("connector", "test", "crm", "--sample", "added").stdout
    keyback("connector", "test", "crm", "--sample", "added", "--recover", "--yes")
    assert server.open_session("added", OLD) is None
    gone = "\n".join(["Crème", "sqlite:///nowhere/creme.db", "", "", ""]) + "\n"
    assert "bad" in keyback("connector", "add", "other", "--kind", "creme", text=gone, code=2).stdout


NAMES = ("plain", "second", "staff", "none", "root")
# What Django makes of Crème's models there (`creme sqlmigrate`), as far as the connector looks at it.
TABLES = (
    "CREATE TABLE creme_core_userrole (id {serial}, name varchar(100) NOT NULL, raw_special_perms {text} NOT NULL)",
    "CREATE TABLE creme_core_cremeuser (id {serial}, password varchar(128) NOT NULL, username varchar(30) NOT NULL, "
    "first_name varchar(100) NOT NULL, last_name varchar(100) NOT NULL, email varchar(254) NOT NULL, is_active boolean "
    "NOT NULL, is_staff boolean NOT NULL, is_superuser boolean NOT NULL, is_team boolean NOT NULL, role_id integer)",
    "CREATE TABLE creme_core_cremeuser_roles (id {serial}, cremeuser_id bigint NOT NULL, userrole_id integer NOT NULL)",
)
GRANTS = Path(__file__).parents[2] / "docs" / "en" / "connectors" / "creme.md"


@pytest.fixture(params=["postgresql", "mysql"])
def tables(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[TableServer]:
    made = STARTS[request.param](tmp_path)
    for table in TABLES:
        made.run(table.format(serial=made.serial, text="longtext" if made.kind == "mysql" else "text"))
    language = {"postgresql": "PostgreSQL", "mysql": "MySQL and MariaDB"}[made.kind]
    block = GRANTS.read_text("utf-8").split(f"### {language}\n")[1].split("```")[1].removeprefix("sql\n")
    for one in block.split(";"):
        if one.strip().startswith(("GRANT SELECT", "GRANT UPDATE")):
            made.run(one.replace("'10.0.0.5'", "'127.0.0.1'"))
    yield made
    made.stop()


@pytest.mark.slow
@pytest.mark.anyio
async def test_with_the_grants_of_its_page_it_works_on_the_other_databases(tables: TableServer) -> None:
    made = "pbkdf2_sha256$1000$salt$" + "A" * 43 + "="
    tables.run("INSERT INTO creme_core_userrole (name, raw_special_perms) VALUES ('Sales', '')")
    columns = "password, username, first_name, last_name, email, is_active, is_staff, is_superuser, is_team, role_id"
    people = {"maya": (True, False, False, False), "boss": (True, False, True, False), "off": (False,) * 4}
    for name, flags in {**people, "team": (True, False, False, True)}.items():
        values = (made, name, name.title(), "Ng", f"{name}@example.com", *flags, 1)
        tables.run(f"INSERT INTO creme_core_cremeuser ({columns}) VALUES ({', '.join(['%s'] * 10)})", *values)
    section = {"url": tables.url, "login": SERVICE, "secret": SERVICE_PASSWORD}
    connector = CremeConnector.from_options("crm", "Crème", section)
    try:
        assert [str(line) for line in await connector.check("maya") if line.status != "ok"] == []
        found = [a async for page in connector.list_accounts() for a in page]
        assert [(a.username, a.name, a.state, a.privileged) for a in found] == [
            ("maya", "Maya Ng", "active", False),
            ("boss", "Boss Ng", "active", True),
            ("off", "Off Ng", "disabled", False),
        ]
        for account in found:
            done = await connector.apply(plan(account.external_id, account.username))
            assert (done[-1].status == "done") is (account.username == "maya")
        assert await connector.verify("maya", Secret(NEW)) is True
        assert await connector.verify("boss", Secret(NEW)) is False
    finally:
        await connector.close()


def test_where_it_can_not_be_is_refused() -> None:
    with pytest.raises(ValueError, match="PostgreSQL, MySQL, MariaDB or SQLite"):
        CremeConnector.from_options("crm", "Crème", {"url": "sqlserver://127.0.0.1/crm", "login": "k", "secret": "s"})
    with pytest.raises(ValueError, match="table"):
        CremeConnector.from_options("crm", "Crème", {"url": "sqlite:///crm.db", "table": "users"})


@pytest.mark.slow
def test_a_sync_follows_a_real_creme(server: CremeServer, make_kit: Callable[..., Kit]) -> None:
    for name in PEOPLE:
        server.add_user(name, f"{name}@example.com", OLD)

    def change(text: str, *values: str) -> None:
        with contextlib.closing(sqlite3.connect(server.database, timeout=30)) as c, c:
            c.execute(f"UPDATE creme_core_cremeuser SET {text} WHERE username = ?", values)

    follows(
        make_kit(),
        CremeConnector.from_options("crm", "Crème", server.section()),
        lambda: change("username = ?", RENAMED, "sync.maya"),
        lambda: change("is_active = 0", "sync.omar"),
    )
