"""Groups that people are in, as files and systems name them."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Index, String, Table

from keyback.storage.sql.schema import ID, metadata

person_groups = Table(
    "person_groups",
    metadata,
    Column("person_id", ID, ForeignKey("people.id"), primary_key=True),
    Column("account_id", String(22), primary_key=True),  # whose system says so; empty: a file does
    Column("canonical", String(120), primary_key=True),  # as groups are compared
    Column("name", String(120), nullable=False),
    Index("ix_person_groups_canonical", "canonical", "person_id"),
    Index("ix_person_groups_account_id", "account_id"),
)
