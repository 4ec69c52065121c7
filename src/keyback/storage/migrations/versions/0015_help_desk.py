"""operators of the help desk, and their work on cases

Revision ID: 0015
Revises: 0014
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def _id(name: str, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length=22), nullable=False, **more)


def _when(name: str, **more: Any) -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=False, **more)


def _some(rows: str) -> dict[str, Any]:
    return {"postgresql_where": sa.text(rows), "sqlite_where": sa.text(rows)}


def upgrade() -> None:
    # New tables and an index only: the version before knows none of them.
    op.create_table(
        "operators",
        _id("id"),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("mail", sa.String(length=1024), nullable=False),
        sa.Column("role", sa.String(length=24), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        _id("person_id", server_default=""),
        sa.Column("security_version", sa.Integer(), server_default="0", nullable=False),
        sa.Column("phc", sa.Text(), nullable=True),
        _when("created_at"),
        _when("ended_at", server_default="0"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operators")),
    )
    op.create_index("uq_operators_mail", "operators", ["mail"], unique=True, **_some("state <> 'removed'"))
    op.create_index("ix_operators_person_id", "operators", ["person_id"], **_some("person_id <> ''"))

    op.create_table(
        "operator_factors",
        _id("id"),
        _id("operator_id"),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("label", sa.String(length=80), server_default="", nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("lookup", sa.LargeBinary(length=32), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        _when("counter", server_default="0"),
        _when("added_at"),
        _when("used_at", server_default="0"),
        _when("ended_at", server_default="0"),
        sa.ForeignKeyConstraint(["operator_id"], ["operators.id"], name=op.f("fk_operator_factors_operator_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_operator_factors")),
        sa.UniqueConstraint("lookup", name=op.f("uq_operator_factors_lookup")),
    )
    op.create_index(op.f("ix_operator_factors_operator_id"), "operator_factors", ["operator_id"])

    op.create_table(
        "operator_links",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        _id("operator_id"),
        sa.Column("security_version", sa.Integer(), nullable=False),
        sa.Column("tries", sa.SmallInteger(), server_default="0", nullable=False),
        _when("created_at"),
        _when("expires_at"),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["operator_id"], ["operators.id"], name=op.f("fk_operator_links_operator_id")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_operator_links")),
    )
    op.create_index(op.f("ix_operator_links_operator_id"), "operator_links", ["operator_id"])
    op.create_index(op.f("ix_operator_links_expires_at"), "operator_links", ["expires_at"])

    op.create_table(
        "operator_sessions",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        _id("operator_id"),
        _when("created_at"),
        _when("seen_at"),
        _when("expires_at"),
        sa.Column("source", sa.String(length=45), nullable=False),
        sa.Column("device", sa.String(length=120), nullable=False),
        _when("proven_at", server_default="0"),
        sa.ForeignKeyConstraint(["operator_id"], ["operators.id"], name=op.f("fk_operator_sessions_operator_id")),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_operator_sessions")),
    )
    op.create_index(op.f("ix_operator_sessions_operator_id"), "operator_sessions", ["operator_id"])
    op.create_index(op.f("ix_operator_sessions_expires_at"), "operator_sessions", ["expires_at"])

    op.create_table(
        "desk_work",
        _id("case_id"),
        _id("claimed_by", server_default=""),
        _when("claimed_at", server_default="0"),
        sa.Column("worked_by", sa.Text(), server_default="[]", nullable=False),
        _id("recommended_by", server_default=""),
        _id("recommended_page", server_default=""),
        sa.Column("recommended_version", sa.Integer(), server_default="0", nullable=False),
        _when("recommended_at", server_default="0"),
        sa.Column("ticket", sa.String(length=200), server_default="", nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_desk_work_case_id")),
        sa.PrimaryKeyConstraint("case_id", name=op.f("pk_desk_work")),
    )
    op.create_index("ix_desk_work_claimed_by", "desk_work", ["claimed_by"], **_some("claimed_by <> ''"))

    op.create_table(
        "desk_notes",
        _id("id"),
        _id("case_id"),
        _id("operator_id"),
        sa.Column("kind", sa.String(length=12), nullable=False),
        _when("at"),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name=op.f("fk_desk_notes_case_id")),
        sa.ForeignKeyConstraint(["operator_id"], ["operators.id"], name=op.f("fk_desk_notes_operator_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_desk_notes")),
    )
    op.create_index("ix_desk_notes_case_id", "desk_notes", ["case_id", "at"])
    op.create_index("ix_cases_desk", "cases", ["opened_at", "id"], **_some("state = 'in_review'"))
