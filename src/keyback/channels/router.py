"""One channel for all messages: each goes to what carries its kind of address, and none waits for another's service."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from keyback.application.ports.channels import Channel, Message, Receipt

log = structlog.get_logger("keyback.router")


class Router:
    """The channel that the worker sends by (see `Channel`).

    Args:
        carriers: by `Message.channel`; a message without a carrier is refused for good.
    """

    name = "router"

    def __init__(self, carriers: Mapping[str, Channel]) -> None:
        self.carriers = dict(carriers)

    async def send(self, messages: Sequence[Message]) -> Sequence[Receipt]:
        """One receipt per message, in order; the carriers work side by side."""
        receipts = [Receipt("permanent", "no_channel")] * len(messages)

        async def part(carrier: Channel, places: list[int]) -> None:
            for i, r in zip(places, await self._carry(carrier, [messages[i] for i in places]), strict=True):
                receipts[i] = r

        await asyncio.gather(
            *(
                part(carrier, [i for i, message in enumerate(messages) if message.channel == name])
                for name, carrier in self.carriers.items()
            )
        )
        return receipts

    async def close(self) -> None:
        for carrier in self.carriers.values():
            await carrier.close()

    async def _carry(self, carrier: Channel, messages: Sequence[Message]) -> Sequence[Receipt]:
        if not messages:
            return []
        try:
            receipts = await carrier.send(messages)
            if len(receipts) == len(messages):
                return receipts
            error = "count"
        except Exception as e:  # a carrier of somebody else's; the others' messages still count
            error = type(e).__name__
        log.error("carrier_broke", carrier=carrier.name, error=error)
        return [Receipt("temporary", "fault")] * len(messages)
