"""Drafting, deciding and stopping a campaign. One operator drafts it, another approves what the dry run counted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from keyback.application.ports.campaigns import Campaign, Tally
from keyback.application.ports.storage import Tx
from keyback.domain.characters import is_shown
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators.campaigns import (
    MAX_PACE,
    CampaignAct,
    CampaignReason,
    CampaignState,
    Pacing,
    Selection,
    after,
    obstacle,
)
from keyback.domain.operators.roles import Operator
from keyback.domain.people.groups import sought_group
from keyback.domain.people.person import canonicalize
from keyback.domain.recovery.events import Note

STREAM = "campaigns"
SERVER = "server"  # who acts by the command line
MAX_NAME = 80
MAX_LISTED = 2000  # people whom one request can name; longer lists come by the command, piece by piece
MAX_LIVE = 20  # campaigns that have not ended; more would be a mistake
ENDS = {"decline", "stop", "finish"}


@dataclass(frozen=True, slots=True)
class Draft:
    """What an operator asks for."""

    name: str
    reason: CampaignReason
    selection: Selection
    pacing: Pacing = field(default_factory=Pacing)
    end_sessions: bool = False
    must_renew: bool = False


@dataclass(frozen=True, slots=True)
class CampaignView:
    """A campaign with its figures and the names of its operators; no names of people."""

    campaign: Campaign
    tally: Tally
    drafted_by: str
    decided_by: str
    now: int

    @property
    def left_s(self) -> int:
        """Seconds that asking the rest takes at its pace; 0 where none is set."""
        pace = self.campaign.pacing.per_minute
        return -(-self.tally.of("waiting") * 60 // pace) if pace else 0


def draft(tx: Tx, by: Operator | None, wanted: Draft, systems: Iterable[str]) -> Campaign:
    """Writes a campaign down; who is meant is looked up by the worker, once a list is complete (`listed`), and nobody
    is asked before it is approved.

    Args:
        by: None on the server.
        systems: those that there are.

    Raises:
        BadInput: `empty`, `too_long`, `system`, `group` that nobody is in, `pace`.
        Refusal: `too_many` campaigns that have not ended.
    """
    name = "".join(c for c in " ".join(wanted.name.split()) if is_shown(c))
    if not name:
        raise BadInput("empty")
    if len(name) > MAX_NAME:
        raise BadInput("too_long")
    if wanted.selection.system and wanted.selection.system not in set(systems):
        raise BadInput("system")
    selection = wanted.selection
    if selection.group:
        group = tx.groups.known(sought_group(selection.group))
        if not group:
            raise BadInput("group")
        selection = replace(selection, group=group)
    if not 0 <= wanted.pacing.per_minute <= MAX_PACE or not 0 <= wanted.selection.older_days <= 3650:
        raise BadInput("pace")
    if sum(not c.ended_at for c in tx.campaigns.listed(1000)) >= MAX_LIVE:
        raise Refusal("too_many")
    first: CampaignState = "listing" if selection.listed else "collecting"
    made = Campaign(
        tx.new_id(), name, first, wanted.reason, selection, wanted.pacing, wanted.end_sessions,
        by.id if by else SERVER, tx.now, must_renew=wanted.must_renew,
    )  # fmt: skip
    tx.campaigns.add(made)
    _record(tx, made, "drafted", made.drafted_by)
    return made


def name_people(tx: Tx, campaign_id: str, typed: Iterable[str]) -> tuple[int, int]:
    """Puts people of a list into a campaign that is being drafted: by user name, mail address, or import key.

    An identifier that several share means all of them.

    Returns:
        How many lines there were, and how many meant nobody.
    """
    campaign = tx.campaigns.get(campaign_id, lock=True)
    if campaign is None or campaign.state != "listing":
        raise Refusal("wrong_state")
    lines = [t for t in (x.strip() for x in typed) if t]
    canonical = [c for c in map(_canonical, lines) if c]
    found = tx.people.match(sorted(set(canonical)))
    tx.campaigns.add_people(campaign_id, sorted({m.person.id for some in found.values() for m in some}))
    unknown = len(lines) - sum(c in found for c in canonical)
    given = replace(campaign, given=campaign.given + len(lines), unknown=campaign.unknown + unknown)
    tx.campaigns.save(given)
    return len(lines), unknown


def _canonical(typed: str) -> str:
    try:
        return canonicalize(typed)
    except BadInput:
        return ""


def act(tx: Tx, by: Operator | None, campaign_id: str, what: CampaignAct, seen: int = 0) -> Campaign:
    """Approves, declines, pauses, resumes or stops a campaign. Doing what is done already is no fault.

    Args:
        seen: the version that the operator's page showed; only an approval needs it.

    Raises:
        Refusal: `not_found`, or a word of `domain.operators.campaigns.Obstacle`.
    """
    campaign = tx.campaigns.get(campaign_id, lock=True)
    if campaign is None:
        raise Refusal("not_found")
    stopped = obstacle(
        campaign.state,
        what,
        drafted_by=campaign.drafted_by,
        by=by.id if by else SERVER,
        version=campaign.version,
        seen=seen,
    )
    if stopped:
        raise Refusal(stopped)
    return move(tx, campaign, what, by.id if by else SERVER)


def move(tx: Tx, campaign: Campaign, what: CampaignAct, by: str) -> Campaign:
    """Does what was found to be possible. Callers have locked the campaign."""
    state = after(campaign.state, what)
    if state is None:
        raise Refusal("wrong_state")
    over = tx.now if what in ENDS else 0
    changed = replace(campaign, state=state, version=campaign.version + 1, ended_at=over)
    if what in ("approve", "decline"):
        changed = replace(changed, decided_by=by, decided_at=tx.now, looked_at=tx.now)
    if what in ("approve", "resume"):
        changed = replace(changed, paced_at=tx.now)
    if what == "pause":
        changed = replace(changed, paused_by=by)
    tx.campaigns.save(changed)
    _record(tx, changed, what, by)
    return changed


def view(tx: Tx, campaign_id: str) -> CampaignView:
    """Raises:
    Refusal: `not_found`.
    """
    campaign = tx.campaigns.get(campaign_id)
    if campaign is None:
        raise Refusal("not_found")
    return next(_views(tx, [campaign]))


def listed(tx: Tx, limit: int = 50, after: tuple[int, str] | None = None) -> tuple[CampaignView, ...]:
    """The newest campaigns first, behind (drafted_at, id)."""
    return tuple(_views(tx, tx.campaigns.listed(limit, after)))


def _views(tx: Tx, campaigns: Iterable[Campaign]) -> Iterator[CampaignView]:
    some = list(campaigns)
    names = tx.operators.many([i for c in some for i in (c.drafted_by, c.decided_by) if i])
    for c in some:
        who = [names[i].name if i in names else SERVER if i == SERVER else "" for i in (c.drafted_by, c.decided_by)]
        yield CampaignView(c, tx.campaigns.tally(c.id), who[0], who[1], tx.now)


def _record(tx: Tx, c: Campaign, what: str, by: str) -> None:
    facts: dict[str, object] = {"campaign": c.id, "act": what, "operator": by, "version": c.version}
    if what == "drafted":
        s, p = c.selection, c.pacing
        facts |= {"reason": c.reason, "system": s.system, "tier": s.tier, "older_days": s.older_days}
        facts |= {"listed": s.listed, "per_minute": p.per_minute, **({"group": s.group} if s.group else {})}
        facts |= {"end_sessions": c.end_sessions, "must_renew": c.must_renew}
    if what in ("approve", "finish", "stop"):
        facts["people"] = tx.campaigns.tally(c.id).of()
    tx.audit.record(STREAM, [Note("campaign_changed", facts)])
