"""tasks that operators close in the console

Revision ID: 0020
Revises: 0019

The version before writes tasks without an operator, and leaves alone what is there.
"""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tasks", sa.Column("operator_id", sa.String(22), nullable=False, server_default=""))
    op.add_column("tasks", sa.Column("first_by", sa.String(22), nullable=False, server_default=""))
    op.add_column("tasks", sa.Column("first_at", sa.BigInteger(), nullable=False, server_default="0"))
    still = sa.text("state = 'open'")
    op.create_index("ix_tasks_waiting", "tasks", ["opened_at", "id"], postgresql_where=still, sqlite_where=still)
