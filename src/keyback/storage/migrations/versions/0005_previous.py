"""the password before the current one, to name the device that still has it

Revision ID: 0005
Revises: 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Columns that may be empty only: the version before goes on writing rows without them.
    op.add_column("failures", sa.Column("previous", sa.Boolean()))
    op.add_column("credentials", sa.Column("replaced", sa.Text()))
    some = sa.text("replaced IS NOT NULL")
    op.create_index("ix_credentials_replaced", "credentials", ["changed_at"], postgresql_where=some, sqlite_where=some)
