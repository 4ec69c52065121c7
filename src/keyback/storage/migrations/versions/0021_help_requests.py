"""requests for help from the portal

Revision ID: 0021
Revises: 0020

A new table: the version before neither reads nor writes it.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def _text(name: str, length: int, default: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length), nullable=False, server_default=default)


def _when(name: str, default: str | None = "0") -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default=default)


def _some(rows: str) -> dict[str, Any]:
    return {"postgresql_where": sa.text(rows), "sqlite_where": sa.text(rows)}


def upgrade() -> None:
    op.create_table(
        "help_requests",
        _text("handle", 22),
        sa.Column("subject", sa.LargeBinary(16), nullable=False),
        _text("state", 12),
        _text("case_id", 22, ""),
        _text("locale", 8),
        _when("code_at"),
        sa.Column("tries", sa.SmallInteger(), nullable=False, server_default="0"),
        _when("created_at", None),
        _when("since"),
        _when("answered_at"),
        _text("operator_id", 22, ""),
        _text("closed_by", 22, ""),
        _when("closed_at"),
        sa.Column("reopened", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("handle", name="pk_help_requests"),
    )
    op.create_index("ix_help_requests_state", "help_requests", ["state", "since", "handle"])
    op.create_index("ix_help_requests_subject", "help_requests", ["subject"])
    op.create_index("ix_help_requests_case_id", "help_requests", ["case_id"], **_some("case_id <> ''"))
    op.create_index("ix_help_requests_answered_at", "help_requests", ["answered_at"], **_some("answered_at <> 0"))
