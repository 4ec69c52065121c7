"""Tables of identity documents, and of photos to compare them with. Keys of documents have a table of their own, which
backups leave out: what was copied is never read again, whenever the original was destroyed."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, LargeBinary, String, Table, Text
from sqlalchemy import text as sql

from keyback.storage.sql.schema import ID, metadata, where_rows

documents = Table(
    "documents",
    metadata,
    Column("id", ID, primary_key=True),
    Column("case_id", ID, ForeignKey("cases.id"), nullable=False),
    Column("person_id", ID, nullable=False),
    Column("handle", String(22), nullable=False),
    Column("kind", String(12), nullable=False),
    Column("consent", String(12), nullable=False),
    Column("state", String(12), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("sent_at", BigInteger, nullable=False, server_default="0"),
    Column("decided_at", BigInteger, nullable=False, server_default="0"),
    Column("destroyed_at", BigInteger, nullable=False, server_default="0"),
    Column("appealed", Boolean, nullable=False, server_default=sql("false")),
    Column("seen_before", Boolean, nullable=False, server_default=sql("false")),
    Column("digest", LargeBinary(32)),  # of the pixels, with a key
    Column("image", LargeBinary),  # sealed under the key in `document_keys`
    Index("ix_documents_case_id", "case_id"),
    Index("ix_documents_handle", "handle", "created_at"),
    Index("ix_documents_digest", "digest"),
    Index("ix_documents_waiting", "sent_at", **where_rows("state IN ('waiting', 'third')")),
    Index("ix_documents_sent_at", "sent_at", "id"),
    Index("ix_documents_kept", "created_at", **where_rows("image IS NOT NULL")),
)

document_keys = Table(
    "document_keys",
    metadata,
    Column("document_id", ID, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
)

document_looks = Table(
    "document_looks",
    metadata,
    Column("document_id", ID, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),  # by which copies of the picture are known
)

person_photos = Table(
    "person_photos",
    metadata,
    Column("person_id", ID, primary_key=True),
    Column("added_at", BigInteger, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
)

document_reviews = Table(
    "document_reviews",
    metadata,
    Column("document_id", ID, ForeignKey("documents.id"), primary_key=True),
    Column("operator_id", ID, ForeignKey("operators.id"), primary_key=True),
    Column("taken_at", BigInteger, nullable=False),
    Column("verdict", String(3), nullable=False, server_default=""),
    Column("checks", Text, nullable=False, server_default="[]"),
    Column("at", BigInteger, nullable=False, server_default="0"),
    Column("third", Boolean, nullable=False, server_default=sql("false")),
)
