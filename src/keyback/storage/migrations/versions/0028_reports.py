"""figures by day

Revision ID: 0028
Revises: 0027

New tables: the version before neither reads nor writes them. Figures begin with the first audit row.
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def _number(
    name: str, kind: type[sa.types.TypeEngine[int]] = sa.BigInteger, default: str | None = None
) -> sa.Column[int]:
    return sa.Column(name, kind(), nullable=False, server_default=default)


def _word(name: str, length: int) -> sa.Column[str]:
    return sa.Column(name, sa.String(length=length), nullable=False)


def upgrade() -> None:
    op.create_table(
        "report_days",
        _word("day", 10),
        _word("figure", 30),
        _word("part", 60),
        _number("value"),
        sa.PrimaryKeyConstraint("day", "figure", "part", name="pk_report_days"),
    )
    op.create_table(
        "report_cases",
        _word("case_id", 22),
        _word("person_id", 22),
        _number("opened_at"),
        _number("held_from", default="0"),
        _number("held_ms", default="0"),
        sa.Column("desk", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        _number("claims", sa.Integer, "0"),
        _number("stage", sa.SmallInteger, "1"),
        _number("recovered_at", default="0"),
        sa.PrimaryKeyConstraint("case_id", name="pk_report_cases"),
    )
    op.create_index("ix_report_cases_person_id", "report_cases", ["person_id"])
    op.create_index("ix_report_cases_opened_at", "report_cases", ["opened_at"])
    places = op.create_table(
        "report_places", _word("name", 40), _number("value"), sa.PrimaryKeyConstraint("name", name="pk_report_places")
    )
    op.bulk_insert(places, [{"name": "events", "value": 0}])
