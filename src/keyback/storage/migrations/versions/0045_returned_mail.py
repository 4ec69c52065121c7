"""what came back from contacts

Revision ID: 0045
Revises: 0044

New columns with defaults: the version before neither reads nor writes them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0045"
down_revision = "0044"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("contacts", sa.Column("bounce", sa.String(length=10), nullable=False, server_default=""))
    op.add_column("contacts", sa.Column("bounce_at", sa.BigInteger(), nullable=False, server_default="0"))
