"""What operators ask for and do about people."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, String, Table, text

from keyback.storage.sql.schema import ID, metadata, where_rows

desk_actions = Table(
    "desk_actions",
    metadata,
    Column("id", ID, primary_key=True),
    Column("person_id", ID, nullable=False),
    Column("kind", String(20), nullable=False),
    Column("state", String(10), nullable=False),  # waiting | done | declined | over
    Column("detail", String(40), nullable=False, server_default=""),
    Column("case_id", String(22), nullable=False, server_default=""),
    Column("page", String(22), nullable=False, server_default=""),
    Column("version", Integer, nullable=False),
    Column("asked_by", ID, nullable=False),
    Column("asked_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("decided_by", String(22), nullable=False, server_default=""),
    Column("decided_at", BigInteger, nullable=False, server_default="0"),
    Column("broke_glass", Boolean, nullable=False, server_default=text("false")),
    Column("sealed", LargeBinary, nullable=False),  # the reason
    Index("ix_desk_actions_person_id", "person_id", "asked_at"),
    Index("ix_desk_actions_waiting", "asked_at", "id", **where_rows("state = 'waiting'")),
)
