"""Campaigns, and how far each is with whom."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, Row, case, exists, func, literal, or_, select, text, update

from keyback.application.ports.campaigns import Campaign, Standing, Tally
from keyback.domain.operators.campaigns import DAY, CampaignState, Pacing, Selection
from keyback.domain.people.groups import group_name
from keyback.domain.units import MINUTE
from keyback.storage.sql.context import TxContext
from keyback.storage.sql.in_list import among
from keyback.storage.sql.schema import accounts, cases, contacts, credentials, people
from keyback.storage.sql.schema_ages import password_ages
from keyback.storage.sql.schema_campaigns import campaign_people, campaigns
from keyback.storage.sql.statements import insert_many, update_many
from keyback.storage.stores.groups import is_in

C, P = campaigns.c, campaign_people.c
LATE = MINUTE // 2  # what is committed may be dated this long ago
RECOVERED = ("recovered", "closed")
ENDED = (*RECOVERED, "rejected", "cancelled", "expired", "failed")
OPENED = text("campaign_people.outcome = 'opened'")  # in the words of the partial index
GONE_AT_ONCE = 5000


def _row(c: Campaign) -> dict[str, Any]:
    values = asdict(c)
    if not c.selection.group:  # the version before knows none, and may read what means none; else it has to stop
        del values["selection"]["group"]
    body = {k: values.pop(k) for k in ("selection", "pacing", "end_sessions", "must_renew", "paused_by")}
    return {**values, "body": json.dumps(body, separators=(",", ":"))}


def _campaign(r: Row[Any]) -> Campaign:
    values = dict(r._mapping)
    values.pop("totals")
    body = json.loads(values.pop("body"))
    return Campaign(
        **values,
        selection=Selection(**body["selection"]),
        pacing=Pacing(**body["pacing"]),
        end_sessions=bool(body["end_sessions"]),
        must_renew=bool(body["must_renew"]),
        paused_by=str(body.get("paused_by", "")),  # a version before did not say
    )


class CampaignStore:
    def __init__(self, tx: TxContext) -> None:
        self._tx = tx

    def add(self, campaign: Campaign) -> None:
        self._tx.conn.execute(campaigns.insert().values(**_row(campaign), totals=""))
        self._tx.wakes.add("bulk")

    def get(self, campaign_id: str, *, lock: bool = False) -> Campaign | None:
        if lock:
            self._tx.alone()
        query = select(campaigns).where(C.id == campaign_id)
        row = self._tx.conn.execute(query.with_for_update() if lock else query).first()
        return _campaign(row) if row else None

    def listed(self, limit: int, after: tuple[int, str] | None = None) -> Sequence[Campaign]:
        query = select(campaigns).order_by(C.drafted_at.desc(), C.id).limit(limit)
        if after is not None:
            at, last = after
            query = query.where(C.drafted_at <= at, or_(C.drafted_at < at, C.id > last))
        return [_campaign(r) for r in self._tx.conn.execute(query)]

    def live(self) -> bool:
        found = select(C.id).where(C.state.in_(("collecting", "running"))).limit(1)
        return self._tx.conn.execute(found).first() is not None

    def take(self, state: CampaignState, but: Collection[str] = ()) -> Campaign | None:
        self._tx.alone()
        query = select(campaigns).where((C.state == state) & C.id.not_in(list(but))).order_by(C.paced_at, C.id).limit(1)
        row = self._tx.conn.execute(query.with_for_update(skip_locked=True)).first()
        return _campaign(row) if row else None

    def looking(self, ended_since: int) -> Sequence[Campaign]:
        lately = C.state.in_(("done", "stopped")) & (C.ended_at >= ended_since) & (C.decided_at > 0)
        found = select(campaigns).where(C.state.in_(("running", "paused")) | lately).order_by(C.id)
        return [_campaign(r) for r in self._tx.conn.execute(found)]

    def save(self, campaign: Campaign) -> None:
        values = {k: v for k, v in _row(campaign).items() if k != "id"}
        self._tx.conn.execute(update(campaigns).where(C.id == campaign.id).values(**values))
        self._tx.wakes.add("bulk")

    # ── who is in it ────────────────────────────────────────────────────────

    def add_people(self, campaign_id: str, person_ids: Sequence[str]) -> int:
        had = select(func.count()).select_from(campaign_people).where(P.campaign_id == campaign_id)
        before = self._tx.conn.execute(had).scalar_one()
        rows = [{"campaign_id": campaign_id, "person_id": p, "standing": "waiting"} for p in dict.fromkeys(person_ids)]
        insert_many(self._tx.conn, campaign_people, rows, ignore=True)
        return self._tx.conn.execute(had).scalar_one() - before

    def collect(self, campaign: Campaign, now: int, limit: int) -> str:
        listed = campaign.selection.listed
        source = P.person_id if listed else people.c.id
        page = select(source.label("id")).where(source > campaign.cursor).order_by(source).limit(limit)
        page = page.where(P.campaign_id == campaign.id) if listed else page
        ids = list(self._tx.conn.execute(page).scalars())
        if not ids:
            return ""
        chosen = self._chosen(campaign.selection, now).where(people.c.id.between(ids[0], ids[-1]))
        if listed:
            inside = select(P.person_id).where((P.campaign_id == campaign.id) & P.person_id.between(ids[0], ids[-1]))
            found = self._tx.conn.execute(chosen.where(people.c.id.in_(inside))).all()
            meant = {r.id for r in found}
            out = (P.campaign_id == campaign.id) & among(P.person_id, [i for i in ids if i not in meant])
            self._tx.conn.execute(campaign_people.delete().where(out))
            rows = [{"standing": r.standing, "privileged": bool(r.privileged)} for r in found]
            keys = [{"campaign_id": campaign.id, "person_id": r.id} for r in found]
            update_many(self._tx.conn, campaign_people, rows, keys)
        else:
            columns = chosen.add_columns(literal(campaign.id)).subquery()
            names = ["person_id", "standing", "privileged", "campaign_id"]
            self._tx.conn.execute(campaign_people.insert().from_select(names, select(*columns.c)))
        return str(ids[-1])

    def _chosen(self, s: Selection, now: int) -> Any:
        """Who is meant: id, standing, and whether they are privileged."""
        a, k = accounts.c, contacts.c
        here: ColumnElement[bool] = (a.person_id == people.c.id) & (a.state != "disabled")
        here = here & (a.system == s.system) if s.system else here
        own = exists().where(here & (a.provider == ""))
        mailbox = (k.person_id == people.c.id) & (k.channel == "mail") & (k.state == "confirmed")
        mailbox &= (k.role != "recovery") & (k.usable_from <= now)
        high = (a.person_id == people.c.id) & (a.state != "disabled") & a.privileged
        privileged = (people.c.tier == "privileged") | exists().where(high)
        standing = case(
            (~exists().where(mailbox), literal("unreachable")),
            (~own, literal("elsewhere")),
            else_=literal("waiting"),
        )
        query = select(people.c.id, standing.label("standing"), privileged.label("privileged"))
        query = query.where((people.c.state == "active") & exists().where(here))
        if s.tier:
            query = query.where(privileged if s.tier == "privileged" else (people.c.tier == s.tier) & ~privileged)
        if s.group:
            query = query.where(is_in(people.c.id, group_name(s.group)))
        if s.older_days:
            changed = func.coalesce(func.nullif(credentials.c.changed_at, 0), password_ages.c.changed_at, 0)
            joined = accounts.outerjoin(credentials, credentials.c.account_id == a.id).outerjoin(
                password_ages, password_ages.c.account_id == a.id
            )
            old = here & (a.provider == "") & (changed <= now - s.older_days * DAY)
            query = query.where(exists(select(a.id).select_from(joined).where(old)))
        return query

    # ── how far it is ───────────────────────────────────────────────────────

    def waiting(self, campaign_id: str, limit: int) -> Sequence[str]:
        mine = (P.campaign_id == campaign_id) & (P.standing == "waiting")
        return list(self._tx.conn.execute(select(P.person_id).where(mine).order_by(P.person_id).limit(limit)).scalars())

    def queued(self, campaign_id: str, most: int) -> int:
        mine = select(P.person_id).where((P.campaign_id == campaign_id) & (P.standing == "queued")).limit(most)
        return self._tx.conn.execute(select(func.count()).select_from(mine.subquery())).scalar_one()

    def mark(self, campaign_id: str, person_ids: Sequence[str], standing: Standing, *, at: int = 0) -> int:
        if not person_ids:
            return 0
        before = ("waiting",) if standing == "queued" else ("waiting", "queued")
        mine = (P.campaign_id == campaign_id) & among(P.person_id, sorted(person_ids)) & P.standing.in_(before)
        values: dict[str, Any] = {"standing": standing} | ({"asked_at": at} if at else {})
        return self._tx.conn.execute(update(campaign_people).where(mine).values(**values)).rowcount

    def note_open(self, campaign_id: str, cases: Mapping[str, str]) -> None:
        rows = [{"outcome": "opened", "case_id": c} for c in cases.values()]
        update_many(self._tx.conn, campaign_people, rows, [{"campaign_id": campaign_id, "person_id": p} for p in cases])

    def note_opened(self, campaign: Campaign, limit: int) -> int:
        k, until = cases.c, self._tx.now - LATE
        new = (k.opened_at >= campaign.looked_at) & (k.opened_at <= until)
        last = select(k.opened_at).where(new).order_by(k.opened_at).offset(limit - 1).limit(1)
        until = self._tx.conn.execute(last).scalar() or until
        mine = (P.campaign_id == campaign.id) & (P.person_id == k.person_id) & P.outcome.in_(("", "ended"))
        since = (k.opened_at >= campaign.looked_at) & (k.opened_at <= until) & (P.asked_at > 0)
        query = select(P.person_id, k.id).join_from(cases, campaign_people, mine).where(since)
        query = query.where(k.opened_at >= P.asked_at).order_by(P.person_id, k.opened_at)
        found = dict(tuple(r) for r in self._tx.conn.execute(query.with_for_update(of=campaign_people)))
        self.note_open(campaign.id, found)
        return max(until, campaign.looked_at)

    def note_finished(self, campaign_id: str, limit: int) -> int:
        k = cases.c
        over = (P.campaign_id == campaign_id) & (k.id == P.case_id) & k.state.in_(ENDED)
        query = select(P.person_id, k.state).join_from(campaign_people, cases, over).where(OPENED)
        query = query.order_by(P.person_id).limit(limit).with_for_update(of=campaign_people)
        found = self._tx.conn.execute(query).all()
        rows = [{"outcome": "recovered" if r.state in RECOVERED else "ended"} for r in found]
        keys = [{"campaign_id": campaign_id, "person_id": r.person_id} for r in found]
        return update_many(self._tx.conn, campaign_people, rows, keys)

    def tally(self, campaign_id: str) -> Tally:
        totals = self._tx.conn.execute(select(C.totals).where(C.id == campaign_id)).scalar()
        if totals:
            return Tally({(s, o, bool(p)): n for s, o, p, n in json.loads(totals)})
        group = (P.standing, P.outcome, P.privileged)
        query = select(*group, func.count()).where(P.campaign_id == campaign_id).group_by(*group)
        return Tally({(s, o, bool(p)): n for s, o, p, n in self._tx.conn.execute(query)})

    def purge(self, before: int) -> int:
        over = (C.ended_at > 0) & (C.ended_at < before)
        old = select(P.campaign_id).join(campaigns, C.id == P.campaign_id).where(over).limit(1)
        campaign_id = self._tx.conn.execute(old).scalar()
        if campaign_id is None:
            return 0
        rows = [[*key, n] for key, n in self.tally(campaign_id).rows.items()]
        self._tx.conn.execute(update(campaigns).where(C.id == campaign_id).values(totals=json.dumps(rows)))
        some = list(
            self._tx.conn.execute(select(P.person_id).where(P.campaign_id == campaign_id).limit(GONE_AT_ONCE)).scalars()
        )
        mine = (P.campaign_id == campaign_id) & among(P.person_id, some)
        return self._tx.conn.execute(campaign_people.delete().where(mine)).rowcount
