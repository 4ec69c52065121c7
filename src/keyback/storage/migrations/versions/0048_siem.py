"""the stream for the SIEM

Revision ID: 0048
Revises: 0047

A new table: the version before neither reads nor writes it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0048"
down_revision = "0047"
branch_labels = None
depends_on = None


def _instant(name: str, default: str | None = "0") -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default=default)


def _count(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer(), nullable=False, server_default="0")


def upgrade() -> None:
    op.create_table(
        "siem_position",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        _instant("read_to", None),
        _instant("skipped"),
        _count("failures"),
        _instant("failing_since"),
        _instant("rest_until"),
        _instant("lease_until"),
        _count("fence"),
        _instant("sent_at"),
        sa.Column("last_code", sa.String(length=40), nullable=False, server_default=""),
        sa.PrimaryKeyConstraint("id", name="pk_siem_position"),
    )
