"""Prompts and the wishes for them (`domain.challenges.prompt`)."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import Row, case, func, select, text, update
from sqlalchemy.dialects import postgresql, sqlite

from keyback.application.throttling.fairness import FRESH
from keyback.domain.challenges.prompt import ChallengeRequest, Prompt, PromptEnding, Purpose
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.schema import intakes, prompts, wants
from keyback.storage.sql.statements import in_order, insert_many

COLUMNS = [prompts.c[f.name] for f in dataclasses.fields(Prompt)]
WANTED = [wants.c[f.name] for f in dataclasses.fields(ChallengeRequest)]
CLAIM = f"""UPDATE wants SET state = 'done' WHERE {{key}} IN ({{pick}})
 RETURNING {", ".join(c.name for c in WANTED)}"""  # noqa: S608 - our own names
# Most by turn, some of the newest, as of the requests themselves.
PICK = """SELECT * FROM (SELECT {key} FROM wants WHERE state = 'new' ORDER BY turn LIMIT :n{lock}) AS next
 UNION SELECT * FROM (SELECT {key} FROM wants WHERE state = 'new' ORDER BY asked_at DESC
 LIMIT :newest{lock}) AS newest"""


def _prompt(row: Row[Any]) -> Prompt:
    return Prompt(**{**row._mapping, "nonce": bytes(row.nonce)})


class PromptStore:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    def add(self, prompt: Prompt, digest: bytes | None = None) -> None:
        """Writes one down under the primary key of the ring.

        Args:
            digest: SHA-256 of the token of a link that goes with it.
        """
        self._tx.conn.execute(prompts.insert().values(self._values(prompt, digest)))

    def add_many(self, new: Sequence[tuple[Prompt, bytes | None]]) -> None:
        """`add` for many, in one statement."""
        insert_many(self._tx.conn, prompts, [self._values(p, digest) for p, digest in new])

    def _values(self, prompt: Prompt, digest: bytes | None) -> dict[str, Any]:
        values = {c.name: getattr(prompt, c.name) for c in COLUMNS}
        return values | {"key_id": prompt.key_id or self._tx.seals.primary, "digest": digest}

    def get(self, prompt_id: str) -> Prompt | None:
        row = self._tx.conn.execute(select(*COLUMNS).where(prompts.c.id == prompt_id)).first()
        return _prompt(row) if row else None

    def many(self, ids: Sequence[str]) -> dict[str, Prompt]:
        if not ids:
            return {}
        return {r.id: _prompt(r) for r in self._tx.conn.execute(select(*COLUMNS).where(prompts.c.id.in_(ids)))}

    def by_link(self, digest: bytes, *, lock: bool = False) -> Prompt | None:
        query = select(*COLUMNS).where(prompts.c.digest == digest)
        row = self._tx.conn.execute(query.with_for_update() if lock else query).first()
        return _prompt(row) if row else None

    def asked(self, handle: str, proof: str) -> Sequence[Prompt]:
        """What was put to somebody for this page, over or not; oldest first."""
        mine = (prompts.c.handle == handle) & (prompts.c.proof == proof)
        order = (prompts.c.created_at, prompts.c.id)
        return [_prompt(r) for r in self._tx.conn.execute(select(*COLUMNS).where(mine).order_by(*order))]

    def live(self, person_id: str, purpose: Purpose) -> Sequence[Prompt]:
        """A person's open ones, oldest first."""
        mine = (prompts.c.person_id == person_id) & (prompts.c.purpose == purpose) & prompts.c.ended.is_(None)
        mine &= prompts.c.expires_at > self._tx.now
        return [_prompt(r) for r in self._tx.conn.execute(select(*COLUMNS).where(mine).order_by(prompts.c.created_at))]

    def end(self, prompt_id: str, ending: PromptEnding) -> bool:
        """`UPDATE … WHERE ended IS NULL`: True for exactly one caller."""
        live = (prompts.c.id == prompt_id) & prompts.c.ended.is_(None)
        done = update(prompts).where(live).values(ended=ending, ended_at=self._tx.now)
        return self._tx.conn.execute(done).rowcount == 1

    def end_where(
        self,
        ending: PromptEnding,
        *,
        person_id: str = "",
        case_id: str = "",
        handle: str = "",
        target: str = "",
        proof: str = "",
        purpose: Purpose | Literal[""] = "",
    ) -> int:
        """Ends all that agree with every argument given; how many there were."""
        given = {
            "person_id": person_id,
            "case_id": case_id,
            "handle": handle,
            "target": target,
            "proof": proof,
            "purpose": purpose,
        }
        narrow = [prompts.c[k] == v for k, v in given.items() if v]
        if not narrow:
            raise ValueError("everybody's prompts")
        done = update(prompts).where(prompts.c.ended.is_(None), *narrow)
        return self._tx.conn.execute(done.values(ended=ending, ended_at=self._tx.now)).rowcount

    # ── wishes ──────────────────────────────────────────────────────────────

    def want(self, want: ChallengeRequest, asked_before: int) -> bool:
        """Queues a wish, or one more of the same; False when the last is younger than `asked_before` (ms). Tries that
        were counted stay counted (N-O3)."""
        late = intakes.c.turn - intakes.c.asked_at  # as far behind as its request was
        behind = select(case((late > 0, late), else_=0)).where(intakes.c.handle == want.handle).scalar_subquery()
        turn = self._tx.now + func.coalesce(behind, 0)
        insert = (postgresql if self._tx.pg else sqlite).insert(wants).values(**dataclasses.asdict(want), turn=turn)
        again = {
            "state": "new",
            "target": want.target,
            "asked_at": want.asked_at,
            "expires_at": want.expires_at,
            "sends": wants.c.sends + 1,
            "turn": insert.excluded.turn,
        }
        old = wants.c.asked_at <= asked_before
        done = insert.on_conflict_do_update(index_elements=["handle", "proof"], set_=again, where=old)
        queued = self._tx.conn.execute(done.returning(wants.c.sends)).first() is not None
        self._tx.wakes = self._tx.wakes or queued
        return queued

    def wanted(self, handle: str) -> Sequence[ChallengeRequest]:
        """All wishes of a page, the newest last."""
        rows = self._tx.conn.execute(select(*WANTED).where(wants.c.handle == handle).order_by(wants.c.asked_at))
        return [ChallengeRequest(**r._mapping) for r in rows]

    def claim_wants(self, limit: int) -> Sequence[ChallengeRequest]:
        """Takes up to `limit` new ones by their turn, with some of the newest among them; no other node gets them."""
        if self._tx.conn.execute(select(wants.c.handle).where(wants.c.state == "new").limit(1)).first() is None:
            return []
        key = "handle, proof" if self._tx.pg else "rowid"  # SQLite finds no index for pairs of a query
        pick = PICK.format(key=key, lock=" FOR UPDATE SKIP LOCKED" if self._tx.pg else "")
        newest = limit // FRESH
        values = {"n": limit - newest, "newest": newest}
        with in_order(self._tx.conn):
            rows = self._tx.conn.execute(text(CLAIM.format(key=f"({key})", pick=pick)), values).all()
        return [ChallengeRequest(**r._mapping) for r in sorted(rows, key=lambda r: (r.asked_at, r.handle))]

    def count_try(self, handle: str, proof: str, limit: int) -> int | None:
        """Counts one try before it is looked at; None when there is none left or it is over (D1)."""
        ok = (wants.c.handle == handle) & (wants.c.proof == proof) & (wants.c.tries < limit)
        ok &= wants.c.expires_at > self._tx.now
        q = update(wants).where(ok).values(tries=wants.c.tries + 1).returning(wants.c.tries)
        return self._tx.conn.execute(q).scalar()

    def give_try_back(self, handle: str, proof: str) -> None:
        mine = (wants.c.handle == handle) & (wants.c.proof == proof) & (wants.c.tries > 0)
        self._tx.conn.execute(update(wants).where(mine).values(tries=wants.c.tries - 1))
