"""A gateway to an invented pager service, which takes a line of text for each message and answers with a word."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from keyback.application.ports.channels import Receipt
from keyback.channels.gateways import base
from keyback.channels.gateways.base import GatewayAbout, GatewayOptions, GatewayVerdict, receipt
from keyback.channels.gateways.texts import ShortMessage
from keyback.domain.secret import Secret
from keyback.outbound.http import Endpoint

ANSWERS: Mapping[str, GatewayVerdict] = {
    "TAKEN": base.OK,
    "LATER": base.BUSY,
    "EMPTY": base.NO_BALANCE,
    "WHO": base.BAD_RECIPIENT,
    "NO": base.REFUSES_US,
}


class PagerOptions(GatewayOptions):
    """Keys of the section; `site` is the company's name with the service."""

    site: str


class Pager:
    """Sends for one site."""

    about = GatewayAbout({"en": "Pager service", "zh_CN": "寻呼服务"}, frozenset({"sms"}), PagerOptions, ANSWERS)

    def __init__(self, options: PagerOptions, secret: Secret) -> None:
        self._site, self._secret = options.site, secret
        self._http = Endpoint(options.url, ca_file=options.ca_file, timeout=options.timeout_s)

    @classmethod
    def from_options(cls, options: Mapping[str, Any], clock: Callable[[], int]) -> Pager:
        o = PagerOptions.model_validate(options)
        return cls(o, o.read_secret())

    async def deliver(self, message: ShortMessage) -> Receipt:
        body = {"site": self._site, "to": message.to, "text": message.text, "id": message.id}
        headers = {"Authorization": Secret(f"Bearer {self._secret.reveal()}")}
        answer = str((await self._http.call("POST", "", json=body, headers=headers)).json()["answer"])
        return receipt(ANSWERS.get(answer, base.BAD_MESSAGE), code=answer)

    async def close(self) -> None:
        await self._http.close()
