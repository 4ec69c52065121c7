"""What the pages about campaigns show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from keyback.application.campaigns.lifecycle import MAX_LISTED, CampaignView
from keyback.web.console.pages import ConsolePage


@dataclass(frozen=True, slots=True)
class CampaignsPage(ConsolePage):
    template: ClassVar[str] = "console/campaigns.html"
    room: ClassVar[str] = "campaigns"
    found: tuple[CampaignView, ...]


@dataclass(frozen=True, slots=True)
class NewCampaignPage(ConsolePage):
    """`titles`, `groups`: what can be chosen, of groups the first ones; `error`: a code of what is wrong with what was
    `typed`."""

    template: ClassVar[str] = "console/campaign_new.html"
    room: ClassVar[str] = "campaigns"
    titles: Mapping[str, str]
    groups: tuple[str, ...] = ()
    error: str = ""
    typed: Mapping[str, str] = field(default_factory=dict, repr=False)
    most: int = MAX_LISTED


@dataclass(frozen=True, slots=True)
class CampaignPage(ConsolePage):
    """One campaign: dry run, progress, and what came of it. `error`: a refusal's code."""

    template: ClassVar[str] = "console/campaign.html"
    room: ClassVar[str] = "campaigns"
    view: CampaignView
    titles: Mapping[str, str]
    error: str = ""
