"""Recovery cases: the folded state."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any

from sqlalchemy import Row, bindparam, func, select, text

from keyback.domain.errors import Refusal
from keyback.domain.policy.rules import IDENTITY_SERVICE, PROVIDER_SIGN_IN, Evidence
from keyback.domain.recovery import case as dc
from keyback.domain.recovery.case import Case
from keyback.domain.recovery.events import CaseEvent
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.direct import Statement
from keyback.storage.sql.in_list import among
from keyback.storage.sql.schema import cases
from keyback.storage.sql.statements import insert_many, update_many
from keyback.storage.stores.audit import AuditStore
from keyback.storage.wakes import CASE

# In the words of the partial indexes: SQLite uses none of them for `open = 1`.
OPEN = text("cases.open")
ONE = select(cases).where(cases.c.id == bindparam("id"))
BY_ID, LOCKED = Statement(ONE), Statement(ONE.with_for_update())
ELSEWHERE = (PROVIDER_SIGN_IN, IDENTITY_SERVICE)


def _channel(e: Evidence) -> str:
    """What is stored of the channel. All that a sign-in elsewhere, or an identity verified there, must never be without
    is in the one text: a node of the version before, which weighs no such thing, writes it back as it stands; of keys
    it does not know it keeps none."""
    if e.proof not in ELSEWHERE:
        return e.channel
    return json.dumps((e.channel, e.target, e.system, *e.also))


def _evidence(stored: Sequence[Any], aged: object, target: str | None) -> Evidence:
    e = dataclasses.replace(Evidence(*stored), aged=bool(aged), target=target or "")
    if e.proof not in ELSEWHERE:
        return e
    if not e.channel.startswith("["):
        return dataclasses.replace(e, target="")  # it names nothing, so it holds for nothing
    channel, target, system, *also = json.loads(e.channel)
    return dataclasses.replace(e, channel=channel, target=target, system=system, also=tuple(also))


def _dump(case: Case) -> str:
    body = {
        "tier": case.tier,
        "accounts": case.accounts,
        # Five members, as the version before reads them.
        "evidence": [(e.proof, e.kind, _channel(e), e.accepted_at, e.handle) for e in case.evidence],
        "aged": [e.aged for e in case.evidence],
        "targets": [e.target for e in case.evidence],
        "results": [dataclasses.astuple(r) for r in case.results],
        "submission": case.submission,
        "approved_for": case.approved_for,
        "waiting": case.waiting,
        "remedied": case.remedied,
        "remedied_at": case.remedied_at,
        "renewed": case.renewed,
    }
    return json.dumps(body, ensure_ascii=True, separators=(",", ":"))


def load_case(row: Row[Any]) -> Case:
    """The case of a row that holds all columns of `cases`."""
    body = json.loads(row.body)
    return Case(
        id=row.id,
        person_id=row.person_id,
        journey=row.journey,
        tier=body["tier"],
        state=dc.State(row.state),
        version=row.version,
        accounts=tuple(body["accounts"]),
        evidence=tuple(
            _evidence(e, a, target)
            for e, a, target in zip_longest(body["evidence"], body.get("aged", ()), body.get("targets", ()))
        ),
        results=tuple(dc.AccountResult(*r) for r in body["results"]),
        submission=body["submission"],
        opened_at=row.opened_at,
        expires_at=row.expires_at,
        approved_for=tuple(body.get("approved_for", ())),  # cases of the version before have none
        remedied=body.get("remedied", ""),
        remedied_at=body.get("remedied_at", 0),
        renewed=body.get("renewed", False),
        waiting=tuple((h, until) for h, until in body.get("waiting", ())),
    )


class CaseStore:
    def __init__(self, tx: TxContext, audit: AuditStore) -> None:
        self._tx = tx
        self._new: dict[str, dict[str, Any]] = {}
        self._audit = audit

    def get(self, case_id: str) -> Case | None:
        """The case; in a writing transaction its row stays locked until the commit."""
        return self._tx.once(("case", case_id), lambda: self._get(case_id))

    def _get(self, case_id: str) -> Case | None:
        row = (LOCKED if self._tx.writes else BY_ID).first(self._tx.conn, {"id": case_id})
        return load_case(row) if row else None

    def open_of(self, person_ids: Sequence[str]) -> Mapping[str, Case]:
        query = select(cases).where(among(cases.c.person_id, person_ids), OPEN)
        if self._tx.writes:
            query = query.order_by(cases.c.id).with_for_update()
        return {r.person_id: load_case(r) for r in self._tx.conn.execute(query)}

    def act(self, case: Case, events: Sequence[CaseEvent]) -> Case:
        return self.act_many([(case, events)])[0]

    def act_many(
        self, acts: Sequence[tuple[Case, Sequence[CaseEvent]]], folded: Sequence[Case] | None = None
    ) -> list[Case]:
        """Folds each case's events and stores all of them together.

        Args:
            folded: the cases after their events, where the caller has them already.

        Raises:
            Refusal: `conflict` when one was changed since it was read.
        """
        new, changed, before, after = [], [], [], []
        for i, (case, happened) in enumerate(acts):
            then = folded[i] if folded else self._fold(case, happened)
            self._audit.record(case.id, happened)
            after.append(then)
            row = {
                "id": case.id,
                "person_id": then.person_id,
                "journey": then.journey,
                "state": then.state.value,
                "version": then.version,
                "open": not then.ended,
                "opened_at": then.opened_at,
                "expires_at": then.expires_at,
                "body": _dump(then),
            }
            if case.version == 0:
                new.append(row)
                continue
            changed.append(row)
            if then.results and then.settled:
                self._tx.wakes.add(CASE + case.id)
            before.append({"id": case.id, "version": case.version})
        if update_many(self._tx.conn, cases, changed, before) != len(changed):
            raise Refusal("conflict")
        insert_many(self._tx.conn, cases, new)
        return after

    def _fold(self, case: Case, happened: Sequence[CaseEvent]) -> Case:
        for e in happened:
            case = dc.evolve(case, e, self._tx.now)
        return case

    def listed(self, *, state: str | None, limit: int, people: Sequence[str] | None = None) -> Sequence[Case]:
        query = select(cases).order_by(cases.c.opened_at.desc(), cases.c.id).limit(limit)
        if state:
            query = query.where(cases.c.state == state)
        if people is not None:
            query = query.where(among(cases.c.person_id, people))
        return [load_case(r) for r in self._tx.conn.execute(query)]

    def overdue(self, limit: int) -> Sequence[Case]:
        query = select(cases).where(OPEN, cases.c.expires_at <= self._tx.now).limit(limit)
        if self._tx.pg and self._tx.writes:
            query = query.with_for_update(skip_locked=True)
        return [load_case(r) for r in self._tx.conn.execute(query)]

    def holding(self, limit: int) -> Sequence[Case]:
        waiting = cases.c.state.in_(("on_hold", "approved")) & cases.c.body.like('%"waiting":[[%')
        query = select(cases).where(OPEN, waiting).order_by(cases.c.expires_at, cases.c.id).limit(limit)
        if self._tx.pg and self._tx.writes:
            query = query.with_for_update(skip_locked=True)
        return [load_case(r) for r in self._tx.conn.execute(query)]

    def last_recovery(self, person_id: str) -> int | None:
        """When this person's last recovery ended well, in ms of the case's opening."""
        ended = (cases.c.person_id == person_id) & cases.c.state.in_(("recovered", "closed"))
        return self._tx.conn.execute(select(func.max(cases.c.opened_at)).where(ended)).scalar()

    def counts(self) -> Mapping[str, int]:
        rows = self._tx.conn.execute(select(cases.c.state, func.count()).where(OPEN).group_by(cases.c.state))
        return {r.state: r[1] for r in rows}
