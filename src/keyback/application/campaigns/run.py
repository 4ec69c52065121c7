"""What the worker does for campaigns, a piece at a time: collects who is meant, asks them, and counts what came of it.

Each piece is one transaction under the lock of its campaign: a crash leaves all of it or nothing, and several workers
take turns. Asking somebody moves them on and puts their message into the outbox in one commit, so that nobody is asked
twice. Such messages are jobs of a kind of their own (`BULK`), which never stand in the way of anybody's recovery.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from typing import Final

from keyback.application.campaigns.lifecycle import STREAM, move
from keyback.application.leases import steady_clock
from keyback.application.notifications.notify import as_job
from keyback.application.ports.campaigns import Campaign, Standing
from keyback.application.ports.messages import CampaignMessage
from keyback.application.ports.storage import Database, Job, Tx
from keyback.domain.people.person import Account
from keyback.domain.recovery.events import Note
from keyback.domain.units import HOUR

BULK: Final = "bulk"
COLLECT = 1000  # people looked at in one piece
ASK = 250  # people asked in one piece: short enough that nobody's own request feels it
BATCH = 250  # messages sent in one piece: what is asked of the database for each piece is shared by more
AHEAD = 2000  # messages of one campaign that wait in the outbox; more would only age there
LIFE = 3 * 24 * HOUR  # a relay may be away for a weekend
LOOK = 2000  # recoveries counted in one piece
WATCHED = 30 * 24 * HOUR  # for which what came of it is counted, after its end
OWN = "builtin"


async def step(db: Database, zone: tzinfo = UTC) -> int:
    """The next piece of any campaign; how many people it was about. 0: there is nothing to do now."""
    if not await db.read(lambda tx: tx.campaigns.live()):
        return 0
    return await db.write(lambda tx: collect(tx) or ask(tx, zone))


async def gently(send: Callable[[], Awaitable[int]]) -> int:
    """Sends a batch, and rests as long as it took, so that everybody's own requests find the machine free."""
    begun = steady_clock()
    if sent := await send():
        await asyncio.sleep(steady_clock() - begun)
    return sent


def collect(tx: Tx) -> int:
    """Looks at the next people of a draft and puts in whoever is meant; how many were looked at."""
    campaign = tx.campaigns.take("collecting")
    if campaign is None:
        return 0
    cursor = tx.campaigns.collect(campaign, tx.now, COLLECT)
    if cursor:
        tx.campaigns.save(replace(campaign, cursor=cursor))
    else:
        move(tx, campaign, "collected", "worker")
    return COLLECT


def ask(tx: Tx, zone: tzinfo = UTC) -> int:
    """Asks the next people of one campaign, as many as its pace allows; how many."""
    looked: list[str] = []
    while (campaign := tx.campaigns.take("running", looked)) is not None:
        if n := _ask_next(tx, campaign, zone):
            return n
        looked.append(campaign.id)
    return 0


def _ask_next(tx: Tx, campaign: Campaign, zone: tzinfo) -> int:
    clock = datetime.fromtimestamp(tx.now / 1000, zone)
    room = AHEAD - tx.campaigns.queued(campaign.id, AHEAD)
    if room <= 0 or campaign.pacing.quiet(clock.hour * 60 + clock.minute):
        return 0
    since = campaign.paced_at
    allowed, _ = campaign.pacing.allowance(since, tx.now, min(room, ASK))
    if not allowed:
        return 0
    ids = tx.campaigns.waiting(campaign.id, allowed)
    if not ids:
        if not tx.campaigns.queued(campaign.id, 1):
            move(tx, campaign, "finish", "worker")
            return 1
        return 0
    _ask(tx, campaign, ids)
    _, paced = campaign.pacing.allowance(since, tx.now, len(ids))
    tx.campaigns.save(replace(campaign, paced_at=paced))
    return len(ids)


def _ask(tx: Tx, campaign: Campaign, ids: Sequence[str]) -> None:
    people, contacts, accounts = tx.people.people(ids), tx.people.contacts(ids), tx.people.accounts(ids)
    jobs: list[Job] = []
    standing: dict[Standing, list[str]] = defaultdict(list)
    signed_out = renew = 0
    for person_id in ids:
        person = people.get(person_id)
        own = [a for a in accounts.get(person_id, ()) if a.state != "disabled" and not a.provider]
        to = next((c for c in contacts.get(person_id, ()) if c.channel == "mail" and c.usable_from <= tx.now), None)
        if person is None or person.state != "active" or not own or to is None:
            standing["gone"].append(person_id)
            continue
        must = campaign.must_renew and any(a.system == OWN for a in own)
        told = CampaignMessage(username=_best(own, campaign).username, why=campaign.reason, must=must)
        job = as_job(tx, told, to, tx.now + LIFE)
        jobs.append(replace(job, kind=BULK, body={**job.body, "campaign": campaign.id}))
        standing["queued"].append(person_id)
        if campaign.end_sessions and (ended := tx.sessions.end_all(person_id)):
            signed_out += 1
            told_why = {"count": ended, "by": "operator", "reason": "campaign"}
            tx.audit.record(person_id, [Note("sessions_ended", told_why)])
        if must:
            renew += 1
            tx.counters.add([f"renew/{a.id}" for a in own if a.system == OWN])
    for name, some in standing.items():
        tx.campaigns.mark(campaign.id, some, name, at=tx.now)
    under_way = tx.cases.open_of(standing["queued"])
    tx.campaigns.note_open(campaign.id, {p: c.id for p, c in under_way.items()})
    tx.outbox.put(jobs)
    facts = {"campaign": campaign.id, "count": len(jobs), "gone": len(standing["gone"])}
    tx.audit.record(STREAM, [Note("campaign_asked", {**facts, "signed_out": signed_out, "must_renew": renew})])


def _best(own: Sequence[Account], campaign: Campaign) -> Account:
    """The login that the message names: of the system that is meant, if one is."""
    return next((a for a in own if a.system == campaign.selection.system), own[0])


def stopped(tx: Tx, jobs: Iterable[Job]) -> frozenset[str]:
    """Those of the campaigns of these messages that were stopped: nobody is asked any more."""
    ids = {str(j.body["campaign"]) for j in jobs if "campaign" in j.body}
    found = {i: tx.campaigns.get(i) for i in sorted(ids)}
    return frozenset(i for i, c in found.items() if c is None or c.state == "stopped")


# ── what became of the messages ─────────────────────────────────────────────


def note_sent(tx: Tx, sent: Iterable[Job], void: Iterable[Job]) -> None:
    """Notes those of a batch that were handed over, and those that nobody needs any more."""
    _mark(tx, sent, "sent")
    _mark(tx, void, "gone")


def note_failed(tx: Tx, job: Job) -> None:
    """Notes a message that was given up."""
    _mark(tx, [job], "failed")


def _mark(tx: Tx, jobs: Iterable[Job], standing: Standing) -> None:
    by: dict[str, list[str]] = defaultdict(list)
    for j in jobs:
        if "campaign" in j.body:
            by[str(j.body["campaign"])].append(str(j.body.get("person")))
    for campaign_id, people in sorted(by.items()):
        tx.campaigns.mark(campaign_id, people, standing)


# ── what people did ─────────────────────────────────────────────────────────


async def look(db: Database) -> int:
    """Counts recoveries of those who were asked; costs by the recoveries that there were. How many campaigns."""
    found = await db.read(lambda tx: tx.campaigns.looking(tx.now - WATCHED))
    for c in found:
        await db.write(_look_at(c.id))
    return 0


def _look_at(campaign_id: str) -> Callable[[Tx], None]:
    def of(tx: Tx) -> None:
        campaign = tx.campaigns.get(campaign_id, lock=True)
        if campaign is None:
            return
        until = tx.campaigns.note_opened(campaign, LOOK)
        tx.campaigns.note_finished(campaign.id, LOOK)
        if until != campaign.looked_at:
            tx.campaigns.save(replace(campaign, looked_at=until))

    return of
