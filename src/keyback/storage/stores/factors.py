"""Factors, saved codes and known browsers. What proves a factor lies sealed, bound to its row (N-T1, A-11.5)."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import Row, false, or_, select, update

from keyback.domain.people.factor import Device, Factor, FactorState, SavedCode
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.direct import Statement
from keyback.storage.sql.in_list import among
from keyback.storage.sql.schema import devices, factors, saved_codes

PURPOSE = "factor"


@lru_cache(maxsize=16)
def _in_states(states: tuple[FactorState, ...]) -> Statement:
    mine = among(factors.c.person_id, named="ids") & or_(false(), *(factors.c.state == s for s in states))
    return Statement(select(factors).where(mine).order_by(factors.c.added_at, factors.c.kind, factors.c.id))


class FactorStore:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    def _load(self, row: Row[Any]) -> Factor:
        values = dict(row._mapping)
        data = json.loads(self._tx.seals.open(bytes(values.pop("sealed")), PURPOSE, row.id))
        lookup = bytes(row.lookup) if row.lookup is not None else None
        return Factor(**{**values, "data": data, "lookup": lookup})

    def add(self, factor: Factor) -> None:
        """Writes a new one down.

        Raises:
            IntegrityError of the database for a passkey that somebody has already; ask `by_lookup` first.
        """
        plain = json.dumps(dict(factor.data)).encode()
        values = {c.name: getattr(factor, c.name) for c in factors.c if c.name != "sealed"}
        sealed = self._tx.seals.seal(plain, PURPOSE, factor.id)
        self._tx.conn.execute(factors.insert().values(**values, sealed=sealed))

    def get(self, factor_id: str) -> Factor | None:
        row = self._tx.conn.execute(select(factors).where(factors.c.id == factor_id)).first()
        return self._load(row) if row else None

    def by_lookup(self, digest: bytes) -> Factor | None:
        """The passkey with this credential id, whoever it belongs to and whatever its state."""
        row = self._tx.conn.execute(select(factors).where(factors.c.lookup == digest)).first()
        return self._load(row) if row else None

    def of_person(self, person_id: str, *, states: Sequence[FactorState] = ("active",)) -> Sequence[Factor]:
        """Oldest first."""
        return self.of_people([person_id], states=states).get(person_id, ())

    def of_people(
        self, person_ids: Sequence[str], *, states: Sequence[FactorState] = ("active",)
    ) -> Mapping[str, Sequence[Factor]]:
        return self._tx.once(("factors", tuple(states), *person_ids), lambda: self._of_people(person_ids, states))

    def _of_people(self, person_ids: Sequence[str], states: Sequence[FactorState]) -> Mapping[str, Sequence[Factor]]:
        out: dict[str, list[Factor]] = defaultdict(list)
        if person_ids:
            for r in _in_states(tuple(states)).all(self._tx.conn, {"ids": list(person_ids)}):
                out[r.person_id].append(self._load(r))
        return out

    def turn(self, factor_id: str, before: FactorState, after: FactorState) -> bool:
        """Pending to active, or either to removed; True for exactly one caller."""
        values: dict[str, Any] = {"state": after}
        if after == "removed":
            values |= {"ended_at": self._tx.now, "lookup": None}
        mine = (factors.c.id == factor_id) & (factors.c.state == before)
        return self._tx.conn.execute(update(factors).where(mine).values(**values)).rowcount == 1

    def advance(self, factor_id: str, counter: int) -> bool:
        """Takes a TOTP step or signature count that is higher than all before; False when it is not (N-T1, M1)."""
        mine = (factors.c.id == factor_id) & (factors.c.state == "active") & (factors.c.counter < counter)
        values = {"counter": counter, "used_at": self._tx.now}
        return self._tx.conn.execute(update(factors).where(mine).values(**values)).rowcount == 1

    def touch(self, factor_id: str) -> bool:
        """Notes that an active factor was used; False when it is not active any more."""
        mine = (factors.c.id == factor_id) & (factors.c.state == "active")
        return self._tx.conn.execute(update(factors).where(mine).values(used_at=self._tx.now)).rowcount == 1

    def rename(self, factor_id: str, label: str) -> None:
        """Another name in lists and mails, for one that is active."""
        mine = (factors.c.id == factor_id) & (factors.c.state == "active")
        self._tx.conn.execute(update(factors).where(mine).values(label=label))

    # ── saved codes ─────────────────────────────────────────────────────────

    def put_codes(self, codes: Sequence[SavedCode]) -> None:
        rows = [{c.name: getattr(code, c.name) for c in saved_codes.c} for code in codes]
        if rows:
            self._tx.conn.execute(saved_codes.insert(), rows)

    def codes(self, factor_ids: Sequence[str]) -> Sequence[SavedCode]:
        """Used ones too, in no order."""
        if not factor_ids:
            return []
        query = select(saved_codes).where(among(saved_codes.c.factor_id, factor_ids))
        return [SavedCode(**r._mapping) for r in self._tx.conn.execute(query)]

    def use_code(self, code_id: str) -> bool:
        """`UPDATE … WHERE used_at IS NULL`: True for exactly one caller (N-L2)."""
        good = (saved_codes.c.id == code_id) & saved_codes.c.used_at.is_(None)
        return self._tx.conn.execute(update(saved_codes).where(good).values(used_at=self._tx.now)).rowcount == 1


class DeviceStore:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    def remember(self, device: Device, before: bytes = b"") -> None:
        """Adds a browser. The row of its cookie before becomes this one, and those of others with that cookie go."""
        old = devices.c.digest == (before or device.digest)
        values = {c.name: getattr(device, c.name) for c in devices.c if c.name != "added_at"}
        mine = update(devices).where(old & (devices.c.person_id == device.person_id))
        if self._tx.conn.execute(mine.values(**values)).rowcount == 0:
            self._tx.conn.execute(devices.insert().values(**values, added_at=device.added_at))
        if before:
            self._tx.conn.execute(devices.delete().where(old))

    def of_person(self, person_id: str) -> Sequence[Device]:
        """Those that are still trusted, the last used first."""
        live = (devices.c.person_id == person_id) & (devices.c.expires_at > self._tx.now)
        rows = self._tx.conn.execute(select(devices).where(live).order_by(devices.c.seen_at.desc()))
        return [Device(**{**r._mapping, "digest": bytes(r.digest)}) for r in rows]

    def owners(self, digest: bytes) -> frozenset[str]:
        live = (devices.c.digest == digest) & (devices.c.expires_at > self._tx.now)
        return frozenset(self._tx.conn.execute(select(devices.c.person_id).where(live)).scalars())

    def pairs(self, digests: Sequence[bytes]) -> frozenset[tuple[bytes, str]]:
        """Each of these browsers with everybody who signed in with it."""
        if not digests:
            return frozenset()
        live = devices.c.digest.in_(digests) & (devices.c.expires_at > self._tx.now)
        rows = self._tx.conn.execute(select(devices.c.digest, devices.c.person_id).where(live))
        return frozenset((bytes(digest), person_id) for digest, person_id in rows)

    def forget(self, person_id: str, digest: bytes | None = None) -> int:
        """Forgets one browser, or all of a person; how many there were."""
        mine = devices.c.person_id == person_id
        if digest is not None:
            mine &= devices.c.digest == digest
        return self._tx.conn.execute(devices.delete().where(mine)).rowcount
