"""Stands in for a gateway whose package cannot be used: messages wait until it can, or their time is over."""

from __future__ import annotations

from keyback.application.ports.channels import Receipt
from keyback.channels.gateways.texts import ShortMessage
from keyback.outbound.http import NotDone


class MissingGateway:
    """Args: why: what is wrong with the package."""

    def __init__(self, why: str) -> None:
        self._why = why

    async def deliver(self, message: ShortMessage) -> Receipt:
        return Receipt("temporary", "fault", "the gateway's package cannot be used")

    async def check(self) -> None:
        """Raises `NotDone` with the reason."""
        raise NotDone("unavailable", self._why)

    async def close(self) -> None:
        pass
