"""How old passwords in other systems are, as far as those said, and when each is asked about next."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, SmallInteger, String, Table

from keyback.storage.sql.schema import ID, metadata

password_ages = Table(
    "password_ages",
    metadata,
    Column("account_id", ID, primary_key=True),
    Column("system", String(40), nullable=False),
    Column("changed_at", BigInteger, nullable=False, server_default="0"),  # 0: nobody knows
    Column("reminded", SmallInteger, nullable=False, server_default="0"),  # steps of `passwords.expiry`
    Column("failures", SmallInteger, nullable=False, server_default="0"),
    Column("look_at", BigInteger, nullable=False),
    Index("ix_password_ages_system_look_at", "system", "look_at"),
)
