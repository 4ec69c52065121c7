"""identity documents

Revision ID: 0027
Revises: 0026

New tables: the version before neither reads nor writes them.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0027"
down_revision = "0026"
branch_labels = None
depends_on = None


def _text(name: str, length: int, default: str | None = None) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length), nullable=False, server_default=default)


def _when(name: str, default: str | None = "0") -> sa.Column[Any]:
    return sa.Column(name, sa.BigInteger(), nullable=False, server_default=default)


def _flag(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean(), nullable=False, server_default=sa.text("false"))


def _some(rows: str) -> dict[str, Any]:
    return {"postgresql_where": sa.text(rows), "sqlite_where": sa.text(rows)}


def upgrade() -> None:
    op.create_table(
        "documents",
        _text("id", 22),
        _text("case_id", 22),
        _text("person_id", 22),
        _text("handle", 22),
        _text("kind", 12),
        _text("consent", 12),
        _text("state", 12),
        _when("created_at", None),
        _when("sent_at"),
        _when("decided_at"),
        _when("destroyed_at"),
        _flag("appealed"),
        _flag("seen_before"),
        sa.Column("digest", sa.LargeBinary(32)),
        sa.Column("image", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("id", name="pk_documents"),
        sa.ForeignKeyConstraint(["case_id"], ["cases.id"], name="fk_documents_case_id"),
    )
    op.create_index("ix_documents_case_id", "documents", ["case_id"])
    op.create_index("ix_documents_handle", "documents", ["handle", "created_at"])
    op.create_index("ix_documents_digest", "documents", ["digest"])
    op.create_index("ix_documents_waiting", "documents", ["sent_at"], **_some("state IN ('waiting', 'third')"))
    op.create_index("ix_documents_kept", "documents", ["created_at"], **_some("image IS NOT NULL"))
    op.create_table(
        "document_keys",
        _text("document_id", 22),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("document_id", name="pk_document_keys"),
    )
    op.create_table(
        "document_reviews",
        _text("document_id", 22),
        _text("operator_id", 22),
        _when("taken_at", None),
        _text("verdict", 3, ""),
        sa.Column("checks", sa.Text(), nullable=False, server_default="[]"),
        _when("at"),
        _flag("third"),
        sa.PrimaryKeyConstraint("document_id", "operator_id", name="pk_document_reviews"),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name="fk_document_reviews_document_id"),
        sa.ForeignKeyConstraint(["operator_id"], ["operators.id"], name="fk_document_reviews_operator_id"),
    )
