"""The demo's CRM as the suite of connectors wants it, for each of the connectors that reach it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from keyback.application.ports.connectors import Connector
from keyback.connectors.demo import DemoConnector
from keyback.domain.secret import Secret
from keyback.testing.connectors import OLD, Fault, Traits
from keyback.testing.demo_crm import DemoCrm

TOKEN = "demo-token-0123456789"


@dataclass
class DemoHarness:
    crm: DemoCrm
    connector: Connector
    url: str
    traits = Traits()

    async def add_user(self, username: str, mail: str, *, privileged: bool = False, disabled: bool = False) -> str:
        state: Any = "disabled" if disabled else "active"
        return self.crm.add_user(username, mail, username.title(), OLD, state=state, privileged=privileged)

    async def open_session(self, username: str, password: str) -> Callable[[], Awaitable[bool]] | None:
        if not self.crm.sign_in(username, password):
            return None

        async def alive() -> bool:
            return next(u for u in self.crm.users if u.username == username).sessions > 0

        return alive

    async def lock(self, external_id: str) -> None:
        for _ in range(5):
            self.crm.sign_in(self.crm.user(external_id).username, "wrong")

    async def changes(self, external_id: str) -> int:
        return self.crm.user(external_id).changes

    async def fault(self, how: Fault) -> None:
        self.crm.broken = "drop_reply_after_apply" if how == "drop_reply" else how
        if how == "hang":
            await self.impatient()

    async def impatient(self) -> None:
        """Waiting out a whole time-out would make the suite slow; a short one everywhere would make it shaky."""
        await self.connector.close()
        self.connector = DemoConnector("demo", "Demo CRM", self.url, Secret(TOKEN), timeout=0.5)
