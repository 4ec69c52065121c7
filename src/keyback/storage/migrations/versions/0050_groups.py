"""groups that people are in, as files and systems name them

Revision ID: 0050
Revises: 0049

A new table, which the version before neither reads nor writes. It fills with the next import and sync.
"""

import sqlalchemy as sa
from alembic import op

revision = "0050"
down_revision = "0049"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "person_groups",
        sa.Column("person_id", sa.String(length=22), nullable=False),
        sa.Column("account_id", sa.String(length=22), nullable=False),
        sa.Column("canonical", sa.String(length=120), nullable=False),
        sa.Column("name", sa.String(length=120), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name="fk_person_groups_person_id"),
        sa.PrimaryKeyConstraint("person_id", "account_id", "canonical", name="pk_person_groups"),
    )
    op.create_index("ix_person_groups_canonical", "person_groups", ["canonical", "person_id"])
    op.create_index("ix_person_groups_account_id", "person_groups", ["account_id"])
