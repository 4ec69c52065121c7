"""programs with keys of the admin API

Revision ID: 0022
Revises: 0021

New tables, and a column that the version before neither reads nor writes: it lists programs as agents, who cannot sign
in.
"""

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("operators", sa.Column("kind", sa.String(10), nullable=False, server_default="human"))
    op.create_table(
        "operator_keys",
        sa.Column("id", sa.String(22), nullable=False),
        sa.Column("operator_id", sa.String(22), nullable=False),
        sa.Column("prefix", sa.String(8), nullable=False),
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("scopes", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(22), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("used_from", sa.String(45), nullable=False, server_default=""),
        sa.Column("ended_at", sa.BigInteger(), nullable=False, server_default="0"),
        sa.ForeignKeyConstraint(["operator_id"], ["operators.id"], name="fk_operator_keys_operator_id"),
        sa.PrimaryKeyConstraint("id", name="pk_operator_keys"),
        sa.UniqueConstraint("prefix", name="uq_operator_keys_prefix"),
    )
    op.create_index("ix_operator_keys_operator_id", "operator_keys", ["operator_id"])
    op.create_table(
        "api_answers",
        sa.Column("digest", sa.LargeBinary(32), nullable=False),
        sa.Column("id", sa.String(22), nullable=False),
        sa.Column("request", sa.LargeBinary(32), nullable=False),
        sa.Column("status", sa.SmallInteger(), nullable=False, server_default="0"),
        sa.Column("body", sa.Text(), nullable=False, server_default=""),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_api_answers"),
    )
    op.create_index("ix_api_answers_at", "api_answers", ["at"])
