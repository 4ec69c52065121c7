"""What the page of the audit log shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from keyback.application.desk.audit_search import EXPORT, Found, Wanted
from keyback.domain.operators.roles import Operator
from keyback.web.console.pages import ConsolePage


@dataclass(frozen=True, slots=True)
class AuditPage(ConsolePage):
    """`names`: operators whom rows name. `error`: `day`."""

    template: ClassVar[str] = "console/audit.html"
    room: ClassVar[str] = "audit"
    most: ClassVar[int] = EXPORT
    found: Found
    wanted: Wanted
    operators: tuple[Operator, ...]
    names: Mapping[str, Operator] = field(default_factory=dict)
    error: str = ""
