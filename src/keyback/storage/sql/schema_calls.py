"""Calls of the help desk: those that people make, and those that operators make."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, LargeBinary, SmallInteger, String, Table

from keyback.storage.sql.schema import ID, metadata, where_rows

# A page that asks shows a number; the operator who is on the phone types it, and calls back.
caller_checks = Table(
    "caller_checks",
    metadata,
    Column("id", ID, primary_key=True),
    Column("handle", String(22), nullable=False),
    Column("digest", LargeBinary(32), nullable=False),  # of the first number, with a key
    Column("state", String(10), nullable=False),  # shown | begun | passed | failed
    Column("case_id", String(22), nullable=False, server_default=""),  # empty for whom nobody knows
    Column("operator_id", String(22), nullable=False, server_default=""),
    Column("contact_id", String(22), nullable=False, server_default=""),  # that was called back
    Column("tries", SmallInteger, nullable=False, server_default="0"),  # wrong second numbers
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("ended_at", BigInteger, nullable=False, server_default="0"),
    Column("manager_id", String(22), nullable=False, server_default=""),  # who was asked to co-sign
    Index("ix_caller_checks_manager_id", "manager_id", "expires_at", **where_rows("manager_id <> ''")),
    Index("ix_caller_checks_handle", "handle", "created_at"),
    Index("uq_caller_checks_digest", "digest", unique=True, **where_rows("state = 'shown'")),
    Index("ix_caller_checks_case_id", "case_id", **where_rows("case_id <> ''")),
    Index("ix_caller_checks_operator_id", "operator_id", "created_at", **where_rows("operator_id <> ''")),
)

# Entered before it is made, so that whoever is called sees that it is us.
outbound_calls = Table(
    "outbound_calls",
    metadata,
    Column("id", ID, primary_key=True),
    Column("person_id", ID, nullable=False),
    Column("case_id", String(22), nullable=False, server_default=""),
    Column("operator_id", ID, nullable=False),
    Column("reason", String(20), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("ended_at", BigInteger, nullable=False, server_default="0"),
    Index("ix_outbound_calls_person_id", "person_id", "expires_at"),
)
