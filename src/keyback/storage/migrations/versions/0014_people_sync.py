"""people from systems: runs, whom a run has met, and links to look at

Revision ID: 0014
Revises: 0013

The version before writes accounts without `generation`; they count as met by no sync, and none switches them off.
"""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("accounts", sa.Column("generation", sa.Integer(), nullable=False, server_default="0"))
    op.create_table(
        "sync_runs",
        sa.Column("system", sa.String(40), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("owner", sa.String(22), nullable=False, server_default=""),
        sa.Column("lease_until", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("done_at", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("live", sa.Integer(), nullable=False, server_default="0"),
        sa.Column("code", sa.String(40), nullable=False, server_default=""),
        sa.Column("counts", sa.Text(), nullable=False, server_default="{}"),
        sa.PrimaryKeyConstraint("system", name="pk_sync_runs"),
    )
    op.create_table(
        "person_links",
        sa.Column("id", sa.String(22), nullable=False),
        sa.Column("system", sa.String(40), nullable=False),
        sa.Column("external_id", sa.String(254), nullable=False),
        sa.Column("username", sa.String(254), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("mail", sa.String(254), nullable=False),
        sa.Column("privileged", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("provider", sa.String(80), nullable=False, server_default=""),
        sa.Column("person_id", sa.String(22), nullable=False, server_default=""),
        sa.Column("reason", sa.String(10), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_person_links"),
        sa.UniqueConstraint("system", "external_id", name="uq_person_links_system_external_id"),
    )
    op.create_index("ix_person_links_person_id", "person_links", ["person_id"])
