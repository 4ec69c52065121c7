"""Campaigns in the console: what operators do, and whom that is told to."""

from __future__ import annotations

from collections.abc import Iterable

from keyback.application.campaigns import lifecycle
from keyback.application.campaigns.lifecycle import Draft
from keyback.application.desk.notices import tell_officers
from keyback.application.ports.campaigns import Campaign
from keyback.application.ports.storage import Tx
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators.campaigns import CampaignAct
from keyback.domain.operators.roles import Operator


def draft(tx: Tx, by: Operator | None, wanted: Draft, systems: Iterable[str], people: Iterable[str] = ()) -> Campaign:
    """Writes a campaign down, with its list of people if it has one, and tells all security officers.

    Raises:
        BadInput: as `lifecycle.draft`; `no_list` where a list is meant and none of it is known, `too_many_lines`.
        Refusal: `too_many`.
    """
    lines = [x for x in people if x.strip()]
    if len(lines) > lifecycle.MAX_LISTED:
        raise BadInput("too_many_lines")
    made = lifecycle.draft(tx, by, wanted, systems)
    if wanted.selection.listed:
        given, unknown = lifecycle.name_people(tx, made.id, lines)
        if given == unknown:
            raise BadInput("no_list")
        made = lifecycle.act(tx, by, made.id, "listed")
    told(tx, made, by)
    return made


def told(tx: Tx, made: Campaign, by: Operator | None) -> None:
    """Tells all security officers of a draft."""
    tell_officers(tx, "campaign_drafted", made.name, by.name if by else lifecycle.SERVER, campaign_id=made.id)


def act(tx: Tx, by: Operator, campaign_id: str, what: CampaignAct, seen: int = 0) -> Campaign:
    """Approves, declines, pauses, resumes or stops a campaign; an approval is told to all security officers.

    Raises:
        Refusal: as `lifecycle.act`; `needs_person` where a program would approve or decline one, or resume what
            somebody else paused.
    """
    if by.scopes is not None and what in ("approve", "decline", "resume"):
        found = tx.campaigns.get(campaign_id, lock=True)
        if found is None:
            raise Refusal("not_found")
        if what != "resume" or (found.state == "paused" and found.paused_by != by.id):
            raise Refusal("needs_person")
    done = lifecycle.act(tx, by, campaign_id, what, seen)
    if what == "approve":
        tell_officers(tx, "campaign_approved", done.name, by.name, campaign_id=done.id)
    return done
