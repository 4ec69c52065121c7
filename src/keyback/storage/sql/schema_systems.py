"""How calls to connected systems went, for the console. One row a system."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, String, Table, Text

from keyback.storage.sql.schema import metadata

system_states = Table(
    "system_states",
    metadata,
    Column("system", String(40), primary_key=True),
    Column("good_at", BigInteger, nullable=False, server_default="0"),
    Column("failing_since", BigInteger, nullable=False, server_default="0"),
    Column("checked_at", BigInteger, nullable=False, server_default="0"),
    Column("check_status", String(4), nullable=False, server_default=""),  # ok | warn | bad
    Column("check_words", Text, nullable=False, server_default=""),
    Column("check_next", Text, nullable=False, server_default=""),
)
