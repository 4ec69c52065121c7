"""Figures by day, made of the audit log, and recoveries on the way to their end."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Integer, SmallInteger, String, Table, text

from keyback.storage.sql.schema import ID, metadata

report_days = Table(
    "report_days",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("figure", String(30), primary_key=True),
    Column("part", String(60), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

report_cases = Table(
    "report_cases",
    metadata,
    Column("case_id", ID, primary_key=True),
    Column("person_id", ID, nullable=False, index=True),
    Column("opened_at", BigInteger, nullable=False, index=True),
    Column("held_from", BigInteger, nullable=False, server_default="0"),
    Column("held_ms", BigInteger, nullable=False, server_default="0"),
    Column("desk", Boolean, nullable=False, server_default=text("false")),
    Column("claims", Integer, nullable=False, server_default="0"),
    Column("stage", SmallInteger, nullable=False, server_default="1"),
    Column("recovered_at", BigInteger, nullable=False, server_default="0"),
)

# events: up to which audit row figures were made; census/DAY: until when a worker looks at everybody, 0 once it has.
report_places = Table(
    "report_places",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
