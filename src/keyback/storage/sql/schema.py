"""Tables. Instants are milliseconds since 1970 (UTC), ids are 22 characters of base64url, JSON is text."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)
ID = String(22)


def where_rows(rows: str) -> dict[str, Any]:
    """Of a partial index: its rows."""
    return {"postgresql_where": text(rows), "sqlite_where": text(rows)}


def waits_of_tier(tier: str) -> dict[str, Any]:
    """Of a partial index: cases that wait for the help desk, of one tier. Nodes of the version before write no column
    that says so."""
    rows, part = "state = 'in_review' AND {}(body, '{}') > 0", f'"tier":"{tier}"'
    return {f"{db}_where": text(rows.format(at, part)) for db, at in (("postgresql", "strpos"), ("sqlite", "instr"))}


people = Table(
    "people",
    metadata,
    Column("id", ID, primary_key=True),
    Column("key", String(254), unique=True),  # what an import knows this person by
    Column("name", Text, nullable=False),
    Column("locale", String(8), nullable=False),
    Column("tier", String(12), nullable=False),
    Column("state", String(10), nullable=False),
    Column("security_version", Integer, nullable=False, server_default="0"),
    Column("created_at", BigInteger, nullable=False),
    Index("ix_people_name", "name"),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", ID, primary_key=True),
    Column("person_id", ID, ForeignKey("people.id"), nullable=False, index=True),
    Column("system", String(40), nullable=False),
    Column("external_id", String(254), nullable=False),
    Column("username", String(254), nullable=False),
    Column("canonical", String(1024), nullable=False),
    Column("state", String(10), nullable=False),
    Column("privileged", Boolean, nullable=False, server_default=text("false")),
    Column("provider", String(80), nullable=False, server_default=""),
    Column("generation", Integer, nullable=False, server_default="0"),  # of the sync that met it last; 0: none has
    Column("manager", String(254), nullable=False, server_default=""),  # external id, in the same system
    Column("manager_since", BigInteger, nullable=False, server_default="0"),  # when a sync first said so
    UniqueConstraint("system", "external_id"),
    UniqueConstraint("system", "canonical"),
)

contacts = Table(
    "contacts",
    metadata,
    Column("id", ID, primary_key=True),
    Column("person_id", ID, ForeignKey("people.id"), nullable=False, index=True),
    Column("channel", String(10), nullable=False),
    Column("address", String(254), nullable=False),
    Column("role", String(10), nullable=False),
    Column("state", String(10), nullable=False, server_default="confirmed"),  # pending | confirmed | removed
    Column("origin", String(10), nullable=False, server_default="import"),  # import | person: who keeps it up to date
    Column("name", Text, nullable=False, server_default=""),  # of a recovery contact
    Column("added_at", BigInteger, nullable=False, server_default="0"),
    Column("usable_from", BigInteger, nullable=False, server_default="0"),  # new ones cool in before they can recover
    Column("ended_at", BigInteger, nullable=False, server_default="0"),
    Column("ended_by", String(10), nullable=False, server_default=""),  # import: its file took it away; else the person
    Column("replaces", String(22), nullable=False, server_default=""),  # whose place it takes once it may recover
    Column("confirmed_at", BigInteger, nullable=False, server_default="0"),  # last shown to be theirs; 0: when added
    Column("reminded", SmallInteger, nullable=False, server_default="0"),  # how often its owner was asked since
    Column("bounce", String(10), nullable=False, server_default=""),  # refused | returned
    Column("bounce_at", BigInteger, nullable=False, server_default="0"),  # since when; else last reached
    UniqueConstraint("person_id", "channel", "address"),
    Index("ix_contacts_replaces", "usable_from", **where_rows("replaces <> ''")),
    Index("ix_contacts_colleagues", "address", **where_rows("role = 'recovery'")),
    Index("ix_contacts_phone", "address", **where_rows("channel = 'sms'")),
    Index("ix_contacts_reminded", "reminded", "confirmed_at", **where_rows("role = 'backup'")),
)

# What is enrolled besides contacts. `sealed` holds what must not be read from a stolen database.
factors = Table(
    "factors",
    metadata,
    Column("id", ID, primary_key=True),
    Column("person_id", ID, ForeignKey("people.id"), nullable=False, index=True),
    Column("kind", String(20), nullable=False),  # totp | passkey | recovery_codes | security_questions
    Column("label", String(80), nullable=False, server_default=""),
    Column("state", String(10), nullable=False),  # pending | active | removed
    Column("lookup", LargeBinary(32), unique=True),  # digest of a passkey's credential id
    Column("sealed", LargeBinary, nullable=False),
    Column("counter", BigInteger, nullable=False, server_default="0"),  # last TOTP step, or a passkey's sign count
    Column("added_at", BigInteger, nullable=False),
    Column("usable_from", BigInteger, nullable=False, server_default="0"),
    Column("used_at", BigInteger, nullable=False, server_default="0"),
    Column("ended_at", BigInteger, nullable=False, server_default="0"),
)

# The saved recovery codes of a factor, each hashed like a password; `slot` is the part that finds the row.
saved_codes = Table(
    "saved_codes",
    metadata,
    Column("id", ID, primary_key=True),
    Column("factor_id", ID, ForeignKey("factors.id"), nullable=False),
    Column("slot", String(8), nullable=False),
    Column("phc", Text, nullable=False),
    Column("added_at", BigInteger, nullable=False),
    Column("used_at", BigInteger),
    UniqueConstraint("factor_id", "slot"),
)

# Browsers that a person signed in with; the cookie's digest is the key.
devices = Table(
    "devices",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("person_id", ID, ForeignKey("people.id"), primary_key=True),
    Column("words", String(120), nullable=False),
    Column("source", String(45), nullable=False),
    Column("added_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Index("ix_devices_person_id", "person_id"),
)

# Challenges that a holder of an intake asked for; the worker finds whom they are about, if anybody.
wants = Table(
    "wants",
    metadata,
    Column("handle", ID, primary_key=True),
    Column("proof", String(20), primary_key=True),
    Column("target", String(22), nullable=False, server_default=""),  # chosen once somebody has proven who they are
    Column("state", String(8), nullable=False),  # new | done
    Column("asked_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("tries", SmallInteger, nullable=False, server_default="0"),
    Column("sends", SmallInteger, nullable=False, server_default="1"),
    Column("turn", BigInteger, nullable=False, server_default="0"),  # in which order they are looked up
    Index("ix_wants_new", "asked_at", postgresql_where=text("state = 'new'"), sqlite_where=text("state = 'new'")),
    Index("ix_wants_turn", "turn", postgresql_where=text("state = 'new'"), sqlite_where=text("state = 'new'")),
)

# One question put to one person: by mail, by SMS, by an authenticator, at enrolment, at step-up, or a link that cancels
# something. The names of the table and of `proof` are the version before's, which reads it too (ADR 36).
challenges = Table(
    "prompts",
    metadata,
    Column("id", ID, primary_key=True),
    Column("purpose", String(10), nullable=False),  # recovery | enrol | step_up | sign_in | cancel
    Column("proof", String(20), nullable=False),  # the method
    Column("handle", String(22), nullable=False, server_default=""),
    Column("case_id", String(22), nullable=False, server_default=""),
    Column("person_id", ID, nullable=False),
    Column("target", String(22), nullable=False, server_default=""),  # a contact's or factor's id
    Column("nonce", LargeBinary(32), nullable=False),
    Column("key_id", String(8), nullable=False),
    Column("digest", LargeBinary(32), unique=True),  # of the link's token, where a link goes with it
    Column("stop_digest", LargeBinary(32)),  # of the second link of a mail that starts a recovery
    Column("security_version", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("ended", String(14)),
    Column("ended_at", BigInteger),
    Column("fetched_at", BigInteger),  # its link has fetched a mail for another request of its reader
    Index("ix_prompts_handle", "handle", "proof"),
    Index("ix_prompts_person_id", "person_id", "purpose"),
    Index("ix_prompts_case_id", "case_id"),
    Index("ix_prompts_stop_digest", "stop_digest", unique=True),
)

# Wrong passwords of an account (or unknown name) by what was tried and whence; the same one from there counts once.
failures = Table(
    "failures",
    metadata,
    Column("name", String(80), primary_key=True),  # the counters' name of an account or of an unknown name
    Column("network", String(16), primary_key=True),  # digest
    # The first bytes of a keyed digest of the password that was tried; 16 random ones while it is looked at.
    Column("tried", LargeBinary(16), primary_key=True),
    Column("source", String(45), nullable=False),
    Column("device", String(120), nullable=False),
    Column("count", Integer, nullable=False),
    Column("first_at", BigInteger, nullable=False),
    Column("last_at", BigInteger, nullable=False, index=True),
    Column("previous", Boolean),  # whether it is the password before the current one; empty: nobody looked
)

# Every canonical form by which somebody may be looked up, whatever table it stems from.
identifiers = Table(
    "identifiers",
    metadata,
    Column("canonical", String(1024), primary_key=True),
    Column("person_id", ID, ForeignKey("people.id"), primary_key=True),
    Column("account_id", String(22), primary_key=True, server_default=""),
    Index("ix_identifiers_person_id", "person_id"),
)

credentials = Table(
    "credentials",
    metadata,
    Column("account_id", ID, ForeignKey("accounts.id"), primary_key=True),
    Column("phc", Text, nullable=False),
    Column("job_id", String(22), nullable=False, server_default=""),
    Column("changed_at", BigInteger, nullable=False),
    Column(
        "reminded", SmallInteger, nullable=False, server_default="0"
    ),  # steps of `application.passwords.expiry` taken
    Column("replaced", Text),  # the hash before, for a month: tells whose device still has the old password
    Index("ix_credentials_reminded", "reminded", "changed_at"),
    Index(
        "ix_credentials_replaced",
        "changed_at",
        postgresql_where=text("replaced IS NOT NULL"),
        sqlite_where=text("replaced IS NOT NULL"),
    ),
)

# Hashes that were replaced, as many as the rules ask to remember; none where they ask for none.
password_history = Table(
    "password_history",
    metadata,
    Column("id", ID, primary_key=True),
    Column("account_id", ID, ForeignKey("accounts.id"), nullable=False),
    Column("phc", Text, nullable=False),
    Column("changed_at", BigInteger, nullable=False),  # when it was set
    Index("ix_password_history_account_id", "account_id", "changed_at"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("digest", LargeBinary(32), primary_key=True),
    Column("person_id", ID, ForeignKey("people.id"), nullable=False, index=True),
    Column("account_id", ID, ForeignKey("accounts.id"), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("source", String(45), nullable=False),
    Column("device", String(120), nullable=False),
    Column("must_change", String(10), nullable=False, server_default=""),  # due | breached
    Column("proven", String(20), nullable=False, server_default=""),  # the second step that was taken; empty: none
    Column("proven_at", BigInteger, nullable=False, server_default="0"),  # of the last step-up
)

intakes = Table(
    "intakes",
    metadata,
    Column("handle", ID, primary_key=True),
    Column("identifier", LargeBinary, nullable=False),  # sealed: people type passwords into the wrong field
    Column("subject", LargeBinary(16), nullable=False),  # keyed digest of the canonical identifier
    Column("journey", String(20), nullable=False),
    Column("system", String(40), nullable=False),
    Column("locale", String(8), nullable=False),
    Column("source", String(45), nullable=False),
    Column("agent", String(200), nullable=False),
    Column("asked_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False, index=True),
    Column("state", String(8), nullable=False),  # new | done | stopped
    Column("tries", SmallInteger, nullable=False, server_default="0"),
    Column("sends", SmallInteger, nullable=False, server_default="1"),
    Column("case_id", String(22)),  # set by the proof that was accepted here
    Column("fetched_for", ID),  # the person whose mailbox's reader asked for the mail that is due
    Column("device", LargeBinary(32)),  # digest of the cookie by which the browser says it is known
    Column("turn", BigInteger, nullable=False, server_default="0"),  # in which order they are looked up
    Index("ix_intakes_new", "asked_at", postgresql_where=text("state = 'new'"), sqlite_where=text("state = 'new'")),
    Index("ix_intakes_turn", "turn", postgresql_where=text("state = 'new'"), sqlite_where=text("state = 'new'")),
)

cases = Table(
    "cases",
    metadata,
    Column("id", ID, primary_key=True),
    Column("person_id", ID, ForeignKey("people.id"), nullable=False),
    Column("journey", String(20), nullable=False),
    Column("state", String(12), nullable=False),
    Column("version", Integer, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("opened_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("body", Text, nullable=False),
    Index("ix_cases_opened_at", "opened_at"),
    Index("ix_cases_person_id", "person_id"),
    Index(
        "uq_cases_one_open",
        "person_id",
        unique=True,
        postgresql_where=text("open"),
        sqlite_where=text("open"),
    ),
    Index("ix_cases_desk", "opened_at", "id", **where_rows("state = 'in_review'")),
    *(Index(f"ix_cases_desk_{t}", "opened_at", "id", **waits_of_tier(t)) for t in ("standard", "mfa", "privileged")),
    Index("ix_cases_expiry", "expires_at", postgresql_where=text("open"), sqlite_where=text("open")),
)

# Budgets that protect people are rows, so that they survive restarts and count for all nodes.
counters = Table(
    "counters",
    metadata,
    Column("key", String(80), primary_key=True),
    Column("total", Integer, nullable=False),  # consecutive, until reset
    Column("hour_from", BigInteger, nullable=False),
    Column("hour", Integer, nullable=False),
    Column("day_from", BigInteger, nullable=False),
    Column("day", Integer, nullable=False),
    # Of the window before: how many, and until when they count (`storage.stores.counters`).
    Column("hour_before", Integer, nullable=False, server_default="0"),
    Column("hour_until", BigInteger, nullable=False, server_default="0"),
    Column("day_before", Integer, nullable=False, server_default="0"),
    Column("day_until", BigInteger, nullable=False, server_default="0"),
    Column("last_at", BigInteger, nullable=False, server_default="0"),  # when something was counted last
    Column("prior_at", BigInteger, nullable=False, server_default="0"),  # and the time before
    Index("ix_counters_day_from", "day_from"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", ID, primary_key=True),
    Column("kind", String(12), nullable=False),  # mail | apply | remind
    Column("state", String(8), nullable=False),  # ready | dead
    Column("body", Text, nullable=False),  # ids and plain facts, never a secret
    Column("sealed", LargeBinary),
    Column("created_at", BigInteger, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("attempts", SmallInteger, nullable=False, server_default="0"),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("last_code", String(40), nullable=False, server_default=""),
    Column("turn", BigInteger, nullable=False, server_default="0"),  # in which order what is due is taken
    Index(
        "ix_outbox_due",
        "kind",
        "due_at",
        postgresql_where=text("state = 'ready'"),
        sqlite_where=text("state = 'ready'"),
    ),
    Index(
        "ix_outbox_turn",
        "kind",
        "turn",
        postgresql_where=text("state = 'ready'"),
        sqlite_where=text("state = 'ready'"),
    ),
    Index("ix_outbox_dead", "created_at", "id", **where_rows("state = 'dead'")),
    Index("ix_outbox_failing", "created_at", "id", **where_rows("state = 'ready' AND last_code <> ''")),
)

events = Table(
    "events",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False),
    Column("stream", String(40), nullable=False),
    Column("type", String(40), nullable=False),
    Column("data", Text, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
    Index("ix_events_stream", "stream", "seq"),
)

# Check values of keys and peppers, the row by which readiness tries to write, and the host of older passkeys.
installation = Table(
    "installation",
    metadata,
    Column("name", String(40), primary_key=True),  # key/k1 | chain/k1 | pepper/1a2b3c4d | probe | passkey_host
    Column("value", LargeBinary, nullable=False),
    Column("at", BigInteger, nullable=False),
)

audit_head = Table(
    "audit_head",
    metadata,
    Column("id", SmallInteger, primary_key=True),
    Column("seq", BigInteger, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
)
