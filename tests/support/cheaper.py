"""What tests would otherwise pay for again: templates are compiled once, hashes are cheap, databases lie in memory,
keys are read and packages looked through once.

Each Keyback compiles the templates of mails and pages anew, as they are needed;
each HTTP client reads this machine's certificates. A process does that once; the tests start hundreds, and the same
text compiles to the same code.
"""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import sqlite3
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoints, entry_points
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

import httpx2._transports.asgi as in_process
import httpx2._transports.default as transports
from jinja2.environment import Environment
from joserfc._rfc7517 import pem
from sqlalchemy import Engine

from keyback import registry
from keyback.application.passwords.hashing import FLOOR_KIB
from keyback.connectors.sql import hashes
from keyback.storage.migrate import head, migrate

MEMORY, ROOM = Path("/dev/shm"), 2 << 30  # containers may have 64 MiB of it

# A sixth of the work that the floor of the settings asks for, where a test is not about hashes.
CHEAP: Final = {"argon2_t": 1, "argon2_m_kib": 6 * 1024, "memory_budget_mib": 64}

# What new hashes in tables of other applications cost at least: the cheapest that is of each form.
CHEAP_TABLES: Final = {"_BCRYPT_COST": 4, "_PBKDF2_ROUNDS": 1000, "_PHPASS_ROUNDS": 7, "_ARGON2_MEMORY": 1024}

_REAL: Final = {name: getattr(hashes, name) for name in CHEAP_TABLES}

_compile = Environment.compile
_compiled: dict[Any, Any] = {}


def _compile_once(self: Environment, source: Any, name: Any = None, filename: Any = None, *more: Any) -> Any:
    # Filters are worked out for constants, and some are of one language.
    how = (self.autoescape, self.trim_blocks, self.lstrip_blocks, self.undefined, self.globals.get("lang"))
    key = (source, name, filename, more, how)
    if key not in _compiled:
        _compiled[key] = _compile(self, source, name, filename, *more)
    return _compiled[key]


_context = transports.create_ssl_context
_contexts: dict[Any, Any] = {}


def _context_once(verify: Any = True, cert: Any = None, trust_env: bool = True) -> Any:
    if verify is not True or cert:
        return _context(verify, cert, trust_env)
    named = tuple(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR")) if trust_env else ()
    if named not in _contexts:
        _contexts[named] = _context(verify, cert, trust_env)
    return _contexts[named]


@functools.cache
def _found(places: Any, params: Any) -> EntryPoints:
    return entry_points(**dict(params))


def _entry_points_once(**params: str) -> EntryPoints:
    """Every package's file is opened with each look; a folder that got or lost a package has another time."""
    places = tuple((p, os.stat(p).st_mtime_ns) for p in sys.path if os.path.isdir(p))
    return _found(places, tuple(params.items()))


_migrated: list[sqlite3.Connection] = []


def migrate_once(engine: Engine) -> tuple[str | None, str]:
    """As `migrate`. An empty file of SQLite gets what the first of them became; it would become the same."""
    if engine.dialect.name != "sqlite":
        return migrate(engine)
    with engine.connect() as conn:
        own: Any = conn.connection.dbapi_connection
        if own.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]:
            conn.close()
            return migrate(engine)
        if not _migrated:
            conn.close()
            done = migrate(engine)
            with engine.connect() as conn:
                _migrated.append(sqlite3.connect(":memory:", check_same_thread=False))
                own = conn.connection.dbapi_connection
                own.backup(_migrated[0])
            return done
        _migrated[0].backup(own)
    return None, head()


def once() -> None:
    """From here on, templates are compiled once, and certificates of this machine, private keys and
    lists of packages read once. Hashes in tables of other applications are cheap, but within `real_hashes`."""
    registry.entry_points = _entry_points_once  # type: ignore[assignment]
    pem.load_pem_private_key = functools.cache(pem.load_pem_private_key)  # an RSA key's primes are tried each time
    for name, least in CHEAP_TABLES.items():
        setattr(hashes, name, (least, getattr(hashes, name)[1]))
    Environment.compile = _compile_once  # type: ignore[method-assign, assignment]
    transports.create_ssl_context = _context_once
    in_process.is_running_trio = lambda: False  # it looks for a module that isn't there with every request


def in_memory() -> Path | None:
    """A folder in memory with room for databases, or None: a new database of PostgreSQL is 300 new files."""
    usable = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
    return MEMORY if usable else None


@contextlib.contextmanager
def cheap_hashing() -> Iterator[None]:
    """A gate that is built in this block may be as cheap as `CHEAP`."""
    with patch.dict(FLOOR_KIB, {1: CHEAP["argon2_m_kib"]}):
        yield


@contextlib.contextmanager
def real_hashes() -> Iterator[None]:
    """What a hash in a table of another application costs in this block is what it costs in earnest."""
    with contextlib.ExitStack() as stack:
        for name, bounds in _REAL.items():
            stack.enter_context(patch.object(hashes, name, bounds))
        yield
