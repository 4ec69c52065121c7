"""Password hashes of the built-in system: the current one, those before it, and when one comes of age."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import bindparam, select, update

from keyback.application.ports.storage import Credential
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.direct import Statement
from keyback.storage.sql.schema import accounts, credentials, password_history
from keyback.storage.sql.statements import insert_many

MINE = credentials.c.account_id == bindparam("id")
CURRENT = Statement(select(credentials.c.phc).where(MINE))
OF_ACCOUNT = Statement(
    select(credentials.c.phc)
    .join_from(accounts, credentials, credentials.c.account_id == accounts.c.id)
    .where(accounts.c.system == bindparam("system"), accounts.c.external_id == bindparam("external_id"))
)
LOCKED = Statement(select(credentials).where(MINE).with_for_update())


class HashStore:
    _tx: TxContext

    def credential(self, account_id: str) -> str | None:
        row = CURRENT.first(self._tx.conn, {"id": account_id})
        return row.phc if row else None

    def credential_of(self, system: str, external_id: str) -> str | None:
        row = OF_ACCOUNT.first(self._tx.conn, {"system": system, "external_id": external_id})
        return row.phc if row else None

    def changed_at(self, account_id: str) -> int | None:
        """When the current password was set, ms."""
        mine = credentials.c.account_id == account_id
        row = self._tx.conn.execute(select(credentials.c.changed_at).where(mine)).first()
        return row.changed_at if row else None

    def replaced(self, account_id: str) -> str | None:
        mine = credentials.c.account_id == account_id
        row = self._tx.conn.execute(select(credentials.c.replaced).where(mine)).first()
        return row.replaced if row else None

    def set_credential(self, account_id: str, phc: str, job_id: str, *, keep: int = 0) -> bool:
        mine = credentials.c.account_id == account_id
        values = {"phc": phc, "job_id": job_id, "changed_at": self._tx.now, "reminded": 0}
        row = LOCKED.first(self._tx.conn, {"id": account_id})
        if row is None:
            insert_many(self._tx.conn, credentials, [{"account_id": account_id, **values}])
            return True
        if row.job_id == job_id:
            return False
        self._tx.conn.execute(update(credentials).where(mine).values(**values, replaced=row.phc))
        self._remember(account_id, row.phc, row.changed_at, keep)
        return True

    def _remember(self, account_id: str, phc: str, changed_at: int, keep: int) -> None:
        """Puts the replaced hash to the others and forgets all but the newest `keep`."""
        old = password_history.c
        mine = old.account_id == account_id
        if keep > 0:
            values = {"id": self._tx.new_id(), "account_id": account_id, "phc": phc, "changed_at": changed_at}
            self._tx.conn.execute(password_history.insert().values(**values))
        newest = select(old.id).where(mine).order_by(old.changed_at.desc(), old.id).limit(keep)
        kept = [r.id for r in self._tx.conn.execute(newest)] if keep > 0 else []
        self._tx.conn.execute(password_history.delete().where(mine & old.id.not_in(kept)))

    def hashes(self, account_ids: Sequence[str], history: int) -> Sequence[str]:
        out: list[str] = []
        old = password_history.c
        for account_id in account_ids:
            current = self.credential(account_id)
            earlier = select(old.phc).where(old.account_id == account_id).order_by(old.changed_at.desc(), old.id)
            out += [current] if current else []
            out += [r.phc for r in self._tx.conn.execute(earlier.limit(history))]
        return out

    def rehash(self, account_id: str, before: str, phc: str) -> None:
        """Replaces a hash by a stronger one of the same password, unless it was changed meanwhile."""
        same = (credentials.c.account_id == account_id) & (credentials.c.phc == before)
        self._tx.conn.execute(update(credentials).where(same).values(phc=phc))

    def expiring(self, step: int, changed_before: int, limit: int) -> Sequence[Credential]:
        mine = credentials.c.reminded.in_(range(step)) & (credentials.c.changed_at <= changed_before)
        columns = (credentials.c.account_id, credentials.c.changed_at, credentials.c.reminded)
        rows = self._tx.conn.execute(select(*columns).where(mine).order_by(credentials.c.changed_at).limit(limit))
        return [Credential(**r._mapping) for r in rows]

    def mark_reminded(self, found: Mapping[str, int], step: int) -> set[str]:
        marked = set()
        for account_id, before in found.items():
            same = (credentials.c.account_id == account_id) & (credentials.c.reminded == before)
            if self._tx.conn.execute(update(credentials).where(same).values(reminded=step)).rowcount:
                marked.add(account_id)
        return marked
