"""addresses that change in an import take each other's place after a wait

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # With defaults: the version before goes on writing rows without them.
    op.add_column("contacts", sa.Column("ended_by", sa.String(10), nullable=False, server_default=""))
    op.add_column("contacts", sa.Column("replaces", sa.String(22), nullable=False, server_default=""))
    some = sa.text("replaces <> ''")
    op.create_index("ix_contacts_replaces", "contacts", ["usable_from"], postgresql_where=some, sqlite_where=some)
