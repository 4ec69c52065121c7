"""Tables that only the version before reads and writes; they go with it."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, String, Table

from keyback.storage.sql.schema import ID, metadata

# Mailed links. Triggers keep them and ours alike (ADR 36, migration 0012).
old_challenges = Table(
    "challenges",
    metadata,
    Column("id", ID, primary_key=True),
    Column("intake_id", ID, nullable=False, index=True),
    Column("case_id", ID, ForeignKey("cases.id"), nullable=False, index=True),
    Column("person_id", ID, nullable=False),
    Column("contact_id", ID, nullable=False),
    Column("nonce", LargeBinary(32), nullable=False),
    Column("key_id", String(8), nullable=False),
    Column("security_version", Integer, nullable=False),
    Column("link_digest", LargeBinary(32), nullable=False, unique=True),
    Column("stop_digest", LargeBinary(32), nullable=False, unique=True),
    Column("created_at", BigInteger, nullable=False),
    Column("link_expires_at", BigInteger, nullable=False),
    Column("code_expires_at", BigInteger, nullable=False),
    Column("ended", String(14)),
    Column("ended_at", BigInteger),
    Column("fetched_at", BigInteger),
    Index("ix_challenges_created_at", "created_at"),
)
