"""Bringing a database to this version's schema, step by step (expand, then contract in a later version)."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, Engine, inspect, text

if TYPE_CHECKING:
    from alembic.config import Config

HERE = Path(__file__).parent / "migrations"
# How each step says what it is and what it follows. Alembic would run all of them to ask, and be imported for it: a
# third of a start.
STEP = re.compile(r'^(down_)?revision\b[^=\n]*=\s*(?:"(\w+)"|None)', re.M)
TABLE = "alembic_version"
LOCK = 0x6B657962  # 'keyb': one node migrates at a time


def _config(conn: Connection | None = None) -> Config:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(HERE))
    config.attributes["connection"] = conn
    return config


@cache  # every migration has to be read for it, and they stay what they are
def _revisions() -> tuple[str, frozenset[str]]:
    """The newest revision that this version knows, and all of them."""
    known, followed = set[str](), set[str]()
    for file in (HERE / "versions").glob("*.py"):
        for before, name in STEP.findall(file.read_text(encoding="utf-8")):
            (followed if before else known).add(name)
    heads = known - followed
    return max(heads, default=""), frozenset(known)


def head() -> str:
    """The newest revision that this version knows."""
    return _revisions()[0]


def current(engine: Engine) -> str | None:
    """The revision that the database is at; None for an empty one."""
    with engine.connect() as conn:
        return _at(conn)


def _at(conn: Connection) -> str | None:
    if not inspect(conn).has_table(TABLE):
        return None
    found = conn.execute(text(f"SELECT version_num FROM {TABLE}")).scalar()  # noqa: S608 - our own name
    return str(found) if found is not None else None


def knows(revision: str | None) -> bool:
    """Whether this version knows a revision; it runs beside later ones that it does not know."""
    return revision is None or revision in _revisions()[1]


def migrate(engine: Engine) -> tuple[str | None, str]:
    """Runs what is missing, in one transaction; (revision before, revision after). A schema that a later version has
    made is left as it is."""
    with engine.connect().execution_options(writes=True) as conn, conn.begin():
        if conn.dialect.name == "postgresql":
            conn.execute(text("SELECT pg_advisory_xact_lock(:k)"), {"k": LOCK})
        before = _at(conn)
        if before is not None and not knows(before):
            return before, before
        from alembic import command

        command.upgrade(_config(conn), "head")
    return before, head()


def make_revision(engine: Engine, message: str) -> None:
    """Writes a new migration from the difference between the schema and this database (for developers)."""
    from alembic import command

    with engine.connect() as conn:
        command.revision(_config(conn), message, autogenerate=True)
