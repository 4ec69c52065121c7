"""Tables of the sync of people from systems."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text, UniqueConstraint, text

from keyback.storage.sql.schema import ID, metadata

# One row for each system: its newest run. `owner` and `lease_until` let only one go on at a time.
sync_runs = Table(
    "sync_runs",
    metadata,
    Column("system", String(40), primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("state", String(8), nullable=False),  # running | done | held | broken
    Column("owner", String(22), nullable=False, server_default=""),
    Column("lease_until", BigInteger, nullable=False, server_default="0"),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=False, server_default="0"),
    Column("done_at", BigInteger, nullable=False, server_default="0"),  # when the last one ended well
    Column("live", Integer, nullable=False, server_default="0"),  # accounts that were on when it began
    Column("code", String(40), nullable=False, server_default=""),
    Column("counts", Text, nullable=False, server_default="{}"),
    Column("cursor", Text, nullable=False, server_default=""),  # the mark of the last one that ended well
    Column("mark", Text, nullable=False, server_default=""),  # of this one, when it began
    Column("full_at", BigInteger, nullable=False, server_default="0"),  # when the last whole one began that ended well
)

# Accounts that may be somebody's whom we know; an operator says so, or not.
person_links = Table(
    "person_links",
    metadata,
    Column("id", ID, primary_key=True),
    Column("system", String(40), nullable=False),
    Column("external_id", String(254), nullable=False),
    Column("username", String(254), nullable=False),
    Column("name", Text, nullable=False),
    Column("mail", String(254), nullable=False),
    Column("privileged", Boolean, nullable=False, server_default=text("false")),
    Column("provider", String(80), nullable=False, server_default=""),
    Column("person_id", ID, nullable=False, server_default=""),
    Column("reason", String(10), nullable=False),  # mail | username
    Column("state", String(10), nullable=False),  # open | rejected
    Column("generation", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("system", "external_id"),
    Index("ix_person_links_person_id", "person_id"),
)
