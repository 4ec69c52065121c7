"""Databases of each kind, and their addresses."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import text

from keyback.storage.database import make_engine

BACKENDS = ("sqlite", "postgres")


@contextmanager
def empty_postgres(base: str) -> Iterator[str]:
    """URL of a database without any table, dropped afterwards."""
    name = f"kb_{secrets.token_hex(6)}"
    run_as_admin(base, f"CREATE DATABASE {name}")
    try:
        yield with_database(base, name)
    finally:
        run_as_admin(base, f"DROP DATABASE {name} WITH (FORCE)")


def with_database(base: str, name: str) -> str:
    """`base` (a URL or a socket URI) with another database name."""
    head, question, query = base.partition("?")
    scheme, _, rest = head.partition("://")
    authority = rest.split("/", 1)[0]
    return f"{scheme}://{authority}/{name}{question}{query}"


def run_as_admin(base: str, sql: str) -> None:
    engine = make_engine(with_database(base, "postgres")).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        conn.execute(text(sql))
    engine.dispose()
