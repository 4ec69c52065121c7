"""What the page of the systems shows."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import ClassVar

from keyback.application.desk.systems import COUNTED, SystemsSeen
from keyback.application.ports.connectors import Capabilities
from keyback.web.console.pages import ConsolePage


@dataclass(frozen=True, slots=True)
class SystemsPage(ConsolePage):
    template: ClassVar[str] = "console/systems.html"
    room: ClassVar[str] = "systems"
    many: ClassVar[int] = COUNTED
    abilities: ClassVar[tuple[str, ...]] = tuple(f.name for f in dataclasses.fields(Capabilities))
    found: SystemsSeen
