"""Tasks of administrators, each with the watch over whether its person got in."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, SmallInteger, String, Table, Text, text

from keyback.storage.sql.schema import ID, metadata

_OPEN = text("state = 'open'")
_LOOKING = text("look_at > 0")

tasks = Table(
    "tasks",
    metadata,
    Column("id", ID, primary_key=True),
    Column("kind", String(12), nullable=False),  # reset | stop | turn_on
    Column("state", String(10), nullable=False),  # open | done | declined | over
    Column("person_id", ID, nullable=False),
    Column("account_id", ID, nullable=False),
    Column("case_id", String(22), nullable=False, server_default=""),
    Column("system", String(40), nullable=False),
    Column("verified", Text, nullable=False),  # methods and instants, never a secret
    Column("opened_at", BigInteger, nullable=False),
    Column("asked_at", BigInteger, nullable=False, server_default="0"),
    Column("asks", SmallInteger, nullable=False, server_default="0"),
    Column("closed_at", BigInteger, nullable=False, server_default="0"),
    Column("closed_by", String(20), nullable=False, server_default=""),
    Column("note", String(300), nullable=False, server_default=""),
    Column("watch", String(10), nullable=False, server_default=""),
    Column("watch_from", BigInteger, nullable=False, server_default="0"),
    Column("look_at", BigInteger, nullable=False, server_default="0"),
    Column("looks", SmallInteger, nullable=False, server_default="0"),
    Column("reminded", Boolean, nullable=False, server_default=text("false")),
    Column("seen_at", BigInteger, nullable=False, server_default="0"),
    Column("operator_id", String(22), nullable=False, server_default=""),
    Column("first_by", String(22), nullable=False, server_default=""),
    Column("first_at", BigInteger, nullable=False, server_default="0"),
    Column("version", Integer, nullable=False, server_default="0"),
    Index("ix_tasks_case_id", "case_id"),
    Index("ix_tasks_opened_at", "opened_at"),
    Index("ix_tasks_open", "account_id", postgresql_where=_OPEN, sqlite_where=_OPEN),
    Index("ix_tasks_waiting", "opened_at", "id", postgresql_where=_OPEN, sqlite_where=_OPEN),
    Index("ix_tasks_look_at", "look_at", postgresql_where=_LOOKING, sqlite_where=_LOOKING),
)
