"""People by the million, written by the database itself, in the shape that an import leaves them in."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, text

from keyback.application.clock import wall_clock

# Ids look random, as real ones do, so that indexes are hit all over.
IDS_PG = "substr(md5('{0}' || i), 1, 22)"
IDS_SQLITE = "'{0}' || substr('000000000000000000000' || i, -21)"
SERIES_PG = "generate_series({first}, {last}) AS s(i)"
SERIES_SQLITE = (
    "(WITH RECURSIVE s(i) AS (VALUES({first}) UNION ALL SELECT i + 1 FROM s WHERE i < {last}) SELECT i FROM s)"
)
CHUNK = 1_000_000


def known(i: int) -> str:
    """The mail address of seeded person `i`."""
    return f"user{i:08d}@example.com"


def unknown(i: int) -> str:
    """An address of nobody, of the same length."""
    return f"miss{i:08d}@example.com"


def people(conn: Connection, n: int) -> None:
    """Seeds people 0 to n - 1: one address, one account in the built-in system, two identifiers each."""
    pg = conn.dialect.name == "postgresql"
    ids, series = (IDS_PG, SERIES_PG) if pg else (IDS_SQLITE, SERIES_SQLITE)
    number = "lpad(i::text, 8, '0')" if pg else "substr('00000000' || i, -8)"
    person, account, contact = ids.format("p"), ids.format("a"), ids.format("c")
    now, locale = wall_clock(), "CASE WHEN i % 2 = 0 THEN 'en' ELSE 'zh_CN' END"
    name, mail = f"'user' || {number}", f"'user' || {number} || '@example.com'"
    inserts: Sequence[tuple[str, str]] = (
        (
            "people (id, key, name, locale, tier, state, created_at)",
            f"{person}, {name}, 'User ' || i, {locale}, 'standard', 'active', {now}",
        ),
        (
            "accounts (id, person_id, system, external_id, username, canonical, state)",
            f"{account}, {person}, 'builtin', {name}, {name}, {name}, 'active'",
        ),
        (
            "contacts (id, person_id, channel, address, role)",
            f"{contact}, {person}, 'mail', {mail}, 'primary'",
        ),
        ("identifiers (canonical, person_id, account_id)", f"{mail}, {person}, ''"),
        ("identifiers (canonical, person_id, account_id)", f"{name}, {person}, {account}"),
    )
    for first in range(0, n, CHUNK):
        rows = series.format(first=first, last=min(n, first + CHUNK) - 1)
        for target, values in inserts:
            conn.execute(text(f"INSERT INTO {target} SELECT {values} FROM {rows}"))
