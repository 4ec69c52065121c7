"""from where on a sync asks for what changed

Revision ID: 0018
Revises: 0017

The version before reads the whole list each time and leaves the mark as it is, which is then older than it need be.
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("sync_runs", sa.Column("cursor", sa.Text(), nullable=False, server_default=""))
    op.add_column("sync_runs", sa.Column("mark", sa.Text(), nullable=False, server_default=""))
    op.add_column("sync_runs", sa.Column("full_at", sa.BigInteger(), nullable=False, server_default="0"))
