"""what the console shows of the outbox, and of the queue by tier

Revision ID: 0046
Revises: 0045

Indexes alone: the version before goes on as it was.
"""

import sqlalchemy as sa
from alembic import op

revision = "0046"
down_revision = "0045"
branch_labels = None
depends_on = None


def _index(name: str, table: str, first: str, rows: str, sqlite_rows: str = "") -> None:
    on_sqlite = sa.text(sqlite_rows or rows)
    op.create_index(name, table, [first, "id"], postgresql_where=sa.text(rows), sqlite_where=on_sqlite)


def upgrade() -> None:
    _index("ix_outbox_dead", "outbox", "created_at", "state = 'dead'")
    _index("ix_outbox_failing", "outbox", "created_at", "state = 'ready' AND last_code <> ''")
    for tier in ("standard", "mfa", "privileged"):
        rows = f"state = 'in_review' AND strpos(body, '\"tier\":\"{tier}\"') > 0"
        _index(f"ix_cases_desk_{tier}", "cases", "opened_at", rows, rows.replace("strpos", "instr"))
