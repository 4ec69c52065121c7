"""tasks of administrators

Revision ID: 0013
Revises: 0012

A new table: the version before neither reads nor writes it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", sa.String(22), nullable=False),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("person_id", sa.String(22), nullable=False),
        sa.Column("account_id", sa.String(22), nullable=False),
        sa.Column("case_id", sa.String(22), nullable=False, server_default=""),
        sa.Column("system", sa.String(40), nullable=False),
        sa.Column("verified", sa.Text(), nullable=False),
        sa.Column("opened_at", sa.BigInteger(), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("asks", sa.SmallInteger(), nullable=False, server_default="0"),
        sa.Column("closed_at", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("closed_by", sa.String(20), nullable=False, server_default=""),
        sa.Column("note", sa.String(300), nullable=False, server_default=""),
        sa.Column("watch", sa.String(10), nullable=False, server_default=""),
        sa.Column("watch_from", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("look_at", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("looks", sa.SmallInteger(), nullable=False, server_default="0"),
        sa.Column("reminded", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("seen_at", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("version", sa.Integer(), nullable=False, server_default="0"),
        sa.PrimaryKeyConstraint("id", name="pk_tasks"),
    )
    op.create_index("ix_tasks_case_id", "tasks", ["case_id"])
    op.create_index("ix_tasks_opened_at", "tasks", ["opened_at"])
    for name, column, rows in (
        ("ix_tasks_open", "account_id", "state = 'open'"),
        ("ix_tasks_look_at", "look_at", "look_at > 0"),
    ):
        op.create_index(name, "tasks", [column], postgresql_where=sa.text(rows), sqlite_where=sa.text(rows))
