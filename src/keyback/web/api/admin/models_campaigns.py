"""What the admin API takes and gives about campaigns. No person is named."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, Field, StringConstraints

from keyback.application.campaigns.lifecycle import MAX_NAME
from keyback.domain.operators.campaigns import MAX_PACE, CampaignReason, CampaignState
from keyback.domain.people.groups import MAX_GROUP
from keyback.domain.people.person import Tier
from keyback.web.api.admin.models import By, Id, Next
from keyback.web.api.models import Given, Instant

MAX_LINES = 1000  # people of one call; longer lists come by the command
Clock = Annotated[str, StringConstraints(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$")]


class NewCampaign(Given):
    """Everything that is given has to be true of a person. Nothing given: everybody."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME)] = Field(
        description="For operators; in no message.", examples=["Leak of November"]
    )
    reason: CampaignReason = Field(description="Why, for the email.")
    system: Annotated[str, StringConstraints(max_length=40)] | None = Field(
        None, description="Only people with an account there.", examples=["builtin"]
    )
    tier: Tier | None = Field(None, description="Only people of this tier.")
    group: Annotated[str, StringConstraints(max_length=MAX_GROUP)] | None = Field(
        None, description="Only people in this group or department; `listGroups` has their names.", examples=["Sales"]
    )
    older_days: int = Field(0, ge=0, le=3650, description="Only with a password this old, or of unknown age.")
    people: list[Annotated[str, StringConstraints(max_length=254)]] | None = Field(
        None,
        min_length=1,
        max_length=MAX_LINES,
        description="Only these: usernames, email addresses or import keys. Longer lists come by `keyback campaign`.",
    )
    per_minute: int = Field(0, ge=0, le=MAX_PACE, description="People a minute; 0: as fast as mail goes out.")
    quiet_from: Clock | None = Field(
        None, description="Nobody is asked from this time of the day …", examples=["22:00"]
    )
    quiet_until: Clock | None = Field(None, description="… until this one.", examples=["07:00"])
    end_sessions: bool = Field(False, description="Whoever is asked is signed out of Keyback.")
    must_renew: bool = Field(False, description="Passwords in Keyback then only let their owners choose a new one.")


class Counts(BaseModel):
    """How many people, by how far the campaign is with them, and what they did."""

    all: int
    privileged: int
    waiting: int
    queued: int
    sent: int
    failed: int
    gone: int = Field(description="Switched off since, or without a mailbox, or the campaign was stopped.")
    unreachable: int = Field(description="Without a confirmed mailbox.")
    elsewhere: int = Field(description="Every password of theirs lives with another sign-in.")
    opened: int = Field(description="Of those who were asked: began a recovery.")
    recovered: int
    ended: int = Field(description="Let it end without.")


class Campaign(BaseModel):
    id: Id
    version: int
    name: str
    state: CampaignState = Field(description="`drafted`: counted, and waits for a security officer's approval.")
    reason: CampaignReason
    system: str | None
    tier: Tier | None
    group: str | None
    older_days: int
    listed: bool
    lines_unknown: int = Field(description="Lines of its list by which nobody is known.")
    per_minute: int
    end_sessions: bool
    must_renew: bool
    drafted_by: By | None
    drafted_at: Instant
    decided_by: By | None
    decided_at: Instant | None
    ended_at: Instant | None
    people: Counts
    seconds_left: int | None = Field(description="That asking the rest takes at its pace; null without one.")


class CampaignPage(BaseModel):
    items: list[Campaign]
    next: Next
