"""by what copies of an identity document's picture are known

Revision ID: 0051
Revises: 0050

A new table, which the version before neither reads nor writes, and an index.
"""

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "document_looks",
        sa.Column("document_id", sa.String(length=22), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("document_id", name="pk_document_looks"),
    )
    op.create_index("ix_documents_sent_at", "documents", ["sent_at", "id"])
