"""what operators do about people

Revision ID: 0025
Revises: 0024

A new table: the version before neither reads nor writes it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "desk_actions",
        sa.Column("id", sa.String(22), nullable=False),
        sa.Column("person_id", sa.String(22), nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("detail", sa.String(40), nullable=False, server_default=""),
        sa.Column("case_id", sa.String(22), nullable=False, server_default=""),
        sa.Column("page", sa.String(22), nullable=False, server_default=""),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("asked_by", sa.String(22), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("decided_by", sa.String(22), nullable=False, server_default=""),
        sa.Column("decided_at", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("broke_glass", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_desk_actions"),
    )
    op.create_index("ix_desk_actions_person_id", "desk_actions", ["person_id", "asked_at"])
    waiting = sa.text("state = 'waiting'")
    op.create_index(
        "ix_desk_actions_waiting", "desk_actions", ["asked_at", "id"], postgresql_where=waiting, sqlite_where=waiting
    )
