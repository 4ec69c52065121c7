"""receivers of events

Revision ID: 0044
Revises: 0028

New tables: the version before neither reads nor writes them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0044"
down_revision = "0028"
branch_labels = None
depends_on = None


def _instant(name: str, default: str | None = "0") -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default=default)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False, server_default="0")


def upgrade() -> None:
    op.create_table(
        "webhooks",
        sa.Column("id", sa.String(length=22), nullable=False),
        sa.Column("url", sa.String(length=500), nullable=False),
        sa.Column("types", sa.Text(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("state", sa.String(length=4), nullable=False),
        _instant("read_to", None),
        _count("failures"),
        _instant("failing_since"),
        _instant("rest_until"),
        _instant("lease_until"),
        _count("fence"),
        _instant("taken_at"),
        sa.Column("last_code", sa.String(length=40), nullable=False, server_default=""),
        _instant("created_at", None),
        sa.PrimaryKeyConstraint("id", name="pk_webhooks"),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("webhook_id", sa.String(length=22), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("stream", sa.String(length=40), nullable=False),
        sa.Column("state", sa.String(length=5), nullable=False),
        _instant("due_at", None),
        _count("attempts"),
        sa.Column("last_code", sa.String(length=40), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("webhook_id", "seq", name="pk_webhook_deliveries"),
    )
    op.create_index("ix_webhook_deliveries_due", "webhook_deliveries", ["webhook_id", "state", "due_at", "seq"])
    op.create_index("ix_webhook_deliveries_stream", "webhook_deliveries", ["webhook_id", "state", "stream", "seq"])
