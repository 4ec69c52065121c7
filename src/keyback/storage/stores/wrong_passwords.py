"""Wrong passwords, folded by what was tried, by whom it is said to be, and whence."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import func, select, update

from keyback.application.ports.enrolment_storage import Failure
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.in_list import among
from keyback.storage.sql.schema import failures as t


class FailureStore:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    def of(self, name: str, network: str) -> Sequence[Failure]:
        """What was tried in vain for a name from one far end, tries that are just being looked at too."""
        return self._load((t.c.name == name) & (t.c.network == network))

    def of_names(self, names: Sequence[str]) -> Sequence[Failure]:
        """What was tried in vain for these names, from everywhere, the last first."""
        return sorted(self._load(among(t.c.name, names)), key=lambda f: (-f.last_at, f.network, f.tried))

    def names(self, kind: str, since: int) -> int:
        """For how many names, of somebody or nobody, something was tried in vain since then."""
        mine = (t.c.last_at > since) & (t.c.count > 0) & t.c.name.like(f"{kind}%")
        return int(self._tx.conn.execute(select(func.count(t.c.name.distinct())).where(mine)).scalar_one())

    def touched(self, kind: str, since: int, after: str, limit: int) -> Sequence[str]:
        """Names of accounts for which something was tried in vain since then, in their order."""
        mine = (t.c.last_at > since) & (t.c.name > after) & (t.c.count > 0)
        mine &= t.c.name.like(f"{kind}%") & t.c.name.not_like(f"{kind}g/%")
        return list(
            self._tx.conn.execute(select(t.c.name).where(mine).distinct().order_by(t.c.name).limit(limit)).scalars()
        )

    def _load(self, where: object) -> list[Failure]:
        rows = self._tx.conn.execute(select(t).where(where))  # type: ignore[arg-type]
        return [Failure(**{**r._mapping, "tried": bytes(r.tried)}) for r in rows]

    def begin(self, failure: Failure) -> None:
        self._tx.conn.execute(t.insert().values({c.name: getattr(failure, c.name) for c in t.c}))

    def settle(self, name: str, network: str, mark: bytes, tried: bytes, previous: bool | None = None) -> bool:
        """A try was wrong: its mark becomes what was tried. True when it had a mark, but there is a row with the same
        already, which it is folded into."""
        mine = (t.c.name == name) & (t.c.network == network)
        again = {"count": t.c.count + 1, "last_at": self._tx.now}
        if previous is not None:
            again["previous"] = previous
        if self._tx.conn.execute(update(t).where(mine & (t.c.tried == tried)).values(**again)).rowcount:
            return self._tx.conn.execute(t.delete().where(mine & (t.c.tried == mark))).rowcount > 0
        self._tx.conn.execute(update(t).where(mine & (t.c.tried == mark)).values(tried=tried, **again))
        return False

    def forget(self, name: str, network: str, mark: bytes, tried: bytes) -> None:
        """A try was right: nothing is kept of it, wherever it was tried before."""
        mine = t.c.name == name
        gone = (t.c.tried == tried) | ((t.c.network == network) & (t.c.tried == mark))
        self._tx.conn.execute(t.delete().where(mine & gone))
