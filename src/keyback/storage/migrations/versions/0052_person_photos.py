"""photos of people from HR's records

Revision ID: 0052
Revises: 0051

A new table, which the version before neither reads nor writes.
"""

import sqlalchemy as sa
from alembic import op

revision = "0052"
down_revision = "0051"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "person_photos",
        sa.Column("person_id", sa.String(length=22), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("person_id", name="pk_person_photos"),
    )
