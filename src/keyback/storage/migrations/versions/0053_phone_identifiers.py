"""people are found by their phone numbers

Revision ID: 0053
Revises: 0052

An index, which the version before never asks for.
"""

import sqlalchemy as sa
from alembic import op

revision = "0053"
down_revision = "0052"
branch_labels = None
depends_on = None


def upgrade() -> None:
    rows = sa.text("channel = 'sms'")
    op.create_index("ix_contacts_phone", "contacts", ["address"], postgresql_where=rows, sqlite_where=rows)
