"""counters know the window before, so that nobody gets twice as many on both sides of a boundary

Revision ID: 0006
Revises: 0005
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # With defaults: the version before goes on writing rows without them, and counts by fixed windows as it did.
    for name, kind in (
        ("hour_before", sa.Integer()),
        ("hour_until", sa.BigInteger()),
        ("day_before", sa.Integer()),
        ("day_until", sa.BigInteger()),
        ("last_at", sa.BigInteger()),
        ("prior_at", sa.BigInteger()),
    ):
        op.add_column("counters", sa.Column(name, kind, nullable=False, server_default="0"))
