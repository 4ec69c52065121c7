"""What the page of the audit log shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from keyback.application.desk.audit_search import EXPORT, Found, Wanted
from keyback.application.ports.system_states import SystemHealth
from keyback.application.webhooks.words import Worded
from keyback.domain.operators.roles import Operator
from keyback.domain.people.person import Person
from keyback.web.console.pages import ConsolePage


@dataclass(frozen=True, slots=True)
class AuditPage(ConsolePage):
    """`names`: operators whom rows name. `error`: `day`. `words`: of events, by their names. `people`: those of the
    rows, by their ids. `checked`: what `keyback audit verify` said last; None for never."""

    template: ClassVar[str] = "console/audit.html"
    room: ClassVar[str] = "audit"
    most: ClassVar[int] = EXPORT
    found: Found
    wanted: Wanted
    operators: tuple[Operator, ...]
    names: Mapping[str, Operator] = field(default_factory=dict)
    error: str = ""
    words: Mapping[str, Worded] = field(default_factory=dict)
    titles: Mapping[str, str] = field(default_factory=dict)
    people: Mapping[str, Person] = field(default_factory=dict)
    checked: SystemHealth | None = None
