"""managers of record co-sign a caller check

Revision ID: 0026
Revises: 0025

The version before writes checks that nobody co-signs, and leaves alone what is there.
"""

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("caller_checks", sa.Column("manager_id", sa.String(22), nullable=False, server_default=""))
    asked = sa.text("manager_id <> ''")
    op.create_index(
        "ix_caller_checks_manager_id",
        "caller_checks",
        ["manager_id", "expires_at"],
        postgresql_where=asked,
        sqlite_where=asked,
    )
