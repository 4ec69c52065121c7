"""Bringing a database to this version's schema, step by step (expand, then contract in a later version)."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

HERE = Path(__file__).parent / "migrations"
LOCK = 0x6B657962  # 'keyb': one node migrates at a time


def _config(conn: Connection | None = None) -> Config:
    config = Config()
    config.set_main_option("script_location", str(HERE))
    config.attributes["connection"] = conn
    return config


def head() -> str:
    """The newest revision that this version knows."""
    return ScriptDirectory.from_config(_config()).get_current_head() or ""


def current(engine: Engine) -> str | None:
    """The revision that the database is at; None for an empty one."""
    with engine.connect() as conn:
        return MigrationContext.configure(conn).get_current_revision()


def knows(revision: str | None) -> bool:
    """Whether this version knows a revision; it runs beside later ones that it does not know."""
    return revision is None or revision in {r.revision for r in ScriptDirectory(str(HERE)).walk_revisions()}


def migrate(engine: Engine) -> tuple[str | None, str]:
    """Runs what is missing, in one transaction; (revision before, revision after). A schema that a later version has
    made is left as it is."""
    with engine.connect().execution_options(writes=True) as conn, conn.begin():
        if conn.dialect.name == "postgresql":
            conn.execute(text("SELECT pg_advisory_xact_lock(:k)"), {"k": LOCK})
        before = MigrationContext.configure(conn).get_current_revision()
        if before is not None and not knows(before):
            return before, before
        command.upgrade(_config(conn), "head")
    return before, head()


def make_revision(engine: Engine, message: str) -> None:
    """Writes a new migration from the difference between the schema and this database (for developers)."""
    with engine.connect() as conn:
        command.revision(_config(conn), message, autogenerate=True)
