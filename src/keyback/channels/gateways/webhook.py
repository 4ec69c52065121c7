"""SMS and chat messages by HTTP to an address of the company's own: a gateway, a script, another service.

One signed JSON object is posted for each message, in the form of Standard Webhooks 1.0.0 (standardwebhooks.com):

    POST <url>
    webhook-id: <the message's id, the same over retries>
    webhook-timestamp: <seconds>
    webhook-signature: v1,<base64 of HMAC-SHA256 over "id.timestamp.body">

    {"id", "channel": "sms"|"im", "to", "kind", "locale", "text", "params", "expires_at"}

Answers: 2xx took it; 402 no balance; 408, 425 and 429 later; 401, 403, 404 and 405 are ours to mend; 422 is about the
recipient; any other 4xx about the message; 5xx and silence are tried again.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from keyback.application.ports.channels import Receipt
from keyback.channels.gateways import base
from keyback.channels.gateways.base import GatewayAbout, GatewayOptions, GatewayVerdict, codes, receipt
from keyback.channels.gateways.texts import ShortMessage
from keyback.domain.secret import Secret
from keyback.outbound.http import Endpoint
from keyback.outbound.standard_webhooks import signed_headers, webhook_key

ANSWERS: Mapping[int, GatewayVerdict] = {
    401: base.REFUSES_US, 403: base.REFUSES_US, 404: base.REFUSES_US, 405: base.REFUSES_US,
    402: base.NO_BALANCE, 408: base.BUSY, 425: base.BUSY, 429: base.BUSY, 422: base.BAD_RECIPIENT,
}  # fmt: skip


class WebhookGateway:
    """Posts to one address.

    Args:
        endpoint: the address.
        secret: `whsec_` and the base64 of 24 to 64 random bytes.
        clock: now in ms.

    Raises:
        ValueError: a secret of another form.
    """

    about = GatewayAbout(
        {"en": "A service of your own", "zh_CN": "自有服务"}, frozenset({"sms", "im"}), GatewayOptions, codes(ANSWERS)
    )

    def __init__(self, endpoint: Endpoint, secret: Secret, clock: Callable[[], int]) -> None:
        self._http, self._clock = endpoint, clock
        self._key = webhook_key(secret)

    @classmethod
    def from_options(cls, options: Mapping[str, Any], clock: Callable[[], int]) -> WebhookGateway:
        """From a section of `keyback.toml`. Raises `ValueError` for missing, unknown or unsafe values."""
        o = GatewayOptions.model_validate(options)
        return cls(Endpoint(o.url, ca_file=o.ca_file, timeout=o.timeout_s), o.read_secret(), clock)

    async def deliver(self, message: ShortMessage) -> Receipt:
        fields = ("id", "channel", "to", "kind", "locale", "text", "params", "expires_at")
        body = json.dumps({f: getattr(message, f) for f in fields}).encode("ascii")
        headers = signed_headers([self._key], message.id, self._clock() // 1000, body)
        reply = await self._http.call("POST", "", content=body, headers=headers)
        if reply.status < 300:
            return receipt(base.OK)
        return receipt(ANSWERS.get(reply.status, base.BAD_MESSAGE), f"HTTP {reply.status}")

    async def close(self) -> None:
        await self._http.close()
