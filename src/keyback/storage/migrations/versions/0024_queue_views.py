"""filters of the queue that operators keep, and cases by their tickets

Revision ID: 0024
Revises: 0023

A new table and an index: the version before neither reads nor writes them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "desk_views",
        sa.Column("id", sa.String(22), nullable=False),
        sa.Column("operator_id", sa.String(22), nullable=False),
        sa.Column("name", sa.String(40), nullable=False),
        sa.Column("query", sa.String(200), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["operator_id"], ["operators.id"], name="fk_desk_views_operator_id"),
        sa.PrimaryKeyConstraint("id", name="pk_desk_views"),
        sa.UniqueConstraint("operator_id", "name", name="uq_desk_views_operator_id_name"),
    )
    rows = sa.text("ticket <> ''")
    op.create_index("ix_desk_work_ticket", "desk_work", ["ticket"], postgresql_where=rows, sqlite_where=rows)
