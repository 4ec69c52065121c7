"""Which rows need which key of the ring: sealing them anew under the one in use, counting what an old one holds still.

A column of bytes that is new belongs into one of the three lists below; a test finds what is in none.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import Column, ColumnElement, bindparam, func, select, update

from keyback.application.passwords.hashing import PEPPERED
from keyback.storage.keys.keyring import Keyring, Unsealable
from keyback.storage.sql import schema as s
from keyback.storage.sql import schema_desk as d
from keyback.storage.sql import schema_documents as k
from keyback.storage.sql import schema_requests as r
from keyback.storage.sql.schema_actions import desk_actions
from keyback.storage.sql.schema_webhooks import webhooks
from keyback.storage.stores import actions as action_rows
from keyback.storage.stores import desk as desk_rows
from keyback.storage.stores import documents as document_rows
from keyback.storage.stores import factors as factor_rows
from keyback.storage.stores import help_requests as request_rows
from keyback.storage.stores import intakes as intake_rows
from keyback.storage.stores import operators as operator_rows
from keyback.storage.stores import photos as photo_rows
from keyback.storage.stores import webhooks as webhook_rows
from keyback.storage.tx import SqlTx


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed column: what it is sealed for, and the column whose value it is bound to."""

    column: Column[bytes]
    bound_to: Column[str]
    purpose: str

    @property
    def name(self) -> str:
        return self.column.table.name


LASTING = (
    Sealed(s.intakes.c.identifier, s.intakes.c.handle, intake_rows.PURPOSE),
    Sealed(s.factors.c.sealed, s.factors.c.id, factor_rows.PURPOSE),
    Sealed(d.operator_factors.c.sealed, d.operator_factors.c.id, operator_rows.PURPOSE),
    Sealed(d.desk_notes.c.sealed, d.desk_notes.c.id, desk_rows.PURPOSE),
    Sealed(r.help_requests.c.sealed, r.help_requests.c.handle, request_rows.PURPOSE),
    Sealed(desk_actions.c.sealed, desk_actions.c.id, action_rows.PURPOSE),
    Sealed(k.document_keys.c.sealed, k.document_keys.c.document_id, document_rows.PURPOSE),
    Sealed(k.document_looks.c.sealed, k.document_looks.c.document_id, document_rows.LOOK_PURPOSE),
    Sealed(k.person_photos.c.sealed, k.person_photos.c.person_id, photo_rows.PURPOSE),
    Sealed(webhooks.c.sealed, webhooks.c.id, webhook_rows.PURPOSE),
)
# Sealed for minutes: not worth sealing anew, but a key is needed as long as one of them is there.
PASSING = (s.outbox.c.sealed,)
# Digests, random bytes, and what says by `key_id` which key it needs.
OPEN = frozenset(
    {
        *("lookup", "digest", "nonce", "tried", "network", "subject", "device", "request"),
        *("link_digest", "stop_digest", "hash", "value", "name_digest"),
        "image",  # under a key of its own, in `document_keys`
    }
)


@dataclass(frozen=True, slots=True)
class Batch:
    """`last` is None at the end. `broken`: rows that no key of the ring opens."""

    last: str | None
    seen: int = 0
    sealed: int = 0
    broken: int = 0


def reseal(tx: SqlTx, what: Sealed, after: str, limit: int = 500) -> Batch:
    """Seals up to `limit` rows behind `after` under the key in use; rows that changed meanwhile are left alone."""
    query = select(what.bound_to, what.column).where(what.bound_to > after).order_by(what.bound_to).limit(limit)
    rows = [(r[0], bytes(r[1])) for r in tx.conn.execute(query)]
    if not rows:
        return Batch(None)
    head, broken = Keyring.head(tx.seals.primary), 0
    old: list[tuple[str, bytes, bytes]] = []
    for key, sealed in rows:
        if not sealed.startswith(head):
            try:
                old.append((key, sealed, tx.seals.open(sealed, what.purpose, key)))
            except Unsealable:
                broken += 1
    if old:
        new = tx.seals.seal_all([(plain, key) for key, _, plain in old], what.purpose)
        which = (what.bound_to == bindparam("k")) & (what.column == bindparam("old"))
        change = update(what.column.table).where(which).values({what.column.name: bindparam("new")})
        tx.conn.execute(change, [{"k": k, "old": o, "new": n} for (k, o, _), n in zip(old, new, strict=True)])
    return Batch(rows[-1][0], len(rows), len(old), broken)


def held(tx: SqlTx, kid: str) -> dict[str, int]:
    """Rows that only this key opens, by table; reads the whole of each."""
    head = Keyring.head(kid)
    out = {}
    for column in (*(w.column for w in LASTING), *PASSING):
        mine = func.substr(column, 1, len(head)) == head
        out[column.table.name] = int(tx.conn.execute(select(func.count()).where(mine)).scalar_one())
    return out


def live(tx: SqlTx, kid: str) -> int:
    """Links, codes and questions under way that are derived from this key."""
    return int(tx.conn.execute(select(func.count()).where(*_derived(tx, kid))).scalar_one())


def _derived(tx: SqlTx, kid: str) -> tuple[ColumnElement[bool], ...]:
    c = s.challenges.c
    return c.key_id == kid, c.ended.is_(None), c.expires_at > tx.now


def rows_in_all(tx: SqlTx) -> int:
    """How many rows `reseal` has to look at."""
    counts = [tx.conn.execute(select(func.count()).select_from(w.column.table)).scalar_one() for w in LASTING]
    return sum(map(int, counts))


def expire(tx: SqlTx, kid: str) -> int:
    """Lets links, codes and questions run out now that are derived from a key which got out."""
    return tx.conn.execute(update(s.challenges).where(*_derived(tx, kid)).values(expires_at=tx.now)).rowcount


def unreadable(tx: SqlTx) -> int:
    """Lasting rows that were sealed with a key which is not in the ring."""
    found = [held(tx, kid) for kid in tx.seals.ids]
    return rows_in_all(tx) - sum(rows[w.name] for rows in found for w in LASTING)


def behind(tx: SqlTx, pepper: str) -> int:
    """Passwords that are hashed with another pepper than this one (its id; empty for none)."""
    found = 0
    for phc in (s.credentials.c.phc, d.operators.c.phc):
        other = ~phc.like(f"{PEPPERED}{pepper}$%") if pepper else phc.like(f"{PEPPERED}%")
        found += int(tx.conn.execute(select(func.count()).where(phc.is_not(None), other)).scalar_one())
    return found
