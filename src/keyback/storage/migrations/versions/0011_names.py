"""canonical forms of names are those of today: a domain is looked up before it is folded

Revision ID: 0011
Revises: 0010
"""

from alembic import op

from keyback.storage.maintenance.names import reindex

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    reindex(op.get_bind())
