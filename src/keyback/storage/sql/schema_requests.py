"""The table of requests for help: what was typed is sealed, as a whole."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, LargeBinary, SmallInteger, String, Table
from sqlalchemy import text as sql

from keyback.storage.sql.schema import metadata, where_rows

help_requests = Table(
    "help_requests",
    metadata,
    Column("handle", String(22), primary_key=True),  # of the page that asks
    Column("subject", LargeBinary(16), nullable=False),  # keyed digest of the identifier, to erase by
    Column("state", String(12), nullable=False),  # unconfirmed | open | answered | closed
    Column("case_id", String(22), nullable=False, server_default=""),
    Column("locale", String(8), nullable=False),
    Column("code_at", BigInteger, nullable=False, server_default="0"),
    Column("tries", SmallInteger, nullable=False, server_default="0"),
    Column("created_at", BigInteger, nullable=False),
    Column("since", BigInteger, nullable=False, server_default="0"),
    Column("answered_at", BigInteger, nullable=False, server_default="0"),
    Column("operator_id", String(22), nullable=False, server_default=""),
    Column("closed_by", String(22), nullable=False, server_default=""),
    Column("closed_at", BigInteger, nullable=False, server_default="0"),
    Column("reopened", Boolean, nullable=False, server_default=sql("false")),
    Column("sealed", LargeBinary, nullable=False),  # identifier, contact, reason and messages
    Index("ix_help_requests_state", "state", "since", "handle"),
    Index("ix_help_requests_subject", "subject"),
    Index("ix_help_requests_case_id", "case_id", **where_rows("case_id <> ''")),
    Index("ix_help_requests_answered_at", "answered_at", **where_rows("answered_at <> 0")),
)
