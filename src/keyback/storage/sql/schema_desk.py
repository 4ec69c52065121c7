"""Tables of the help desk: operators with what they sign in with, and the work on cases."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    TextClause,
    UniqueConstraint,
)
from sqlalchemy import text as sql

from keyback.domain.people.person import Tier
from keyback.storage.sql.schema import ID, metadata, where_rows

# Apart from people: nobody recovers an operator's sign-in through the portal.
operators = Table(
    "operators",
    metadata,
    Column("id", ID, primary_key=True),
    Column("name", Text, nullable=False),
    Column("mail", String(1024), nullable=False),  # canonical
    Column("role", String(24), nullable=False),
    Column("state", String(10), nullable=False),  # invited | active | removed
    Column("person_id", String(22), nullable=False, server_default=""),  # the same human being, where they are one
    Column("security_version", Integer, nullable=False, server_default="0"),
    Column("phc", Text),  # no password: a passkey alone
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=False, server_default="0"),
    Column("kind", String(10), nullable=False, server_default="human"),  # human | program
    Index("uq_operators_mail", "mail", unique=True, **where_rows("state <> 'removed'")),
    Index("ix_operators_person_id", "person_id", **where_rows("person_id <> ''")),
)

operator_factors = Table(
    "operator_factors",
    metadata,
    Column("id", ID, primary_key=True),
    Column("operator_id", ID, ForeignKey("operators.id"), nullable=False, index=True),
    Column("kind", String(20), nullable=False),  # totp | passkey
    Column("label", String(80), nullable=False, server_default=""),
    Column("state", String(10), nullable=False),  # active | removed
    Column("lookup", LargeBinary(32), unique=True),  # digest of a passkey's credential id
    Column("sealed", LargeBinary, nullable=False),
    Column("counter", BigInteger, nullable=False, server_default="0"),
    Column("added_at", BigInteger, nullable=False),
    Column("used_at", BigInteger, nullable=False, server_default="0"),
    Column("ended_at", BigInteger, nullable=False, server_default="0"),
)

# Set-up links; the token's digest is the key.
operator_links = Table(
    "operator_links",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("operator_id", ID, ForeignKey("operators.id"), nullable=False, index=True),
    Column("security_version", Integer, nullable=False),
    Column("tries", SmallInteger, nullable=False, server_default="0"),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("used_at", BigInteger),
)

# Keys of the admin API; each program is a row of `operators`.
operator_keys = Table(
    "operator_keys",
    metadata,
    Column("id", ID, primary_key=True),
    Column("operator_id", ID, ForeignKey("operators.id"), nullable=False, index=True),
    Column("prefix", String(8), nullable=False, unique=True),
    Column("digest", LargeBinary(32), nullable=False),
    Column("scopes", Text, nullable=False),  # JSON list of permissions
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(22), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("used_at", BigInteger, nullable=False, server_default="0"),
    Column("used_from", String(45), nullable=False, server_default=""),
    Column("ended_at", BigInteger, nullable=False, server_default="0"),
)

# What an act through the admin API was answered with, for whoever sends it again; ids and codes only.
api_answers = Table(
    "api_answers",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),  # of the program and its idempotency key
    Column("id", ID, nullable=False),
    Column("request", LargeBinary(32), nullable=False),  # digest of what was asked
    Column("status", SmallInteger, nullable=False, server_default="0"),
    Column("body", Text, nullable=False, server_default=""),
    Column("at", BigInteger, nullable=False, index=True),
)

operator_sessions = Table(
    "operator_sessions",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("operator_id", ID, ForeignKey("operators.id"), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("source", String(45), nullable=False),
    Column("device", String(120), nullable=False),
    Column("proven_at", BigInteger, nullable=False, server_default="0"),  # of the last step-up
)

# What operators do with a case; a case that nobody touched has no row.
desk_work = Table(
    "desk_work",
    metadata,
    Column("case_id", ID, ForeignKey("cases.id"), primary_key=True),
    Column("claimed_by", String(22), nullable=False, server_default=""),
    Column("claimed_at", BigInteger, nullable=False, server_default="0"),
    Column("worked_by", Text, nullable=False, server_default="[]"),  # JSON list of operators, ever
    Column("recommended_by", String(22), nullable=False, server_default=""),
    Column("recommended_page", String(22), nullable=False, server_default=""),
    Column("recommended_version", Integer, nullable=False, server_default="0"),
    Column("recommended_at", BigInteger, nullable=False, server_default="0"),
    Column("ticket", String(200), nullable=False, server_default=""),
    Index("ix_desk_work_ticket", "ticket", **where_rows("ticket <> ''")),
    Index("ix_desk_work_claimed_by", "claimed_by", **where_rows("claimed_by <> ''")),
)

# Filters of the queue that an operator keeps.
desk_views = Table(
    "desk_views",
    metadata,
    Column("id", ID, primary_key=True),
    Column("operator_id", ID, ForeignKey("operators.id"), nullable=False),
    Column("name", String(40), nullable=False),
    Column("query", String(200), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    UniqueConstraint("operator_id", "name"),
)

desk_notes = Table(
    "desk_notes",
    metadata,
    Column("id", ID, primary_key=True),
    Column("case_id", ID, ForeignKey("cases.id"), nullable=False),
    Column("operator_id", ID, ForeignKey("operators.id"), nullable=False),
    Column("kind", String(12), nullable=False),  # note | recommended | approved | declined
    Column("at", BigInteger, nullable=False),
    Column("sealed", LargeBinary, nullable=False),  # what they wrote
    Index("ix_desk_notes_case_id", "case_id", "at"),
)

WAITS_FOR_DESK = sql("cases.state = 'in_review'")
"""In the words of the partial index `ix_cases_desk`, which SQLite uses for no others."""


def waits_and_is(tier: Tier, pg: bool) -> TextClause:
    """Of one tier among them, in the words of the index `ix_cases_desk_…`."""
    at = "strpos" if pg else "instr"
    return sql(f"""{at}(cases.body, '"tier":"{tier}"') > 0""")
