"""How far the stream for the SIEM is."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, String, Table

from keyback.storage.sql.schema import metadata

siem_position = Table(
    "siem_position",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),  # 1: there is one row
    Column("read_to", BigInteger, nullable=False),  # up to which audit row everything was taken over
    Column("skipped", BigInteger, nullable=False, server_default="0"),
    Column("failures", Integer, nullable=False, server_default="0"),  # in a row
    Column("failing_since", BigInteger, nullable=False, server_default="0"),
    Column("rest_until", BigInteger, nullable=False, server_default="0"),
    Column("lease_until", BigInteger, nullable=False, server_default="0"),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("sent_at", BigInteger, nullable=False, server_default="0"),
    Column("last_code", String(40), nullable=False, server_default=""),
)
