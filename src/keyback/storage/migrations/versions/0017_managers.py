"""whom people report to, as their systems say

Revision ID: 0017
Revises: 0016

The version before writes accounts without a manager, and leaves alone what is there.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("accounts", sa.Column("manager", sa.String(254), nullable=False, server_default=""))
    op.add_column("accounts", sa.Column("manager_since", sa.BigInteger(), nullable=False, server_default="0"))
