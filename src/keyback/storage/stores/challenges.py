"""Challenges and what pages ask for (`domain.challenges.challenge`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import ColumnElement, bindparam, case, func, or_, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from keyback.application.ports.challenges import Mailed
from keyback.application.throttling.fairness import FRESH
from keyback.domain.challenges import challenge as ch
from keyback.domain.challenges.challenge import Challenge, ChallengeRequest, Ending, Purpose
from keyback.domain.tokens import token_digest
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.direct import Statement
from keyback.storage.sql.in_list import among
from keyback.storage.sql.schema import challenges, intakes, wants
from keyback.storage.sql.statements import in_order, insert_many
from keyback.storage.wakes import WANTS

STORED = {"method": "proof"}  # the name of the column, until no node of the version before is left


def _name(field: dataclasses.Field[Any]) -> str:
    return STORED.get(field.name, field.name)


COLUMNS = [challenges.c[_name(f)].label(f.name) for f in dataclasses.fields(Challenge)]
REQUESTED = [wants.c[_name(f)].label(f.name) for f in dataclasses.fields(ChallengeRequest)]
CLAIM = f"""UPDATE wants SET state = 'done' WHERE {{key}} IN ({{pick}})
 RETURNING {", ".join(f"{_name(f)} AS {f.name}" for f in dataclasses.fields(ChallengeRequest))}"""  # noqa: S608 - our own names
# Most by turn, some of the newest, as of the requests themselves.
PICK = """SELECT * FROM (SELECT {key} FROM wants WHERE state = 'new' ORDER BY turn LIMIT :n{lock}) AS next
 UNION SELECT * FROM (SELECT {key} FROM wants WHERE state = 'new' ORDER BY asked_at DESC
 LIMIT :newest{lock}) AS newest"""
LIVE = challenges.c.ended.is_(None)


EVERYBODY = "everybody's challenges"
NAMES = [f.name for f in dataclasses.fields(Challenge)]
MANY = Statement(select(*COLUMNS).where(among(challenges.c.id, named="ids")))
WANTED = Statement(select(wants.c.handle).where(wants.c.state == "new").limit(1))


@lru_cache(maxsize=128)
def _ending(names: tuple[str, ...]) -> Statement:
    """Ends those that agree with what is named."""
    c = challenges.c
    which = [c.proof != bindparam("but") if n == "but" else c[n] == bindparam(n) for n in names]
    mine = update(challenges).where(LIVE, *which)
    return Statement(mine.values(ended=bindparam("ending"), ended_at=bindparam("now")))


def _challenge(row: Sequence[Any]) -> Challenge:
    values = dict(zip(NAMES, row, strict=True))
    return Challenge(**{**values, "nonce": bytes(values["nonce"])})


class ChallengeStore:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    def issue(self, new: Sequence[Challenge], *, token: str = "") -> None:
        """Writes them down under the primary key of the ring, with digests of the links that go with them, in one
        statement."""
        seals, keys = self._tx.seals, dict[tuple[str, str], bytes]()
        rows = []
        for c in new:
            which = (ch.key_purpose(c.method), c.key_id or seals.primary)
            key = keys.get(which) or keys.setdefault(which, seals.derive(*which))
            link = token or (ch.link_token(key, c) if ch.has_link(c) else "")
            stop = ch.stop_token(key, c.nonce) if c.method == ch.EMAIL_LINK else ""
            rows.append(
                {
                    "id": c.id,
                    "purpose": c.purpose,
                    "proof": c.method,
                    "handle": c.handle,
                    "case_id": c.case_id,
                    "person_id": c.person_id,
                    "target": c.target,
                    "nonce": c.nonce,
                    "key_id": which[1],
                    "digest": token_digest(link) if link else None,
                    "stop_digest": token_digest(stop) if stop else None,
                    "security_version": c.security_version,
                    "created_at": c.created_at,
                    "expires_at": c.expires_at,
                    "ended": c.ended,
                }
            )
        insert_many(self._tx.conn, challenges, rows)

    def get(self, challenge_id: str) -> Challenge | None:
        row = self._tx.conn.execute(select(*COLUMNS).where(challenges.c.id == challenge_id)).first()
        return _challenge(row) if row else None

    def many(self, ids: Sequence[str]) -> dict[str, Challenge]:
        if not ids:
            return {}
        return {r.id: _challenge(r) for r in MANY.all(self._tx.conn, {"ids": list(ids)})}

    def by_link(self, digest: bytes, *, lock: bool = False) -> Challenge | None:
        """The one whose link this is."""
        query = select(*COLUMNS).where(challenges.c.digest == digest)
        row = self._tx.conn.execute(query.with_for_update() if lock else query).first()
        return _challenge(row) if row else None

    def behind(self, token: str, purpose: Purpose, method: str) -> Challenge | None:
        found = self.by_link(token_digest(token)) if token else None
        return found if found is not None and (found.purpose, found.method) == (purpose, method) else None

    def by_token(self, digest: bytes) -> Mailed | None:
        query = select(*COLUMNS).where(or_(challenges.c.digest == digest, challenges.c.stop_digest == digest))
        row = self._tx.conn.execute(query.add_columns((challenges.c.stop_digest == digest).label("stops"))).first()
        return Mailed(_challenge(row[:-1]), bool(row.stops)) if row else None

    def issued(self, handle: str, method: str) -> Sequence[Challenge]:
        """What was put to somebody for this page, over or not; oldest first."""
        mine = (challenges.c.handle == handle) & (challenges.c.proof == method)
        order = (challenges.c.created_at, challenges.c.id)
        return [_challenge(r) for r in self._tx.conn.execute(select(*COLUMNS).where(mine).order_by(*order))]

    def live(
        self, *, person_id: str = "", case_id: str = "", purpose: Purpose | Literal[""] = "", method: str = ""
    ) -> Sequence[Challenge]:
        """Open ones that agree with every argument given, oldest first."""
        mine = [*_given(person_id=person_id, case_id=case_id, purpose=purpose, proof=method), LIVE]
        query = select(*COLUMNS).where(*mine, challenges.c.expires_at > self._tx.now).order_by(challenges.c.created_at)
        return [_challenge(r) for r in self._tx.conn.execute(query)]

    def end(self, challenge_id: str, ending: Ending) -> bool:
        """`UPDATE … WHERE ended IS NULL`: True for exactly one caller."""
        return self._end(ending, {"id": challenge_id}) == 1

    def end_where(
        self,
        ending: Ending,
        *,
        person_id: str = "",
        case_id: str = "",
        handle: str = "",
        target: str = "",
        method: str = "",
        purpose: Purpose | Literal[""] = "",
        but: str = "",
    ) -> int:
        """Ends all that agree with every argument given; how many there were.

        Args:
            but: a method whose challenges go on.
        """
        narrow = {"person_id": person_id, "case_id": case_id, "handle": handle, "target": target, "proof": method}
        given = {k: v for k, v in (narrow | {"purpose": purpose}).items() if v}
        if not given:
            raise ValueError(EVERYBODY)
        return self._end(ending, given | ({"but": but} if but else {}))

    def _end(self, ending: Ending, given: Mapping[str, str]) -> int:
        values = {**given, "ending": ending, "now": self._tx.now}
        return _ending(tuple(sorted(given))).run(self._tx.conn, values)

    def fetch(self, challenge_id: str) -> bool:
        """`UPDATE … WHERE fetched_at IS NULL`: True once for each."""
        unused = (challenges.c.id == challenge_id) & challenges.c.fetched_at.is_(None)
        return self._tx.conn.execute(update(challenges).where(unused).values(fetched_at=self._tx.now)).rowcount == 1

    # ── what pages ask for ──────────────────────────────────────────────────

    def request(self, wanted: ChallengeRequest, asked_before: int) -> bool:
        """Queues a request, or one more of the same; False when the last is younger than `asked_before` (ms). Tries
        that were counted stay counted (N-O3)."""
        late = intakes.c.turn - intakes.c.asked_at  # as far behind as its request was
        behind = select(case((late > 0, late), else_=0)).where(intakes.c.handle == wanted.handle).scalar_subquery()
        turn = self._tx.now + func.coalesce(behind, 0)
        values = {STORED.get(k, k): v for k, v in dataclasses.asdict(wanted).items()}
        insert = (postgresql if self._tx.pg else sqlite).insert(wants).values(**values, turn=turn)
        again = {
            "state": "new",
            "target": wanted.target,
            "asked_at": wanted.asked_at,
            "expires_at": wanted.expires_at,
            "sends": wants.c.sends + 1,
            "turn": insert.excluded.turn,
        }
        old = wants.c.asked_at <= asked_before
        done = insert.on_conflict_do_update(index_elements=["handle", "proof"], set_=again, where=old)
        queued = self._tx.conn.execute(done.returning(wants.c.sends)).first() is not None
        if queued:
            self._tx.wakes.add(WANTS)
        return queued

    def requested(self, handle: str) -> Sequence[ChallengeRequest]:
        """All that a page asked for, the newest last."""
        rows = self._tx.conn.execute(select(*REQUESTED).where(wants.c.handle == handle).order_by(wants.c.asked_at))
        return [ChallengeRequest(**r._mapping) for r in rows]

    def claim_requests(self, limit: int) -> Sequence[ChallengeRequest]:
        """Takes up to `limit` new ones by their turn, with some of the newest among them; no other node gets them."""
        if WANTED.first(self._tx.conn, {}) is None:
            return []
        key = "handle, proof" if self._tx.pg else "rowid"  # SQLite finds no index for pairs of a query
        pick = PICK.format(key=key, lock=" FOR UPDATE SKIP LOCKED" if self._tx.pg else "")
        newest = limit // FRESH
        values = {"n": limit - newest, "newest": newest}
        with in_order(self._tx.conn):
            rows = self._tx.conn.execute(text(CLAIM.format(key=f"({key})", pick=pick)), values).all()
        return [ChallengeRequest(**r._mapping) for r in sorted(rows, key=lambda r: (r.asked_at, r.handle))]

    def count_try(self, handle: str, method: str, limit: int) -> int | None:
        """Counts one try before it is looked at; None when there is none left or it is over (D1)."""
        ok = (wants.c.handle == handle) & (wants.c.proof == method) & (wants.c.tries < limit)
        ok &= wants.c.expires_at > self._tx.now
        q = update(wants).where(ok).values(tries=wants.c.tries + 1).returning(wants.c.tries)
        return self._tx.conn.execute(q).scalar()

    def give_try_back(self, handle: str, method: str) -> None:
        mine = (wants.c.handle == handle) & (wants.c.proof == method) & (wants.c.tries > 0)
        self._tx.conn.execute(update(wants).where(mine).values(tries=wants.c.tries - 1))


def _given(**columns: str) -> list[ColumnElement[bool]]:
    """Raises ValueError where nothing is given."""
    narrow = [challenges.c[k] == v for k, v in columns.items() if v]
    if not narrow:
        raise ValueError(EVERYBODY)
    return narrow
