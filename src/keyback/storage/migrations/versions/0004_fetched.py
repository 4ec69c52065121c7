"""one mail that a link fetches

Revision ID: 0004
Revises: 0003
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Columns that may be empty only: the version before goes on writing rows without them.
    op.add_column("challenges", sa.Column("fetched_at", sa.BigInteger()))
    op.add_column("intakes", sa.Column("fetched_for", sa.String(length=22)))
