"""contacts have to be confirmed once a year

Revision ID: 0010
Revises: 0009
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

DAY = 24 * 3_600_000
# Nothing weighs less on the day of the upgrade: whatever is older counts as this old, so that its owner is asked in two
# months, and has another one to answer (`domain.people.ages`).
OLDEST = 305 * DAY
NOW = {
    "sqlite": "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)",
    "postgresql": "CAST(EXTRACT(EPOCH FROM now()) * 1000 AS BIGINT)",
}


def upgrade() -> None:
    # With defaults: the version before goes on writing rows without them.
    op.add_column("contacts", sa.Column("confirmed_at", sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("contacts", sa.Column("reminded", sa.SmallInteger(), nullable=False, server_default="0"))
    oldest = f"{NOW[op.get_bind().dialect.name]} - {OLDEST}"
    op.execute(
        f"UPDATE contacts SET confirmed_at = CASE WHEN added_at > {oldest} THEN added_at ELSE {oldest} END"  # noqa: S608
        " WHERE role <> 'primary'"
    )
    others = sa.text("role = 'recovery'")
    op.create_index("ix_contacts_colleagues", "contacts", ["address"], postgresql_where=others, sqlite_where=others)
    some = sa.text("role = 'backup'")
    op.create_index(
        "ix_contacts_reminded", "contacts", ["reminded", "confirmed_at"], postgresql_where=some, sqlite_where=some
    )
