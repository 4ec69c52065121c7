"""calls between people and the help desk

Revision ID: 0019
Revises: 0018

New tables: the version before neither reads nor writes them.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def _id(name: str, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length=22), nullable=False, **more)


def _when(name: str, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=False, **more)


def _some(rows: str) -> dict[str, Any]:
    return {"postgresql_where": sa.text(rows), "sqlite_where": sa.text(rows)}


def upgrade() -> None:
    op.create_table(
        "caller_checks",
        _id("id"),
        _id("handle"),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        _id("case_id", server_default=""),
        _id("operator_id", server_default=""),
        _id("contact_id", server_default=""),
        sa.Column("tries", sa.SmallInteger(), nullable=False, server_default="0"),
        _when("created_at"),
        _when("expires_at"),
        _when("ended_at", server_default="0"),
        sa.PrimaryKeyConstraint("id", name="pk_caller_checks"),
    )
    op.create_index("ix_caller_checks_handle", "caller_checks", ["handle", "created_at"])
    op.create_index("ix_caller_checks_expires_at", "caller_checks", ["expires_at"])
    op.create_index("uq_caller_checks_digest", "caller_checks", ["digest"], unique=True, **_some("state = 'shown'"))
    op.create_index("ix_caller_checks_case_id", "caller_checks", ["case_id"], **_some("case_id <> ''"))
    op.create_index(
        "ix_caller_checks_operator_id", "caller_checks", ["operator_id", "created_at"], **_some("operator_id <> ''")
    )
    op.create_table(
        "outbound_calls",
        _id("id"),
        _id("person_id"),
        _id("case_id", server_default=""),
        _id("operator_id"),
        sa.Column("reason", sa.String(20), nullable=False),
        _when("created_at"),
        _when("expires_at"),
        _when("ended_at", server_default="0"),
        sa.PrimaryKeyConstraint("id", name="pk_outbound_calls"),
    )
    op.create_index("ix_outbound_calls_person_id", "outbound_calls", ["person_id", "expires_at"])
    op.create_index("ix_outbound_calls_expires_at", "outbound_calls", ["expires_at"])
