# ruff: noqa: S608 - names of ours, no values
"""one table for everything that is put to people

Revision ID: 0012
Revises: 0011

Until now there were two: `challenges` for the mailed link, `prompts` for all else. From here on a mailed link is a row
of `prompts` like any other, with `purpose` recovery and `proof` email_link.

Expand, this migration: `prompts` gets the two columns that only mailed links have, and every row of `challenges` is
copied into it. The version before goes on reading and writing `challenges`, so triggers carry each of its rows and
changes over, and each of ours back: a link that either version mailed works, and is used up once, on nodes of both.
Nothing is locked for longer than the copy takes, and going back needs no migration back.

Contract, the next version: once no node of the version before is left, drop the triggers and `challenges`. Until then
whoever rebuilds one of the two tables (`batch_alter_table` on SQLite) has to make its triggers again.
"""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

CODE_LIFE = 600_000
SAME = "case_id, person_id, nonce, key_id, security_version, stop_digest, created_at, ended, ended_at, fetched_at"
OLD = f"id, intake_id, contact_id, link_digest, link_expires_at, code_expires_at, {SAME}"
NEW = f"id, handle, target, digest, expires_at, {SAME}"


def _old(row: str, least: str) -> str:
    """A row of `challenges` out of one of `prompts`."""
    columns = ", ".join(f"{row}.{c}" for c in NEW.split(", ")[:5])
    rest = ", ".join(f"{row}.{c}" for c in SAME.split(", "))
    return f"{columns}, {least}({row}.expires_at, {row}.created_at + {CODE_LIFE}), {rest}"


def _new(row: str) -> str:
    """A row of `prompts` out of one of `challenges`."""
    columns = ", ".join(f"{row}.{c}" for c in (*OLD.split(", ")[:5], *SAME.split(", ")))
    return f"'recovery', 'email_link', {columns}"


INTO_OLD = f"INSERT INTO challenges ({OLD})"
INTO_NEW = f"INSERT INTO prompts (purpose, proof, {NEW})"


def upgrade() -> None:
    op.add_column("prompts", sa.Column("stop_digest", sa.LargeBinary(32)))
    op.add_column("prompts", sa.Column("fetched_at", sa.BigInteger()))
    op.create_index("ix_prompts_stop_digest", "prompts", ["stop_digest"], unique=True)
    # First the triggers: on PostgreSQL they wait for whoever is writing a link, and nothing is missed by the copy.
    _postgres() if op.get_bind().dialect.name == "postgresql" else _sqlite()
    op.execute(f"{INTO_NEW} SELECT {_new('c')} FROM challenges AS c WHERE c.id NOT IN (SELECT id FROM prompts)")


def _sqlite() -> None:
    op.execute(
        f"""CREATE TRIGGER challenges_added AFTER INSERT ON challenges
        WHEN NOT EXISTS (SELECT 1 FROM prompts WHERE id = NEW.id)
        BEGIN {INTO_NEW} VALUES ({_new("NEW")}); END"""
    )
    op.execute(
        f"""CREATE TRIGGER prompts_added AFTER INSERT ON prompts
        WHEN NEW.proof = 'email_link' AND NOT EXISTS (SELECT 1 FROM challenges WHERE id = NEW.id)
        BEGIN {INTO_OLD} VALUES ({_old("NEW", "min")}); END"""
    )
    op.execute(
        f"""CREATE TRIGGER challenges_changed
        AFTER UPDATE OF ended, ended_at, fetched_at, link_expires_at ON challenges
        WHEN {_differs("link_expires_at", "IS NOT")}
        BEGIN UPDATE prompts SET ended = NEW.ended, ended_at = NEW.ended_at, fetched_at = NEW.fetched_at,
        expires_at = NEW.link_expires_at WHERE id = NEW.id; END"""
    )
    op.execute(
        f"""CREATE TRIGGER prompts_changed
        AFTER UPDATE OF ended, ended_at, fetched_at, expires_at ON prompts
        WHEN NEW.proof = 'email_link' AND ({_differs("expires_at", "IS NOT")})
        BEGIN UPDATE challenges SET ended = NEW.ended, ended_at = NEW.ended_at, fetched_at = NEW.fetched_at,
        link_expires_at = NEW.expires_at, code_expires_at = min(code_expires_at, NEW.expires_at)
        WHERE id = NEW.id; END"""
    )


def _postgres() -> None:
    for name, statement in (
        ("challenges_added", f"{INTO_NEW} SELECT {_new('c')} FROM added AS c ON CONFLICT (id) DO NOTHING"),
        (
            "prompts_added",
            f"{INTO_OLD} SELECT {_old('p', 'least')} FROM added AS p WHERE p.proof = 'email_link'"
            " ON CONFLICT (id) DO NOTHING",
        ),
        (
            "challenges_changed",
            "UPDATE prompts SET ended = NEW.ended, ended_at = NEW.ended_at, fetched_at = NEW.fetched_at,"
            " expires_at = NEW.link_expires_at WHERE id = NEW.id",
        ),
        (
            "prompts_changed",
            "UPDATE challenges SET ended = NEW.ended, ended_at = NEW.ended_at, fetched_at = NEW.fetched_at,"
            " link_expires_at = NEW.expires_at, code_expires_at = least(code_expires_at, NEW.expires_at)"
            " WHERE id = NEW.id",
        ),
    ):
        op.execute(
            f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {statement}; RETURN NULL; END $$"
        )
    for table in ("challenges", "prompts"):
        # For each statement: a batch of links is one insert here and one there.
        op.execute(
            f"CREATE TRIGGER {table}_added AFTER INSERT ON {table} REFERENCING NEW TABLE AS added"
            f" FOR EACH STATEMENT WHEN (pg_trigger_depth() = 0) EXECUTE FUNCTION {table}_added()"
        )
    for table, end, mine in (
        ("challenges", "link_expires_at", ""),
        ("prompts", "expires_at", "NEW.proof = 'email_link' AND "),
    ):
        op.execute(
            f"CREATE TRIGGER {table}_changed AFTER UPDATE OF ended, ended_at, fetched_at, {end} ON {table} FOR EACH ROW"
            f" WHEN (pg_trigger_depth() = 0 AND {mine}({_differs(end, 'IS DISTINCT FROM')}))"
            f" EXECUTE FUNCTION {table}_changed()"
        )


def _differs(end: str, unlike: str) -> str:
    return " OR ".join(f"NEW.{c} {unlike} OLD.{c}" for c in ("ended", "ended_at", "fetched_at", end))
