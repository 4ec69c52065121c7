"""The connector `sql` on real databases: the contract suite, one row and no other, names that are statements."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import bcrypt
import psycopg
import pytest

from keyback.application.ports.connectors import Step, Unavailable
from keyback.connectors.sql import SqlConnector
from keyback.domain.secret import Secret
from keyback.testing.connectors import NEW, OLD, ConnectorContract, FaultyProxy, OverProxy, Traits, plan
from tests.support.user_tables import LIMIT, SERVICE, STARTS, TableServer

KINDS = ["sqlite", "postgresql", "mysql"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module", params=[KINDS[0], *(pytest.param(kind, marks=pytest.mark.slow) for kind in KINDS[1:])])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TableServer]:
    made = STARTS[request.param](tmp_path_factory.mktemp("tables"))
    yield made
    made.stop()


@dataclass
class SqlHarness(OverProxy):
    server: TableServer
    proxy: FaultyProxy
    port: int | None
    connector: SqlConnector
    traits: Traits

    async def add_user(self, username: str, mail: str, *, privileged: bool = False, disabled: bool = False) -> str:
        add = self.server.add_user
        return await asyncio.to_thread(add, username, mail, OLD, privileged=privileged, disabled=disabled)

    async def open_session(self, username: str, password: str) -> Callable[[], Awaitable[bool]] | None:
        if not await asyncio.to_thread(self.server.signs_in, username, password):
            return None
        session = await asyncio.to_thread(self.server.open_session, username)

        async def alive() -> bool:
            return await asyncio.to_thread(self.server.session_lives, session)

        return alive

    async def lock(self, external_id: str) -> None:
        await self.run("UPDATE crm_users SET failures = %s WHERE id = %s", LIMIT, int(external_id))

    async def must_change(self, username: str, password: str) -> bool:
        ((flag,),) = await self.run("SELECT must_change FROM crm_users WHERE login = %s", username)
        return bool(flag) and await self.open_session(username, password) is not None

    async def changes(self, external_id: str) -> int:
        ((count,),) = await self.run("SELECT changes FROM crm_users WHERE id = %s", int(external_id))
        return int(count)

    async def renew(self, **more: Any) -> None:
        await self.connector.close()
        self.connector = SqlConnector.from_options("crm", "CRM", self.server.section(self.port, **more))

    async def run(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        return await asyncio.to_thread(self.server.run, text, *values)


@pytest.fixture
async def harness(server: TableServer) -> AsyncIterator[SqlHarness]:
    await asyncio.to_thread(server.make_tables)
    mysql = server.kind == "mysql"
    # There it is a command of type 3; SET AUTOCOMMIT is another.
    marker = b"\x03COMMIT" if mysql else b"COMMIT"
    proxy = FaultyProxy(("127.0.0.1", server.port), marker, http=False, greets=mysql)
    async with proxy.running() as url:
        port = int(url.rpartition(":")[2]) if server.port else None
        connector = SqlConnector.from_options("crm", "CRM", server.section(port))
        made = SqlHarness(server, proxy, port, connector, Traits(policy=False, network=port is not None))
        yield made
        await made.connector.close()


class TestSql(ConnectorContract):
    async def test_one_change_does_it_all_to_one_row(self, harness: SqlHarness) -> None:
        key, other = await harness.add_user("one", "one@example.com"), await harness.add_user("two", "two@example.com")
        await harness.lock(key)
        await harness.lock(other)
        before = await harness.run("SELECT * FROM crm_users WHERE id = %s", int(other))
        done = await harness.connector.apply(plan(key, "one", must_change=True))
        assert [(o.step, o.status) for o in done] == [(s, "done") for s in Step if s.value in CHANGED]
        assert await harness.run("SELECT * FROM crm_users WHERE id = %s", int(other)) == before
        ((moment, salary),) = await harness.run("SELECT changed_at, salary FROM crm_users WHERE id = %s", int(key))
        assert moment is not None
        assert salary is None

    async def test_a_list_tells_mobile_numbers(self, harness: SqlHarness) -> None:
        keys = [await harness.add_user(name, f"{name}@example.com") for name in ("maya", "omar")]
        await harness.run("UPDATE crm_users SET mobile = %s WHERE id = %s", "+86 138 0013 8000", int(keys[0]))
        listed = {a.external_id: a.phones async for page in harness.connector.list_accounts() for a in page}
        assert [listed[k] for k in keys] == [("+86 138 0013 8000",), ()]

    async def test_a_list_tells_groups(self, harness: SqlHarness) -> None:
        keys = [await harness.add_user(name, f"{name}@example.com") for name in ("maya", "omar")]
        await harness.run("UPDATE crm_users SET team = %s WHERE id = %s", "Sales; East ;", int(keys[0]))
        listed = {a.external_id: a.groups async for page in harness.connector.list_accounts() for a in page}
        assert [listed[k] for k in keys] == [("Sales", "East"), ()]

    async def test_unlocking_alone_leaves_password_and_sessions(self, harness: SqlHarness) -> None:
        key = await harness.add_user("opened", "opened@example.com")
        session = await harness.open_session("opened", OLD)
        await harness.lock(key)
        (found,) = await harness.connector.find("opened")
        assert found.state == "locked"
        assert await harness.connector.verify("opened", Secret(OLD)) is None
        done = await harness.connector.apply(replace(plan(key, "opened"), new_password=None))
        assert [(o.step, o.status) for o in done] == [(Step.GUARD, "done"), (Step.UNLOCK, "done")]
        assert session is not None
        assert await session()
        assert await harness.changes(key) == 0
        assert await harness.open_session("opened", OLD)

    async def test_tables_without_transactions_are_told(self, harness: SqlHarness) -> None:
        if harness.server.kind == "mysql":
            assert {line.status for line in await harness.connector.check()} == {"ok"}
            for table in ("crm_users", "crm_sessions"):
                await harness.run(f"ALTER TABLE {table} ENGINE = MyISAM")
        told = [line for line in await harness.connector.check() if "no transactions" in line.text]
        names = [line.text.partition(" ")[0] for line in told if line.status == "bad" and "InnoDB" in line.advice]
        assert names == (["crm_users", "crm_sessions"] if harness.server.kind == "mysql" else [])

    @pytest.mark.covers("N9")
    async def test_privileges_in_another_table_and_unsaid_ones_count(self, harness: SqlHarness) -> None:
        owner = await harness.add_user("owner", "owner@example.com")
        await harness.run("INSERT INTO crm_roles VALUES (%s, 'agent')", int(owner))
        await harness.run("INSERT INTO crm_roles VALUES (%s, 'Owner')", int(owner))
        unsaid = await harness.add_user("unsaid", "unsaid@example.com")
        await harness.run("UPDATE crm_users SET role = NULL WHERE id = %s", int(unsaid))
        for key, name in ((owner, "owner"), (unsaid, "unsaid")):
            assert [a.privileged for a in await harness.connector.find(name)] == [True]
            assert [o.code for o in await harness.connector.apply(plan(key, name))] == ["privileged_target"]
            assert await harness.changes(key) == 0

    async def test_who_has_no_password_here_signs_in_elsewhere(self, harness: SqlHarness) -> None:
        key = await harness.add_user("sso", "sso@example.com")
        for empty in (None, "", "!unusable"):
            await harness.run("UPDATE crm_users SET pw_hash = %s WHERE id = %s", empty, int(key))
            (found,) = await harness.connector.find("sso")
            assert found.sso_only
            assert [o.code for o in await harness.connector.apply(plan(key, "sso"))] == ["synced_elsewhere"]
            assert [f.code for f in await harness.connector.diagnose("sso", key)] == ["sso_only"]

    @pytest.mark.covers("N2", "A-1.2.6", "R-8")
    async def test_names_that_are_statements_find_nobody_and_do_nothing(self, harness: SqlHarness) -> None:
        key = await harness.add_user("victim", "victim@example.com")
        hostile = ("' OR '1'='1", "victim'--", "'; DROP TABLE crm_users; --", "\\' OR 1=1 -- ", "%s", "%(a)s", "vic%",
                   '"', "`", "1 OR 1=1", "\\", "victim\\")  # fmt: skip
        for name in hostile:
            assert list(await harness.connector.find(name)) == []
            assert await harness.connector.verify(name, Secret(OLD)) is False
            done = await harness.connector.apply(plan(f"{key}{name}", name))
            assert [(o.step, o.code) for o in done] == [(Step.GUARD, "not_found")]
        odd = await harness.add_user("o'hara \\ \"%s", "o'hara@example.com")
        assert [a.external_id for a in await harness.connector.find("o'hara \\ \"%s")] == [odd]
        await harness.connector.apply(plan(odd, "o'hara"))
        assert [await harness.changes(k) for k in (key, odd)] == [0, 1]

    async def test_a_name_that_the_columns_have_no_letters_for_is_nobodys(self, harness: SqlHarness) -> None:
        """Old tables are in latin1, GBK or MySQL's utf8mb3."""
        key = await harness.add_user("maya", "maya@example.com")
        for charset in ("latin1", "gbk", "ascii", "utf8mb3") if harness.server.kind == "mysql" else ("",):
            for column, length in (("login", 80), ("email", 120), ("pw_hash", 255)) if charset else ():
                text = f"varchar({length}) CHARACTER SET {charset} {'NOT NULL' if column == 'login' else ''}"
                await harness.run(f"ALTER TABLE crm_users MODIFY {column} {text}")
            for name in ("客户", "😀", "ÿ", "\ud800", "maya\u0301"):
                assert list(await harness.connector.find(name)) == [], (charset, name)
                assert await harness.connector.verify(name, Secret(OLD)) is False, (charset, name)
            assert [a.external_id for a in await harness.connector.find("maya")] == [key]
            done = await harness.connector.apply(plan(key, "maya", job_id=f"job-{charset}"))
            assert (done[-1].step, done[-1].status) == (Step.CONFIRM, "done")

    async def test_keys_of_bytes_and_numbers_for_names(self, harness: SqlHarness) -> None:
        blob = {"mysql": "BINARY(16)", "postgresql": "bytea"}.get(harness.server.kind, "blob")
        number = "bigint"
        await harness.run("DROP TABLE IF EXISTS crm_staff")
        await harness.run(f"CREATE TABLE crm_staff (id {blob} NOT NULL, no {number}, h varchar(255), role varchar(9))")
        stored = bcrypt.hashpw(OLD.encode(), bcrypt.gensalt(4)).decode()
        for raw, no in ((b"\xff\x00\xfe" + b"\x11" * 13, 4711), (b"\xff\x00\xfd" + b"\x11" * 13, 4712)):
            await harness.run("INSERT INTO crm_staff VALUES (%s, %s, %s, 'agent')", raw, no, stored)
        await harness.run("INSERT INTO crm_staff VALUES (%s, NULL, NULL, 'agent')", b"no-name-no-pass-")
        if harness.server.kind != "sqlite":
            host = "@'127.0.0.1'" if harness.server.kind == "mysql" else ""
            await harness.run(f"GRANT SELECT, UPDATE ON crm_staff TO {SERVICE}{host}")
        plain = {
            "mail_column": None,
            "mobile_column": None,
            "group_column": None,
            "name_column": None,
            "must_change_column": None,
            "changed_at_column": None,
        }
        rules = {"disabled": [], "locked": [], "sessions": [], "privileged": [{"column": "role", "values": ["admin"]}]}
        await harness.renew(table="crm_staff", username_column="no", hash_column="h", **plain, **rules)
        (found,) = await harness.connector.find("4711")
        assert found.external_id == "0xff00fe" + "11" * 13
        assert list(await harness.connector.find("maya")) == []
        done = await harness.connector.apply(plan(found.external_id, "4711"))
        assert (done[-1].step, done[-1].status) == (Step.CONFIRM, "done")
        assert [await harness.connector.verify(no, Secret(NEW)) for no in ("4711", "4712")] == [True, False]
        listed = [a async for page in harness.connector.list_accounts() for a in page]
        assert sorted((a.username, a.sso_only) for a in listed) == [("", True), ("4711", False), ("4712", False)]

    async def test_a_trigger_that_swallows_the_change_is_seen(self, harness: SqlHarness) -> None:
        key = await harness.add_user("swallowed", "swallowed@example.com")
        if harness.server.kind == "sqlite":
            await harness.run(
                "CREATE TRIGGER swallow BEFORE UPDATE OF pw_hash ON crm_users BEGIN SELECT RAISE(IGNORE); END"
            )
        elif harness.server.kind == "postgresql":
            await harness.run(
                "CREATE OR REPLACE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'"
            )
            await harness.run(
                "CREATE TRIGGER aswallow BEFORE UPDATE ON crm_users FOR EACH ROW EXECUTE FUNCTION swallow()"
            )
        else:  # it counts rows that fit; there the hash is looked at
            await harness.run(
                "CREATE TRIGGER swallow BEFORE UPDATE ON crm_users FOR EACH ROW SET NEW.pw_hash = OLD.pw_hash"
            )
        last = (await harness.connector.apply(plan(key, "swallowed")))[-1]
        assert (last.step, last.status, last.code) == (Step.SET, "refused", "not_permitted")
        assert await harness.changes(key) == 0
        assert await harness.open_session("swallowed", OLD)

    @pytest.mark.covers("N11")
    async def test_a_copy_that_only_reads_is_tried_again_later(self, harness: SqlHarness) -> None:
        key = await harness.add_user("copied", "copied@example.com")
        if harness.server.kind == "sqlite":
            return
        if harness.server.kind == "mysql":
            await harness.run("SET GLOBAL read_only = 1")
        else:
            await harness.run(
                "CREATE OR REPLACE FUNCTION readonly() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN RAISE EXCEPTION 'read-only' USING ERRCODE = '25006'; END $$"
            )
            await harness.run("CREATE TRIGGER ro BEFORE UPDATE ON crm_users FOR EACH ROW EXECUTE FUNCTION readonly()")
        last = (await harness.connector.apply(plan(key, "copied")))[-1]
        assert (last.step, last.status, last.code) == (Step.SET, "retry", "unavailable")
        if harness.server.kind == "mysql":
            await harness.run("SET GLOBAL read_only = 0")
        else:
            await harness.run("DROP TRIGGER ro ON crm_users")
        assert await harness.open_session("copied", OLD)
        assert (await harness.connector.apply(plan(key, "copied", attempt=2)))[-1].status == "done"

    @pytest.mark.covers("N12")
    async def test_a_connection_that_ends_before_the_commit_leaves_it_open_and_sets_once(
        self, harness: SqlHarness
    ) -> None:
        key = await harness.add_user("ended", "ended@example.com")
        if harness.server.kind == "sqlite":
            return
        change = harness.connector._change

        def ended(t: Any, what: Any) -> None:
            change(t, what)
            if harness.server.kind == "postgresql":
                harness.server.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", SERVICE)
            else:
                listed = "SELECT id FROM information_schema.processlist WHERE user = %s"
                for (number,) in harness.server.run(listed, SERVICE):
                    harness.server.run(f"KILL {number}")

        harness.connector._change = ended  # type: ignore[method-assign]
        last = (await harness.connector.apply(plan(key, "ended")))[-1]
        assert (last.step, last.status, last.code) == (Step.SET, "uncertain", "unavailable")
        assert await harness.open_session("ended", OLD), "it was undone"
        harness.connector._change = change  # type: ignore[method-assign]
        assert (await harness.connector.apply(plan(key, "ended", attempt=2)))[-1].status == "done"
        assert (await harness.connector.apply(plan(key, "ended", attempt=3)))[-1].status == "done"
        assert await harness.changes(key) == 1

    async def test_two_rows_with_one_key_are_left_alone(self, harness: SqlHarness) -> None:
        for name in ("double", "doubly"):
            await harness.add_user(name, f"{name}@example.com")
        await harness.run("UPDATE crm_users SET full_name = 'same'")
        await harness.renew(
            id_column="full_name", name_column=None, privileged=[{"column": "role", "values": ["admin"]}]
        )
        assert [o.code for o in await harness.connector.apply(plan("same", "double"))] == ["ambiguous"]
        assert await harness.run("SELECT SUM(changes) FROM crm_users") == [(0,)]

    async def test_who_was_changed_at_the_same_moment_is_not_set_over(self, harness: SqlHarness) -> None:
        key = await harness.add_user("raced", "raced@example.com")
        hashing, theirs = harness.connector._hashed, bcrypt.hashpw(b"theirs", bcrypt.gensalt(4)).decode()

        async def meanwhile(password: Secret, before: str) -> str:
            await harness.run("UPDATE crm_users SET pw_hash = %s WHERE id = %s", theirs, int(key))
            return await hashing(password, before)

        harness.connector._hashed = meanwhile  # type: ignore[method-assign]
        last = (await harness.connector.apply(plan(key, "raced")))[-1]
        assert (last.step, last.status) == (Step.SET, "retry")
        assert await harness.open_session("raced", "theirs")

    async def test_a_hash_that_is_cut_off_is_undone(self, harness: SqlHarness) -> None:
        key = await harness.add_user("cut", "cut@example.com")
        await harness.renew(hash_prefix="{bcrypt}" + "x" * 30)
        if harness.server.kind == "sqlite":  # columns have no length there
            await harness.run(
                "CREATE TRIGGER cut AFTER UPDATE OF pw_hash ON crm_users WHEN length(NEW.pw_hash) > 70 "
                "BEGIN UPDATE crm_users SET pw_hash = substr(NEW.pw_hash, 1, 70) WHERE id = NEW.id; END"
            )
        else:
            how = (
                "MODIFY pw_hash varchar(70)"
                if harness.server.kind == "mysql"
                else "ALTER COLUMN pw_hash TYPE varchar(70)"
            )
            await harness.run(f"ALTER TABLE crm_users {how}")
        last = (await harness.connector.apply(plan(key, "cut")))[-1]
        assert (last.step, last.status, last.code) == (Step.SET, "refused", "not_permitted")
        assert await harness.open_session("cut", OLD)
        assert await harness.changes(key) == 0

    async def test_a_password_longer_than_bcrypt_looks_is_refused(self, harness: SqlHarness) -> None:
        key = await harness.add_user("long", "long@example.com")
        last = (await harness.connector.apply(plan(key, "long", "长" * 25)))[-1]
        assert (last.step, last.code) == (Step.SET, "policy_rejected")
        assert "72 bytes" in last.vendor_text
        assert await harness.open_session("long", OLD)

    async def test_check_says_what_is_missing_and_what_is_too_much(self, harness: SqlHarness) -> None:
        assert [line.status for line in await harness.connector.check()] == ["ok", "ok"]
        await harness.renew(sessions=[{"table": "no_such_table", "column": "user_id"}])
        bad = [line for line in await harness.connector.check() if line.status == "bad"]
        assert [line.costs for line in bad] == [("revoke_sessions",)]
        await harness.renew(hash_column="nothing")
        assert [line.status for line in await harness.connector.check()] == ["bad"]
        if harness.server.kind != "sqlite":
            await harness.renew()
            host = "@'127.0.0.1'" if harness.server.kind == "mysql" else ""
            await harness.run(f"GRANT UPDATE ON crm_users TO {SERVICE}{host}")
            (warned,) = [line for line in await harness.connector.check() if line.status == "warn"]
            assert "role" in warned.text


CHANGED = {"guard", "unlock", "set", "must_change", "revoke", "confirm"}


@pytest.mark.anyio
async def test_tls_is_checked_and_never_gone_without(server: TableServer) -> None:
    if server.tls is None:
        assert server.kind == "sqlite"
        return
    await asyncio.to_thread(server.make_tables)
    key = await asyncio.to_thread(server.add_user, "secure", "secure@example.com", OLD)
    good = server.section(ca_file=server.tls.ca)
    for options in (good, {**good, "tls_name": "localhost"}):
        c = SqlConnector.from_options("crm", "CRM", options)
        assert [a.external_id for a in await c.find("secure")] == [key]
        await c.close()
    c = SqlConnector.from_options("crm", "CRM", {**good, "tls_name": "db.example.com"})
    with pytest.raises(Unavailable, match="not reachable"):
        await c.find("secure")
    await c.close()
    async with stripped(server) as port:
        c = SqlConnector.from_options("crm", "CRM", server.section(port, ca_file=server.tls.ca))
        with pytest.raises(Unavailable, match="no TLS" if server.kind == "mysql" else "not reachable"):
            await c.find("secure")
        await c.close()


@pytest.mark.anyio
async def test_a_database_in_an_encoding_of_its_own(server: TableServer) -> None:
    """PostgreSQL alone has one for a whole database."""
    if server.kind != "postgresql":
        return
    for encoding, name in (("LATIN1", "Müller"), ("EUC_CN", "客户"), ("SQL_ASCII", "plain")):
        database = await asyncio.to_thread(one_table, server, encoding, name)
        about = {
            "table": "people",
            "username_column": "login",
            "name_column": "full_name",
            "mail_column": None,
            "mobile_column": None,
            "group_column": None,
        }
        none = {"must_change_column": None, "changed_at_column": None, "disabled": [], "locked": [], "sessions": []}
        rules = {"privileged": [{"column": "role", "values": ["admin"]}]}
        section = server.section(**about, **none, **rules)
        section["url"] = str(section["url"]).replace("/postgres", f"/{database}")
        c = SqlConnector.from_options("crm", "CRM", section)
        assert [a.name for a in await c.find("maya")] == [name]
        for nobody in ("客户", "😀", "ÿ"):
            assert list(await c.find(nobody)) == [], (encoding, nobody)
        assert (await c.apply(plan("1", "maya")))[-1].status == "done"
        await c.close()


def one_table(server: TableServer, encoding: str, name: str) -> str:
    """A database of this encoding with one person; gives its name."""
    where: dict[str, Any] = {"host": str(server._folder), "port": server.port, "user": "postgres"}  # type: ignore[attr-defined]
    made = f"in_{encoding.lower()}"
    with psycopg.connect(**where, dbname="postgres", autocommit=True) as c:
        c.execute(f"CREATE DATABASE {made} ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")  # type: ignore[call-overload]
    with psycopg.connect(**where, dbname=made, autocommit=True) as c:
        if encoding != "SQL_ASCII":
            c.execute("SET client_encoding TO 'UTF8'")
        columns = "login varchar(80), full_name varchar(80), pw_hash text, role text"
        c.execute(f"CREATE TABLE people (id serial PRIMARY KEY, {columns})")  # type: ignore[call-overload]
        values = (name, bcrypt.hashpw(OLD.encode(), bcrypt.gensalt(4)).decode())
        c.execute("INSERT INTO people (login, full_name, pw_hash, role) VALUES ('maya', %s, %s, 'agent')", values)
        c.execute(f"GRANT SELECT, UPDATE ON people TO {SERVICE}")  # type: ignore[call-overload]
    return made


@contextlib.asynccontextmanager
async def stripped(server: TableServer) -> AsyncIterator[int]:
    """Somebody in between who says that the server has no TLS, and passes everything else on."""

    async def passed_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if server.kind == "postgresql":
            await reader.readexactly(8)  # SSLRequest
            writer.write(b"N")
        up_reader, up_writer = await asyncio.open_connection("127.0.0.1", server.port)

        async def copy(a: asyncio.StreamReader, b: asyncio.StreamWriter, first: bool) -> None:
            with contextlib.suppress(OSError):
                while data := await a.read(65536):
                    if first and server.kind == "mysql":  # CLIENT_SSL of the greeting's capabilities
                        at = data.index(b"\0", 5) + 1 + 4 + 8 + 1
                        flags = int.from_bytes(data[at : at + 2], "little") & ~0x800
                        data = data[:at] + flags.to_bytes(2, "little") + data[at + 2 :]
                    first = False
                    b.write(data)
            b.close()

        await asyncio.gather(copy(up_reader, writer, True), copy(reader, up_writer, False))

    listening = await asyncio.start_server(passed_on, "127.0.0.1", 0)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        listening.close()


@pytest.mark.anyio
async def test_a_wrong_secret_is_named_and_not_shown(server: TableServer) -> None:
    if not server.port:
        return
    c = SqlConnector.from_options("crm", "CRM", server.section(secret="another-Kanarienvogel"))
    with pytest.raises(Unavailable) as raised:
        await c.find("alice")
    assert raised.value.code == "auth_expired"
    assert "Kanarienvogel" not in str(raised.value)
    (line,) = await c.check()
    assert (line.what, line.status) == ("sign_in", "bad")
    await c.close()


@pytest.mark.anyio
async def test_a_database_that_hangs_keeps_no_thread() -> None:
    """More calls than there are threads, one after the other: each ends, and its connection with it."""
    ended: list[int] = []

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(1000):
            pass
        ended.append(1)
        writer.close()

    listening = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    o = SECTION | {"url": f"mysql://127.0.0.1:{port}/crm", "timeout_s": 0.2}
    c = SqlConnector.from_options("crm", "CRM", o)
    c.breaker.missed = lambda: None  # type: ignore[method-assign]
    for _ in range(6):
        with pytest.raises(Unavailable):
            await c.find("alice")
    async with asyncio.timeout(60):
        while len(ended) < 6:
            await asyncio.sleep(0.01)
    await c.close()
    listening.close()


SECTION: dict[str, Any] = {
    "url": "postgresql://db.example.com/crm",
    "login": "keyback",
    "secret": "Dienst-pass-4711-lang",
    "ca_file": "/etc/hosts",
    "table": "users",
    "username_column": "login",
    "hash_column": "pw",
    "hash_format": "bcrypt",
    "privileged": "role = admin, owner",
}


def test_settings_of_a_table() -> None:
    good = SqlConnector.from_options("crm", "CRM", SECTION)
    can = good.capabilities
    assert {str(m) for m in (can.unlock, can.revoke_sessions, can.must_change, can.status)} == {"none"}
    assert good._options.privileged[0].values == ("admin", "owner")
    assert (good._options.host, good._options.port, good._options.database) == ("db.example.com", 5432, "crm")
    for wrong in (
        {"url": "oracle://db.example.com/crm"},
        {"url": "postgresql://db.example.com"},
        {"url": "postgresql:///crm"},
        {"url": "postgresql://keyback:Dienst-pass-4711-lang@db.example.com/crm"},
        {"url": "postgresql://db.example.com/crm?sslmode=disable"},
        {"url": "postgresql://db.example.com:x/crm"},
        {"url": "sqlite://host/crm.db"},
        {"login": ""},
        {"secret": ""},
        {"secret": None},
        {"ca_file": None},
        {"ca_file": "/nowhere/ca.pem"},
        {"table": 'users"; DROP TABLE x; --'},
        {"table": "a.b.c.d"},
        {"table": "users u"},
        {"username_column": "login`"},
        {"hash_column": "pw]"},
        {"hash_column": "login"},
        {"id_column": "1d"},
        {"id_column": "%s"},
        {"hash_format": "md5"},
        {"privileged": []},
        {"privileged": ""},
        {"privileged": [{"column": "role"}]},
        {"privileged": [{"column": "role", "values": ["a"], "filled": True}]},
        {"privileged": [{"column": "role", "values": ["a"], "table": "roles"}]},
        {"locked": [{"column": "state", "values": ["locked"]}]},
        {"sessions": [{"table": "sessions", "column": "1=1 --"}]},
        {"sessions": [{"table": "sessions", "column": "user_id", "of": "mail"}]},
        {"statement": "SELECT 1"},
        {"timeout_s": 0},
    ):
        with pytest.raises((ValueError, OSError)) as raised:
            SqlConnector.from_options("crm", "CRM", {**SECTION, **wrong})
        assert "Dienst-pass" not in str(raised.value)
