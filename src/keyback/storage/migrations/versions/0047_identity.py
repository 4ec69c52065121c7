"""identities that somebody else verifies

Revision ID: 0047
Revises: 0046

A new table, and an index: the version before neither reads nor writes the one, and goes on with the other.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0047"
down_revision = "0046"
branch_labels = None
depends_on = None


def _text(name: str, length: int, default: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length), nullable=False, server_default=default)


def _when(name: str, default: str | None = "0") -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default=default)


def _flag(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.text("false"))


def upgrade() -> None:
    op.create_table(
        "identity_checks",
        _text("id", 22),
        _text("case_id", 22),
        _text("person_id", 22),
        _text("handle", 22),
        _text("provider", 20),
        _text("consent", 12),
        _text("state", 12),
        _when("created_at", None),
        _when("answered_at"),
        _when("decided_at"),
        _text("fits", 10, ""),
        _text("level", 80, ""),
        _text("reason", 24, ""),
        sa.Column("by_phone", sa.Boolean(), nullable=False, server_default=sa.text("true")),
        _flag("seen_before"),
        _flag("namesake"),
        sa.Column("subject", sa.LargeBinary(32)),
        sa.Column("name_digest", sa.LargeBinary(32)),
        sa.PrimaryKeyConstraint("id", name="pk_identity_checks"),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_identity_checks_case_id"),
    )
    op.create_index("ix_identity_checks_case_id", "identity_checks", ["case_id"])
    op.create_index("ix_identity_checks_handle", "identity_checks", ["handle", "created_at"])
    op.create_index("ix_identity_checks_subject", "identity_checks", ["subject"])
    op.create_index("ix_identity_checks_created_at", "identity_checks", ["created_at"])
    named = sa.text("name_digest IS NOT NULL")
    op.create_index(
        "ix_identity_checks_named", "identity_checks", ["answered_at"], postgresql_where=named, sqlite_where=named
    )
    op.create_index("ix_people_name", "people", ["name"])
