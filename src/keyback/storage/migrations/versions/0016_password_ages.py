"""how old passwords in other systems are

Revision ID: 0016
Revises: 0015

A new table: the version before neither reads nor writes it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "password_ages",
        sa.Column("account_id", sa.String(22), nullable=False),
        sa.Column("system", sa.String(40), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("reminded", sa.SmallInteger(), nullable=False, server_default="0"),
        sa.Column("failures", sa.SmallInteger(), nullable=False, server_default="0"),
        sa.Column("look_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", name="pk_password_ages"),
    )
    op.create_index("ix_password_ages_system_look_at", "password_ages", ["system", "look_at"])
