"""Rows for contracts of storage."""

from __future__ import annotations

import secrets
from typing import Any

from keyback.application.ports.storage import Intake
from keyback.domain.units import HOUR
from keyback.storage.database import SqlDatabase


def intake(handle: str = "", **over: Any) -> Intake:
    values = {
        "handle": handle or secrets.token_urlsafe(16),
        "identifier": "maya@example.com",
        "subject": b"s" * 16,
        "journey": "password",
        "system": "",
        "locale": "en",
        "source": "192.0.2.7",
        "agent": "",
        "asked_at": 1_795_000_000_000,
        "expires_at": 1_795_000_000_000 + 24 * HOUR,
        **over,
    }
    return Intake(**values)


def dump(db: SqlDatabase) -> str:
    """All rows of all tables, bytes as Latin-1 so that a text inside of them is found."""
    from keyback.storage.sql.schema import metadata

    out = []
    with db.engine.connect() as conn:
        for table in metadata.sorted_tables:
            for row in conn.execute(table.select()):
                out += [v.decode("latin-1") if isinstance(v, (bytes, memoryview)) else str(v) for v in row]
    return "\n".join(out)
