"""Campaigns, and how far each is with whom."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text, text

from keyback.storage.sql.schema import ID, metadata, where_rows

campaigns = Table(
    "campaigns",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", Text, nullable=False),
    Column("state", String(12), nullable=False),  # collecting | drafted | running | paused | done | declined | stopped
    Column("reason", String(12), nullable=False),
    Column("body", Text, nullable=False),  # whom it means, how fast it goes, what else it does
    Column("drafted_by", String(22), nullable=False),
    Column("drafted_at", BigInteger, nullable=False),
    Column("decided_by", String(22), nullable=False, server_default=""),
    Column("decided_at", BigInteger, nullable=False, server_default="0"),
    Column("ended_at", BigInteger, nullable=False, server_default="0"),
    Column("given", Integer, nullable=False, server_default="0"),
    Column("unknown", Integer, nullable=False, server_default="0"),
    Column("cursor", String(22), nullable=False, server_default=""),
    Column("paced_at", BigInteger, nullable=False, server_default="0"),
    Column("looked_at", BigInteger, nullable=False, server_default="0"),
    Column("totals", Text, nullable=False, server_default=""),  # once its people are forgotten
    Column("version", Integer, nullable=False),
    Index("ix_campaigns_drafted_at", "drafted_at"),
    Index("ix_campaigns_state", "state"),
)

campaign_people = Table(
    "campaign_people",
    metadata,
    Column("campaign_id", ID, primary_key=True),
    Column("person_id", ID, primary_key=True),
    Column("standing", String(12), nullable=False),
    Column("privileged", Boolean, nullable=False, server_default=text("false")),
    Column("asked_at", BigInteger, nullable=False, server_default="0"),
    Column("outcome", String(10), nullable=False, server_default=""),
    Column("case_id", String(22), nullable=False, server_default=""),
    Index("ix_campaign_people_standing", "campaign_id", "standing", "person_id"),
    Index("ix_campaign_people_person_id", "person_id"),
    Index("ix_campaign_people_opened", "campaign_id", "person_id", **where_rows("outcome = 'opened'")),
)
