"""how calls to connected systems went, for the console

Revision ID: 0049
Revises: 0048

A new table, which the version before neither reads nor writes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0049"
down_revision = "0048"
branch_labels = None
depends_on = None
INSTANTS = ("good_at", "failing_since", "checked_at")


def upgrade() -> None:
    op.create_table(
        "system_states",
        sa.Column("system", sa.String(length=40), nullable=False),
        *(sa.Column(n, sa.BigInteger(), nullable=False, server_default="0") for n in INSTANTS),
        sa.Column("check_status", sa.String(length=4), nullable=False, server_default=""),
        sa.Column("check_words", sa.Text(), nullable=False, server_default=""),
        sa.Column("check_next", sa.Text(), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("system", name="pk_system_states"),
    )
