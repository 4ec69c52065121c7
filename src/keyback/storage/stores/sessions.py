"""Signed-in sessions of the built-in system; the cookie's digest is the key (ASVS 5.0 7.2)."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, func, select

from keyback.application.ports.storage import Session
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.direct import Statement
from keyback.storage.sql.schema import sessions

IDLE = 3_600_000  # 1 h idle (NIST SP 800-63B-4 2.2.3)
LIVE = Statement(
    select(sessions).where(
        sessions.c.digest == bindparam("digest"),
        sessions.c.expires_at > bindparam("now"),
        sessions.c.seen_at > bindparam("idle"),
    )
)
END_ALL = Statement(sessions.delete().where(sessions.c.person_id == bindparam("id")))


class SessionStore:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    def add(self, session: Session) -> None:
        self._tx.conn.execute(
            sessions.insert().values(
                digest=session.digest,
                person_id=session.person_id,
                account_id=session.account_id,
                created_at=session.created_at,
                seen_at=session.seen_at,
                expires_at=session.expires_at,
                source=session.source,
                device=session.device,
                must_change=session.must_change,
                proven=session.proven,
                proven_at=session.proven_at,
            )
        )

    def get(self, digest: bytes) -> Session | None:
        """The session, None when it is over or has been idle for too long."""
        values = {"digest": digest, "now": self._tx.now, "idle": self._tx.now - IDLE}
        row = LIVE.first(self._tx.conn, values)
        return Session(**{**row._mapping, "digest": bytes(row.digest)}) if row else None

    def touch(self, digest: bytes) -> None:
        self._tx.conn.execute(sessions.update().where(sessions.c.digest == digest).values(seen_at=self._tx.now))

    def prove(self, digest: bytes, proven: str) -> None:
        """A second step was taken in this session, now."""
        values = {"proven": proven, "proven_at": self._tx.now}
        self._tx.conn.execute(sessions.update().where(sessions.c.digest == digest).values(**values))

    def end(self, digest: bytes) -> Session | None:
        found = self.get(digest)
        self._tx.conn.execute(sessions.delete().where(sessions.c.digest == digest))
        return found

    def end_all(self, person_id: str) -> int:
        return END_ALL.run(self._tx.conn, {"id": person_id})

    def people(self) -> int:
        """How many people have a session."""
        return self._tx.conn.execute(select(func.count(sessions.c.person_id.distinct()))).scalar() or 0

    def next_people(self, after: str, limit: int) -> Sequence[str]:
        """The next people with a session behind this id, in the order of ids."""
        mine = select(sessions.c.person_id).where(sessions.c.person_id > after).distinct()
        return list(self._tx.conn.execute(mine.order_by(sessions.c.person_id).limit(limit)).scalars())

    def of_person(self, person_id: str) -> Sequence[Session]:
        live = (sessions.c.person_id == person_id) & (sessions.c.expires_at > self._tx.now)
        live &= sessions.c.seen_at > self._tx.now - IDLE
        rows = self._tx.conn.execute(select(sessions).where(live).order_by(sessions.c.created_at))
        return [Session(**{**r._mapping, "digest": bytes(r.digest)}) for r in rows]
