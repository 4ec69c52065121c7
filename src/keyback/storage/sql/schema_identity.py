"""Identities that somebody else was asked to verify: what came of it, and digests; never a name."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, LargeBinary, String, Table
from sqlalchemy import text as sql

from keyback.storage.sql.schema import ID, metadata, where_rows

identity_checks = Table(
    "identity_checks",
    metadata,
    Column("id", ID, primary_key=True),
    Column("case_id", ID, ForeignKey("cases.id"), nullable=False),
    Column("person_id", ID, nullable=False),
    Column("handle", String(22), nullable=False),
    Column("provider", String(20), nullable=False),
    Column("consent", String(12), nullable=False),
    Column("state", String(12), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("answered_at", BigInteger, nullable=False, server_default="0"),
    Column("decided_at", BigInteger, nullable=False, server_default="0"),
    Column("fits", String(10), nullable=False, server_default=""),
    Column("level", String(80), nullable=False, server_default=""),
    Column("reason", String(24), nullable=False, server_default=""),
    Column("by_phone", Boolean, nullable=False, server_default=sql("true")),
    Column("seen_before", Boolean, nullable=False, server_default=sql("false")),
    Column("namesake", Boolean, nullable=False, server_default=sql("false")),
    Column("subject", LargeBinary(32)),  # digest of issuer and subject, with a key
    Column("name_digest", LargeBinary(32)),  # while reviewers look at it
    Index("ix_identity_checks_case_id", "case_id"),
    Index("ix_identity_checks_handle", "handle", "created_at"),
    Index("ix_identity_checks_subject", "subject"),
    Index("ix_identity_checks_created_at", "created_at"),
    Index("ix_identity_checks_named", "answered_at", **where_rows("name_digest IS NOT NULL")),
)
