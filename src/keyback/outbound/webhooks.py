"""Posting events to receivers: each has a client of its own, so that one that hangs takes nobody else's connections."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from keyback.application.ports.connectors import Unavailable
from keyback.application.ports.webhooks import Answer, EventMessage
from keyback.domain.secret import Secret
from keyback.outbound.http import Endpoint, NotDone
from keyback.outbound.standard_webhooks import signed_headers, webhook_key

GONE = 410
KEPT = 50  # clients at a time


class WebhookPosts:
    """What carries messages.

    Args:
        ca_file: of the company's own certificate authority.
        timeout_s: for one call, from first to last byte.
    """

    def __init__(self, ca_file: Path | None = None, timeout_s: float = 10.0) -> None:
        self._ca_file, self._timeout = ca_file, timeout_s
        self._endpoints: dict[str, Endpoint] = {}

    async def post(self, url: str, message: EventMessage, secrets: Sequence[Secret], now_ms: int) -> Answer:
        headers = signed_headers([webhook_key(s) for s in secrets], message.id, now_ms // 1000, message.body)
        try:
            endpoint = await self._endpoint(url)
            reply = await endpoint.call("POST", "", content=message.body, headers=headers, as_is=True)
        except NotDone as e:
            return Answer("unreachable", e.retry_after_ms)
        except Unavailable:
            return Answer("no_answer")
        except (ValueError, OSError):  # an address that an earlier version took, a certificate file that went away
            return Answer("unusable")
        if 200 <= reply.status < 300:
            return Answer("taken")
        if reply.status == GONE:
            return Answer("gone")
        return Answer(f"http_{reply.status}", reply.retry_after_ms(0))

    async def _endpoint(self, url: str) -> Endpoint:
        found = self._endpoints.get(url)
        if found is None:
            if len(self._endpoints) >= KEPT:
                await self.close()
            found = self._endpoints[url] = Endpoint(url, ca_file=self._ca_file, timeout=self._timeout)
        return found

    async def close(self) -> None:
        endpoints, self._endpoints = self._endpoints, {}
        for endpoint in endpoints.values():
            await endpoint.close()
