"""Stands in for a connector whose package cannot be used: nothing is lost, every job waits until it can."""

from __future__ import annotations

from collections.abc import Sequence

from keyback.application.ports.connectors import Capabilities, FoundAccount, Means, Outcome, Plan, Step, Unavailable
from keyback.connectors.base import ConnectorBase
from keyback.domain.secret import Secret
from keyback.domain.units import MINUTE


class MissingConnector(ConnectorBase):
    """Args: name and title as in `keyback.toml`; why: what is wrong with the package."""

    capabilities = Capabilities(lookup=Means.NATIVE, set_password=Means.NATIVE)

    def __init__(self, name: str, title: str, why: str) -> None:
        self.name, self.title, self._why = name, title, why

    async def find(self, identifier: str) -> Sequence[FoundAccount]:
        raise Unavailable("unavailable", self._why)

    async def verify(self, username: str, password: Secret) -> bool | None:
        return None

    async def apply(self, plan: Plan) -> Sequence[Outcome]:
        return [Outcome(Step.GUARD, "retry", "unavailable", retry_after_ms=5 * MINUTE)]
