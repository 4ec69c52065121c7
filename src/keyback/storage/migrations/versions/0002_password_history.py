"""password history, rotation

Revision ID: 0002
Revises: 0001
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Columns with defaults only: the version before goes on writing rows without them.
    op.add_column("credentials", sa.Column("reminded", sa.SmallInteger(), server_default="0", nullable=False))
    op.create_index("ix_credentials_reminded", "credentials", ["reminded", "changed_at"])
    op.add_column("sessions", sa.Column("must_change", sa.String(length=10), server_default="", nullable=False))
    op.create_table(
        "password_history",
        sa.Column("id", sa.String(length=22), nullable=False),
        sa.Column("account_id", sa.String(length=22), nullable=False),
        sa.Column("phc", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_password_history_account_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_password_history")),
    )
    op.create_index("ix_password_history_account_id", "password_history", ["account_id", "changed_at"])
