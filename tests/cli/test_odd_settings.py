"""Settings and databases as editors, file systems and administrators make them.

What `check` calls ok, `serve` finds ok.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import text

from keyback.settings import Settings, Unsafe
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
    "value", ["8317", ":8317", "127.0.0.1", "127.0.0.1:", "127.0.0.1:http", "127.0.0.1:99999", "127.0.0.1:٨٠٨٠",
     "::1:18773", "http://127.0.0.1:80", "*:80", "256.0.0.1:80", "[zz]:80", "a b:80", "1.2.3:80"],
)  # fmt: skip
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
     "https://[::1", "https://..例.example", "ftp://a", "https://x:0", "https://xn--a.example", "https://a_b.example",
     "https://a b.example", "https://-a.example", "https://256.1.1.1", "https://[fe80::1%25eth0]", "https://a..b",
     "https://*.example.com", "https://a%2eb.example"],
)  # fmt: skip
def test_what_is_no_origin_is_refused(given: str) -> None:
    with pytest.raises(ValidationError, match=re.escape("https://recover.example.com")):
        Settings(public_url=given)


# ── values that are not what they look like ─────────────────────────────────


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ('data_dir = "a\\u0000b"', "data_dir: has a character that nobody can type (U+0000)"),
        ('timezone = "Asia/\\u001b"', "timezone: has a character that nobody can type (U+001B)"),
        ('data_dir = ""', "data_dir: must not be empty"),
        ('data_dir = "~/keyback"', "data_dir: begins with ~"),
        ("[mail]\nport = true", "mail.port: must be a number, not true or false"),
        ("[mail]\ntimeout_s = true", "mail.timeout_s: must be a number"),
        ("connections_per_address = true", "connections_per_address: must be a number"),
        ("[policy]\nhold_only_address_minutes = false", "policy.hold_only_address_minutes: must be a number"),
        ("[policy]\nknown_networks = [true]", "policy.known_networks: must be a list of texts"),
        ("[policy]\nknown_networks = [5]", "policy.known_networks: must be a list of texts"),
        ('[mail]\nport = "587x"', "mail.port: must be a number without quotation marks, such as 587"),
        ("[mail]\nport = 0", "mail.port: must be at least 1"),
        ('[mail]\nsecurity = "ssl"', "mail.security: must be one of 'starttls', 'tls' or 'plain'"),
        ('[mail]\nhost = "smtp.example.com:587"', "mail.host: must be a host name alone"),
        ('[mail]\nhost = "smtp://smtp.example.com"', "mail.host: must be a host name alone"),
        ('mail = "smtp.example.com"', "mail: must be a section of its own: [mail]"),
        ("company = 5", "company: must be a section of its own: [company]"),
        ('trusted_proxies = "10.0.0.7"', "trusted_proxies: must be a list in brackets"),
        ('demo = "perhaps"', "demo: must be true or false"),
        ('[company]\nzh_CN = "青屿"', "company.en: is missing. Add it"),
        ('[mial]\nhost = "x"', "mial: there is no such setting. Did you mean mail?"),
        ('[mail]\nhots = "x"', "mail.hots: there is no such setting. Did you mean mail.host?"),
        ('[password]\npre-set = "nist"', "Did you mean password.preset?"),
        ('[policy]\nhold_mailbox_hour = 3', "Did you mean policy.hold_mailbox_hours?"),
        ('[mail]\nlisten = "127.0.0.1:80"', "mail.listen: there is no such setting. It belongs above the first"),
        ('sender = "kb@example.com"', "sender: there is no such setting. It belongs in the section [mail]."),
        ('zzz = 1', "zzz: there is no such setting. Take it out"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_what_to_write_instead(
    empty_place: Path, keyback: Keyback, value: str, said: str
) -> None:
    (empty_place / "keyback.toml").write_text(value + "\n", "utf-8")
    for command in ("check", "serve"):
        assert said in keyback(command, code=1).output


def test_what_a_secret_is_stays_unsaid(empty_place: Path, keyback: Keyback) -> None:
    (empty_place / "keyback.toml").write_text('[mail]\npassword = "hunter2\\u0000"\nport = "hunter2"\n', "utf-8")
    output = keyback("check", code=1).output
    assert "mail.password" in output
    assert "hunter2" not in output


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("data_dir = “kd”", "Line 2 (data_dir) has typographic quotation marks (“). Type straight ones"),
        ("data_dir = ‘kd’", "typographic quotation marks (‘)"),
        ('data_dir ＝ "kd"', "has the full-width sign ＝. Type = instead."),
        ('data_dir = "kd', "Line 2 (data_dir) opens a quotation mark that is never closed"),
        ("data_dir = kd", "Put text in quotation marks"),
        ("demo = False", "write true and false small"),
        ("listen = 127.0.0.1:8080", "Put text in quotation marks"),
        ('data_dir: "kd"', 'is not of the form: key = "value"'),
        ('data_dir = "kd"\ndata_dir = "hunter2"', "Line 3 (data_dir) sets the same key a second time"),
        ("[mail]\nport = 25\n[mail]\npool = 1", "Line 4 begins a section that is there already"),
        ('data_dir = "C:\\keyback"', "Use single ones: 'C:\\keyback'."),
        ("data_dir = \0", "Line 2 (data_dir) has a control character"),
        ('data_dir = "k\0d"', "has a control character"),
        ('trusted_proxies = ["10.0.0.7"', "Add the missing ]"),
        ("x = " + "[" * 50_000, "nested too deep"),
    ],
)
def test_what_is_no_toml_is_told_with_its_line_and_what_to_type(
    empty_place: Path, keyback: Keyback, content: str, said: str
) -> None:
    (empty_place / "keyback.toml").write_text(f'public_url = "https://recover.example.com"\n{content}\n', "utf-8")
    for command in ("check", "serve"):
        output = keyback(command, code=1).output
        assert said in output
        assert "hunter2" not in output


@pytest.mark.parametrize("end", ["\r", "\r\n", "\n"])
def test_a_settings_file_may_end_its_lines_as_any_editor_does(empty_place: Path, end: str) -> None:
    (empty_place / "keyback.toml").write_bytes(TOML.replace("\n", end).encode())
    assert Settings().company.zh_CN == "青屿仪器"


def test_secrets_in_a_file_with_a_mark_or_odd_line_ends_are_seen(place: Path, keyback: Keyback) -> None:
    file = place / "keyback.toml"
    file.write_bytes(b"\xef\xbb\xbf" + b'[mail]\rpassword = "hunter2"\r')
    file.chmod(0o644)
    place.chmod(0o755)
    assert "can be read by others" in keyback("check", code=1).output


# ── what check calls ok, serve finds ok ─────────────────────────────────────


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LISTEN", "no-such-host.invalid:8317"), ("LISTEN", "192.0.2.7:8317"), ("METRICS_LISTEN", "192.0.2.7:9100"),
        ("LISTEN", "[2001:db8::7]:8317"), ("METRICS_LISTEN", "no-such-host.invalid:9100"),
    ],
)  # fmt: skip
def test_check_tries_what_serve_will_listen_on(
    place: Path, keyback: Keyback, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(f"KEYBACK_{name}", value)
    output = keyback("check", code=1).output
    assert f"bad   {name.lower()}: {value} cannot be listened on" in output
    assert f"Set {name.lower()} to an address and port of this machine." in output


def test_an_address_in_use_is_no_fault_and_one_for_both_is(
    place: Path, keyback: Keyback, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        monkeypatch.setenv("KEYBACK_LISTEN", where)
        monkeypatch.setenv("KEYBACK_METRICS_LISTEN", where)
        output = keyback("check", code=1).output
    assert f"ok    listen: {where} is in use" in output
    assert "bad   metrics_listen: it is the same as listen" in output


@pytest.mark.parametrize("command", ["check", "serve", "migrate"])
@pytest.mark.parametrize("inside", ["", "below"])
def test_a_data_folder_that_is_a_file_is_named(
    place: Path, keyback: Keyback, monkeypatch: pytest.MonkeyPatch, command: str, inside: str
) -> None:
    file = place / "taken"
    file.write_text("x")
    monkeypatch.setenv("KEYBACK_DATA_DIR", str(file / inside))
    assert f"data_dir: {file} is a file, not a folder" in keyback(command, code=1).output


@pytest.mark.slow
@pytest.mark.parametrize(
    ("variable", "said"),
    [
        ("KEYBACK_PUBLC_URL", "Did you mean KEYBACK_PUBLIC_URL?"),
        ("KEYBACK_MIAL__HOST", "Did you mean KEYBACK_MAIL__HOST?"),
        ("KEYBACK_MAIL_HOST", "KEYBACK_MAIL__HOST"),
        ("KEYBACK_XYZ", "Take it out"),
    ],
)
def test_a_variable_that_sets_nothing_is_told(
    place: Path, keyback: Keyback, monkeypatch: pytest.MonkeyPatch, variable: str, said: str
) -> None:
    monkeypatch.setenv(variable, "hunter2")
    output = keyback("check", code=1).output  # no relay answers here
    assert f"{variable} is set, and there is no such setting" in output
    assert said in output
    assert "hunter2" not in output


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


def test_where_passwords_are_kept_must_be_another_system(empty_place: Path) -> None:
    def settings(passwords_in: str) -> Settings:
        more = f'[systems.crm]\nkind = "guided"\ntitle = "CRM"\npasswords_in = "{passwords_in}"\n'
        own = '[systems.builtin]\nkind = "builtin"\ntitle = "Keyback"\n'
        (empty_place / "keyback.toml").write_text(f"{TOML}{own}{more}", encoding="utf-8")
        return Settings()

    found = settings("builtin").systems["crm"]
    assert found.passwords_in == "builtin"
    assert "passwords_in" not in found.options, "it is not the connector's"
    for wrong in ("nowhere", "crm"):
        with pytest.raises(
            ValidationError, match=f"systems.crm.passwords_in: there is no other system called '{wrong}'"
        ):
            settings(wrong)


def test_a_shared_counter_without_its_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    from keyback.settings_sections import Limits
    from keyback.web.http import rate_limits

    for name in [n for n in sys.modules if n.partition(".")[0] == "valkey"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "valkey", None)
    monkeypatch.setitem(sys.modules, "valkey.asyncio", None)
    monkeypatch.setattr(rate_limits, "find_spec", lambda name: None)
    with pytest.raises(Unsafe, match=r"pip install 'keyback\[valkey\]'"):
        rate_limits.Limiter(Limits(), "valkey://valkey.example.com:6379/0")
