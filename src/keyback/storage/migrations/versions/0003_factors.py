"""factors

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Columns with defaults only: the version before goes on writing rows without them.
    op.create_table(
        "failures",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("network", sa.String(length=16), nullable=False),
        sa.Column("tried", sa.LargeBinary(length=16), nullable=False),
        sa.Column("source", sa.String(length=45), nullable=False),
        sa.Column("device", sa.String(length=120), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", "network", "tried", name=op.f("pk_failures")),
    )
    op.create_index("ix_failures_last_at", "failures", ["last_at"])

    op.create_table(
        "prompts",
        sa.Column("id", sa.String(length=22), nullable=False),
        sa.Column("purpose", sa.String(length=10), nullable=False),
        sa.Column("proof", sa.String(length=20), nullable=False),
        sa.Column("handle", sa.String(length=22), server_default="", nullable=False),
        sa.Column("case_id", sa.String(length=22), server_default="", nullable=False),
        sa.Column("person_id", sa.String(length=22), nullable=False),
        sa.Column("target", sa.String(length=22), server_default="", nullable=False),
        sa.Column("nonce", sa.LargeBinary(length=32), nullable=False),
        sa.Column("key_id", sa.String(length=8), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=True),
        sa.Column("security_version", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("ended", sa.String(length=14), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prompts")),
        sa.UniqueConstraint("digest", name=op.f("uq_prompts_digest")),
    )
    op.create_index("ix_prompts_case_id", "prompts", ["case_id"])
    op.create_index("ix_prompts_expires_at", "prompts", ["expires_at"])
    op.create_index("ix_prompts_handle", "prompts", ["handle", "proof"])
    op.create_index("ix_prompts_person_id", "prompts", ["person_id", "purpose"])

    op.create_table(
        "wants",
        sa.Column("handle", sa.String(length=22), nullable=False),
        sa.Column("proof", sa.String(length=20), nullable=False),
        sa.Column("target", sa.String(length=22), server_default="", nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("asked_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.SmallInteger(), server_default="0", nullable=False),
        sa.Column("sends", sa.SmallInteger(), server_default="1", nullable=False),
        sa.PrimaryKeyConstraint("handle", "proof", name=op.f("pk_wants")),
    )
    op.create_index("ix_wants_expires_at", "wants", ["expires_at"])
    op.create_index(
        "ix_wants_new",
        "wants",
        ["asked_at"],
        postgresql_where=sa.text("state = 'new'"),
        sqlite_where=sa.text("state = 'new'"),
    )

    op.create_table(
        "devices",
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("person_id", sa.String(length=22), nullable=False),
        sa.Column("words", sa.String(length=120), nullable=False),
        sa.Column("source", sa.String(length=45), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("seen_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_devices_person_id")),
        sa.PrimaryKeyConstraint("digest", "person_id", name=op.f("pk_devices")),
    )
    op.create_index("ix_devices_expires_at", "devices", ["expires_at"])
    op.create_index("ix_devices_person_id", "devices", ["person_id"])

    op.create_table(
        "factors",
        sa.Column("id", sa.String(length=22), nullable=False),
        sa.Column("person_id", sa.String(length=22), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("label", sa.String(length=80), server_default="", nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("lookup", sa.LargeBinary(length=32), nullable=True),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("counter", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("usable_from", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("used_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("ended_at", sa.BigInteger(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(["person_id"], ["people.id"], name=op.f("fk_factors_person_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_factors")),
        sa.UniqueConstraint("lookup", name=op.f("uq_factors_lookup")),
    )
    op.create_index("ix_factors_person_id", "factors", ["person_id"])

    op.create_table(
        "saved_codes",
        sa.Column("id", sa.String(length=22), nullable=False),
        sa.Column("factor_id", sa.String(length=22), nullable=False),
        sa.Column("slot", sa.String(length=8), nullable=False),
        sa.Column("phc", sa.Text(), nullable=False),
        sa.Column("added_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["factor_id"], ["factors.id"], name=op.f("fk_saved_codes_factor_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_codes")),
        sa.UniqueConstraint("factor_id", "slot", name=op.f("uq_saved_codes_factor_id_slot")),
    )
    op.add_column("contacts", sa.Column("state", sa.String(length=10), server_default="confirmed", nullable=False))
    op.add_column("contacts", sa.Column("origin", sa.String(length=10), server_default="import", nullable=False))
    op.add_column("contacts", sa.Column("name", sa.Text(), server_default="", nullable=False))
    op.add_column("contacts", sa.Column("added_at", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("contacts", sa.Column("usable_from", sa.BigInteger(), server_default="0", nullable=False))
    op.add_column("contacts", sa.Column("ended_at", sa.BigInteger(), server_default="0", nullable=False))

    op.add_column("sessions", sa.Column("proven", sa.String(length=20), server_default="", nullable=False))
    op.add_column("sessions", sa.Column("proven_at", sa.BigInteger(), server_default="0", nullable=False))
