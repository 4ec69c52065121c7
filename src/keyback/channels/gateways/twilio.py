"""SMS by Twilio, `Messages` of API 2010-04-01.

Sources: twilio.com/docs, "Message resource" and "Error and warning dictionary". Twilio has no way to drop a repeat, so
after a lost answer a second SMS with the same code may come.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import Field

from keyback.application.ports.channels import Receipt
from keyback.channels.gateways import base
from keyback.channels.gateways.base import GatewayAbout, GatewayOptions, GatewayVerdict, codes, receipt
from keyback.channels.gateways.texts import ShortMessage
from keyback.domain.secret import Secret
from keyback.outbound.http import Endpoint

CODES: Mapping[int, GatewayVerdict] = {
    20429: base.BUSY, 14107: base.BUSY, 30001: base.BUSY, 30022: base.BUSY, 63038: base.BUSY,
    30002: base.NO_BALANCE, 20010: base.NO_BALANCE, 90010: base.NO_BALANCE,
    21211: base.BAD_RECIPIENT, 21214: base.BAD_RECIPIENT, 21217: base.BAD_RECIPIENT, 21265: base.BAD_RECIPIENT,
    21610: base.BAD_RECIPIENT, 21612: base.BAD_RECIPIENT, 21614: base.BAD_RECIPIENT, 30003: base.BAD_RECIPIENT,
    30005: base.BAD_RECIPIENT, 30006: base.BAD_RECIPIENT,
    21602: base.BAD_MESSAGE, 21605: base.BAD_MESSAGE, 21617: base.BAD_MESSAGE, 30007: base.BAD_MESSAGE,
    20003: base.REFUSES_US, 20404: base.REFUSES_US, 21408: base.REFUSES_US, 21603: base.REFUSES_US,
    21606: base.REFUSES_US, 21608: base.REFUSES_US, 21611: base.BUSY, 21660: base.REFUSES_US,
    21703: base.REFUSES_US,
}  # fmt: skip
STATUSES: Mapping[int, GatewayVerdict] = {
    401: base.REFUSES_US,
    403: base.REFUSES_US,
    404: base.REFUSES_US,
    429: base.BUSY,
}


class TwilioOptions(GatewayOptions):
    """Keys of the section.

    Args:
        account: the Account SID.
        key_id: SID of an API key, whose secret is `secret`; without it `secret` is the account's auth token.
        sender: a number of yours, an alphanumeric sender, or the SID of a messaging service (`MG…`).
    """

    url: str = "https://api.twilio.com"
    account: str = Field(pattern=r"^AC[0-9a-fA-F]{32}$")
    key_id: str = ""
    sender: str = Field(min_length=2, max_length=40)


class TwilioSms:
    """Sends for one account.

    Args:
        options: the section's keys.
        secret: of the API key, or the account's auth token.
    """

    about = GatewayAbout({"en": "Twilio", "zh_CN": "Twilio"}, frozenset({"sms"}), TwilioOptions, codes(CODES))

    def __init__(self, options: TwilioOptions, secret: Secret) -> None:
        self._o = options
        pair = f"{options.key_id or options.account}:{secret.reveal()}"
        self._auth = Secret("Basic " + base64.b64encode(pair.encode()).decode())
        self._http = Endpoint(options.url, ca_file=options.ca_file, timeout=options.timeout_s)

    @classmethod
    def from_options(cls, options: Mapping[str, Any], clock: Callable[[], int]) -> TwilioSms:
        """From a section of `keyback.toml`. Raises `ValueError` for missing, unknown or unsafe values."""
        o = TwilioOptions.model_validate(options)
        return cls(o, o.read_secret())

    async def deliver(self, message: ShortMessage) -> Receipt:
        service = self._o.sender.startswith("MG") and len(self._o.sender) == 34
        form = {
            "To": message.to,
            "MessagingServiceSid" if service else "From": self._o.sender,
            "Body": message.text,
        }
        path = f"2010-04-01/Accounts/{self._o.account}/Messages.json"
        reply = await self._http.call("POST", path, form=form, headers={"Authorization": self._auth})
        answer = reply.json()
        if reply.status < 300:
            return receipt(base.OK, answer.get("status"))
        code = answer.get("code")
        known = CODES.get(code) if isinstance(code, int) else None
        verdict = known or STATUSES.get(reply.status, base.BAD_MESSAGE)
        return receipt(verdict, answer.get("message"), code)

    async def close(self) -> None:
        await self._http.close()
