"""Receivers of events, and what each still has to get."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, Text

from keyback.storage.sql.schema import ID, metadata

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", ID, primary_key=True),
    Column("url", String(500), nullable=False),
    Column("types", Text, nullable=False),  # JSON; empty: every event of the catalogue
    Column("sealed", LargeBinary, nullable=False),  # the secrets, the newest first, and until when each signs
    Column("state", String(4), nullable=False),  # on | off
    Column("read_to", BigInteger, nullable=False),  # up to which audit row its deliveries were made
    Column("failures", Integer, nullable=False, server_default="0"),  # in a row
    Column("failing_since", BigInteger, nullable=False, server_default="0"),
    Column("rest_until", BigInteger, nullable=False, server_default="0"),
    Column("lease_until", BigInteger, nullable=False, server_default="0"),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("taken_at", BigInteger, nullable=False, server_default="0"),  # when it last took one
    Column("last_code", String(40), nullable=False, server_default=""),
    Column("created_at", BigInteger, nullable=False),
)

# A window of what is to be sent; everything behind it is in the audit log. What was taken is forgotten.
webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("webhook_id", ID, primary_key=True),
    Column("seq", BigInteger, primary_key=True),  # of the audit row
    Column("stream", String(40), nullable=False),
    Column("state", String(5), nullable=False),  # ready | dead
    Column("due_at", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("last_code", String(40), nullable=False, server_default=""),
    Index("ix_webhook_deliveries_due", "webhook_id", "state", "due_at", "seq"),
    Index("ix_webhook_deliveries_stream", "webhook_id", "state", "stream", "seq"),
)
