"""Pages of the console about requests for help."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from keyback.application.desk.help_answers import Listing, OpenedRequest
from keyback.web.console.pages import ConsolePage


@dataclass(frozen=True, slots=True)
class RequestsPage(ConsolePage):
    """`/console/requests`. `more`: the query of the next page."""

    template: ClassVar[str] = "console/requests.html"
    room: ClassVar[str] = "requests"
    found: Listing
    tab: str
    more: str = ""
    many: int = 500


@dataclass(frozen=True, slots=True)
class RequestPage(ConsolePage):
    """One request. `error`: a refusal's code or that of bad input; `text`: what was typed then."""

    template: ClassVar[str] = "console/request.html"
    room: ClassVar[str] = "requests"
    opened: OpenedRequest
    error: str = ""
    text: str = field(default="", repr=False)
    done: str = ""
