"""campaigns

Revision ID: 0023
Revises: 0022

New tables: the version before neither reads nor writes them. Their messages are jobs of a kind that it does not take.
"""

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None


def _when(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")


def _word(name: str, length: int, default: str | None = None) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=length), nullable=False, server_default=default)


def upgrade() -> None:
    op.create_table(
        "campaigns",
        _word("id", 22),
        sa.Column("name", sa.Text(), nullable=False),
        _word("state", 12),
        _word("reason", 12),
        sa.Column("body", sa.Text(), nullable=False),
        _word("drafted_by", 22),
        sa.Column("drafted_at", sa.BigInteger(), nullable=False),
        _word("decided_by", 22, ""),
        _when("decided_at"),
        _when("ended_at"),
        sa.Column("given", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("unknown", sa.Integer(), nullable=False, server_default="0"),
        _word("cursor", 22, ""),
        _when("paced_at"),
        _when("looked_at"),
        sa.Column("totals", sa.Text(), nullable=False, server_default=""),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_campaigns"),
    )
    op.create_index("ix_campaigns_drafted_at", "campaigns", ["drafted_at"])
    op.create_index("ix_campaigns_state", "campaigns", ["state"])
    op.create_table(
        "campaign_people",
        _word("campaign_id", 22),
        _word("person_id", 22),
        _word("standing", 12),
        sa.Column("privileged", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        _when("asked_at"),
        _word("outcome", 10, ""),
        _word("case_id", 22, ""),
        sa.PrimaryKeyConstraint("campaign_id", "person_id", name="pk_campaign_people"),
    )
    op.create_index("ix_campaign_people_standing", "campaign_people", ["campaign_id", "standing", "person_id"])
    op.create_index("ix_campaign_people_person_id", "campaign_people", ["person_id"])
    opened = sa.text("outcome = 'opened'")
    op.create_index(
        "ix_campaign_people_opened",
        "campaign_people",
        ["campaign_id", "person_id"],
        postgresql_where=opened,
        sqlite_where=opened,
    )
