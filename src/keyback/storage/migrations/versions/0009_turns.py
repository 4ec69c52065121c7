"""whose turn it is among what waits, and the browser that asked

Revision ID: 0009
Revises: 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The version before goes on writing rows without these; theirs are taken first, in the order in which they came.
    for table, states in (("intakes", "new"), ("wants", "new"), ("outbox", "ready")):
        op.add_column(table, sa.Column("turn", sa.BigInteger(), nullable=False, server_default="0"))
        columns = ["kind", "turn"] if table == "outbox" else ["turn"]
        waits = sa.text(f"state = '{states}'")
        op.create_index(f"ix_{table}_turn", table, columns, postgresql_where=waits, sqlite_where=waits)
    op.add_column("intakes", sa.Column("device", sa.LargeBinary(32)))
    op.execute("UPDATE outbox SET turn = due_at WHERE state = 'ready'")
