"""The demo's CRM as the suite of connectors wants it, for each of the connectors that reach it."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from keyback.application.ports.connectors import Connector
from keyback.connectors.demo import DemoConnector
from keyback.testing.connectors import OLD, FaultyProxy, OverProxy, Traits
from keyback.testing.demo_crm import DemoCrm
from keyback.testing.serving import served

TOKEN = "demo-token-0123456789"


def by_hand(url: str, **more: Any) -> Connector:
    return DemoConnector.from_options("demo", "Demo CRM", {"url": url, "secret": TOKEN, **more})


@dataclass
class DemoHarness(OverProxy):
    """`make` makes the connector from an address and options more; see `over`."""

    crm: DemoCrm
    proxy: FaultyProxy
    url: str
    make: Callable[..., Connector]
    connector: Connector
    traits = Traits()

    @classmethod
    @contextlib.asynccontextmanager
    async def over(cls, crm: DemoCrm, make: Callable[..., Connector] = by_hand) -> AsyncIterator[DemoHarness]:
        """The CRM served behind a way that can break."""
        with served(crm) as at:
            proxy = FaultyProxy(("127.0.0.1", int(at.rpartition(":")[2])), b"/password HTTP")
            async with proxy.running() as url:
                harness = cls(crm, proxy, url, make, make(url))
                yield harness
                await proxy.set("")
                await harness.connector.close()

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

    async def renew(self, **more: Any) -> None:
        await self.connector.close()
        self.connector = self.make(self.url, **more)
