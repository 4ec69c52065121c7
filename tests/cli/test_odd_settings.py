"""Settings and databases as editors, file systems and administrators make them.

What `check` calls ok, `serve` finds ok.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import text

from keyback.settings import Settings
from keyback.storage.database import make_engine
from keyback.storage.health import unfit
from tests.support.commands import Keyback
from tests.support.databases import with_database

pytestmark = pytest.mark.both

TOML = 'public_url = "https://recover.example.com"\n\n[company]\nen = "Qingyu Instruments"\nzh_CN = "青屿仪器"\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_settings_file_is_read_as_its_editor_wrote_it(empty_place: Path, encoding: str) -> None:
    (empty_place / "keyback.toml").write_bytes(TOML.encode(encoding))
    assert Settings().company.zh_CN == "青屿仪器"


@pytest.mark.parametrize("command", ["check", "serve", "migrate"])
@pytest.mark.parametrize("encoding", ["gbk", "big5"])
def test_a_settings_file_in_another_encoding_is_told_with_its_line(
    empty_place: Path, keyback: Keyback, encoding: str, command: str
) -> None:
    (empty_place / "keyback.toml").write_bytes(TOML.encode(encoding, "replace"))
    output = keyback(command, code=1).output
    assert "keyback.toml is not UTF-8: see line 5" in output
    assert "save it as UTF-8" in output


@pytest.mark.parametrize("name", ["kd?b=c", "kd#1", "50%25", "kd&x=;y", "数据"])
def test_a_data_folder_may_have_any_name(empty_place: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("KEYBACK_DATA_DIR", name)
    (empty_place / name).mkdir()
    engine = make_engine(Settings().database)
    with engine.connect() as conn:
        conn.execute(text("CREATE TABLE t (x int)"))
    engine.dispose()
    assert (empty_place / name / "keyback.sqlite").exists()
    assert [p.name for p in empty_place.iterdir()] == [name]


@pytest.mark.parametrize(
    "value", ["8317", ":8317", "127.0.0.1", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:99999", "127.0.0.1:٨٠٨٠"]
)
def test_listen_is_an_address_and_a_port(value: str) -> None:
    with pytest.raises(ValidationError, match="address:port"):
        Settings(listen=value)


@pytest.mark.parametrize("value", ["127.0.0.1:8317", "0.0.0.0:80", "[::1]:0", "localhost:8080", " 127.0.0.1:80 "])
def test_listen_takes_these(value: str) -> None:
    assert Settings(listen=value).listen == value.strip()


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("value", ["proxy.local", "10.0.0.0/33", "10.0.0.1:80", "", "10.0.0.*"])
def test_trusted_proxies_are_addresses(
    value: str, place: Path, keyback: Keyback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYBACK_TRUSTED_PROXIES", f'["10.0.0.7", "{value}"]')
    for command in ("check", "serve"):
        assert "is not an address or a network" in keyback(command, code=1).output


@pytest.mark.parametrize(
    "given, meant",
    [
        ("https://找回.例子.example", "https://xn--zbs73y.xn--fsqu00a.example"),
        ("https://Bücher.example/", "https://xn--bcher-kva.example"),
        ("HTTPS://Recover.Example.COM", "https://recover.example.com"),
        ("https://recover.example.com:443", "https://recover.example.com"),
        ("https://recover.example.com:8443/", "https://recover.example.com:8443"),
        ("http://127.0.0.1:80", "http://127.0.0.1"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        (" https://recover.example.com ", "https://recover.example.com"),
    ],
)
def test_the_public_url_is_kept_as_browsers_send_it(given: str, meant: str) -> None:
    assert Settings(public_url=given).public_url == meant


@pytest.mark.parametrize(
    "given",
    ["recover.example.com", "https://", "https://a/b", "https://a?b", "https://a#b", "https://u@a", "https://a:b",
     "https://[::1", "https://..例.example", "ftp://a"],
)  # fmt: skip
def test_what_is_no_origin_is_refused(given: str) -> None:
    with pytest.raises(ValidationError, match=re.escape("https://recover.example.com")):
        Settings(public_url=given)


# ── PostgreSQL ──────────────────────────────────────────────────────────────


def admin(base: str, *statements: str) -> None:
    engine = make_engine(base).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        for s in statements:
            conn.execute(text(s))
    engine.dispose()


@pytest.fixture
def latin1(postgres_server: str) -> Iterator[str]:
    base = with_database(postgres_server, "postgres")
    admin(base, "CREATE DATABASE kb_latin1 ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    yield with_database(postgres_server, "kb_latin1")
    admin(base, "DROP DATABASE kb_latin1 WITH (FORCE)")


@pytest.fixture
def without_rights(postgres_server: str) -> Iterator[str]:
    """A database whose user may not create tables, as on PostgreSQL 15 and newer."""
    base, name = with_database(postgres_server, "postgres"), "kb_narrow"
    admin(base, f"CREATE DATABASE {name}", "CREATE ROLE kb_narrow LOGIN PASSWORD 'narrow'")
    url = with_database(postgres_server, name)
    admin(url, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    yield url
    admin(base, f"DROP DATABASE {name} WITH (FORCE)", "DROP ROLE kb_narrow")


@pytest.mark.parametrize("command", ["check", "migrate", "serve"])
def test_a_database_that_cannot_hold_every_name(
    command: str, latin1: str, place: Path, keyback: Keyback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYBACK_DATABASE_URL", latin1)
    output = keyback(command, code=1).output
    assert "LATIN1" in output
    assert "createdb --encoding=UTF8" in output


def test_a_user_who_may_not_create_tables_is_told_the_grant(without_rights: str) -> None:
    engine = make_engine(without_rights)

    class AsNarrow:
        dialect = engine.dialect

        def connect(self) -> object:
            conn = engine.connect()
            conn.execute(text("SET SESSION AUTHORIZATION kb_narrow"))
            return conn

    problem = unfit(AsNarrow(), to_migrate=True)  # type: ignore[arg-type]
    assert problem is not None
    assert 'GRANT USAGE, CREATE ON SCHEMA public TO "kb_narrow"' in problem
    assert unfit(AsNarrow(), to_migrate=False) is None  # type: ignore[arg-type]
    engine.dispose()


@pytest.mark.parametrize("command", ["migrate", "init"])
def test_a_schema_of_a_later_version_is_left_as_it_is(
    command: str, place: Path, keyback: Keyback, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEYBACK_DATABASE_URL", database_url)
    engine = make_engine(database_url)
    with engine.connect().execution_options(writes=True) as conn, conn.begin():
        conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    output = keyback(command).output
    assert "9999" in output
    with engine.connect() as conn:
        assert conn.execute(text("SELECT version_num FROM alembic_version")).scalar() == "9999"
    engine.dispose()
