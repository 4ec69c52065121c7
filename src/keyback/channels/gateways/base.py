"""SMS and chat messages: what all gateways have in common. A gateway itself is one file beside this one.

A gateway hands over one message and says in a `Receipt` what became of it; here it is bounded, kept in order, and
whatever breaks becomes a receipt.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import structlog
from pydantic import BaseModel, Field

from keyback.application.ports.channels import LEASE_OVER, Message, Receipt
from keyback.application.ports.connectors import Unavailable
from keyback.application.ports.messages import BadMessage
from keyback.channels.gateways.texts import PhoneTexts, ShortMessage
from keyback.locale import told
from keyback.outbound.http import HttpOptions, MaybeDone, vendor_text

log = structlog.get_logger("keyback.phone")
AT_ONCE = 4
FAULTS = 3  # without an answer, one after another, before the rest of a batch waits
SLOW_S = 2.0  # a call that was waited for so long, for nothing, holds up messages of other channels in its batch
QUIET_S = 30.0  # after `FAULTS` of those, also over several batches
# What answers mean; the words are the same as for mail where they fit.
GatewayVerdict = tuple[Literal["sent", "temporary", "permanent"], str]
OK: GatewayVerdict = ("sent", "ok")
BUSY: GatewayVerdict = ("temporary", "busy")
REFUSES_US: GatewayVerdict = ("temporary", "relay_refuses_us")  # credentials, signature, template: ours to mend
NO_BALANCE: GatewayVerdict = ("temporary", "no_balance")
BAD_RECIPIENT: GatewayVerdict = ("permanent", "refused_recipient")
BAD_MESSAGE: GatewayVerdict = ("permanent", "refused_message")
NO_TEMPLATE: GatewayVerdict = ("permanent", "no_template")
OURS = frozenset({"relay_refuses_us", "no_balance", "no_template"})
_TELLING = re.compile(r"\S+@\S+|https?:\S+|\+?\d(?:[ -]?\d){3,}")  # gateways quote numbers, and now and then the code


@dataclass(frozen=True, slots=True)
class GatewayAbout:
    """What administrators read of a gateway.

    Args:
        title: what the service is called, by locale.
        carries: `sms`, `im` or both.
        options: its keys in the section of `keyback.toml`.
        errors: what its codes mean, as its documents have them.
    """

    title: Mapping[str, str]
    carries: frozenset[Literal["sms", "im"]]
    options: type[BaseModel]
    errors: Mapping[str, GatewayVerdict]

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(sorted(self.options.model_fields))


def codes(table: Mapping[Any, GatewayVerdict]) -> Mapping[str, GatewayVerdict]:
    """A table of a gateway's own as `GatewayAbout.errors` has it."""
    return {str(code): verdict for code, verdict in table.items()}


class Gateway(Protocol):
    """A service that takes one message at a time. Copy `webhook.py` to write one."""

    async def deliver(self, message: ShortMessage) -> Receipt:
        """Hands it over. May raise `NotDone` or `MaybeDone` of `outbound.http`, and nothing else on purpose."""
        ...

    async def close(self) -> None: ...


class GatewayMaker(Protocol):
    """What an entry point of the group `keyback.gateways` names, usually the gateway's class."""

    @property
    def about(self) -> GatewayAbout: ...

    def from_options(self, options: Mapping[str, Any], clock: Callable[[], int]) -> Gateway:
        """The gateway of a section.

        Args:
            options: its keys but for those that every section has.
            clock: now in ms.

        Raises:
            ValueError: keys are missing, unknown or unsafe; the text names them, and never a secret.
        """
        ...


class GatewayOptions(HttpOptions):
    """Keys that every gateway takes. `timeout_s`: a phone in the hand waits for no more than seconds."""

    timeout_s: float = Field(10.0, gt=0, le=30)


class TemplateOptions(GatewayOptions):
    """Keys of services that send only texts registered with them.

    Args:
        templates: by kind of message, such as `sms_code`: the registered template, or one for each language.
        templates_abroad: the same for numbers outside of China, where these services want other ones.
    """

    templates: dict[str, str | dict[str, str]]
    templates_abroad: dict[str, str | dict[str, str]] = Field(default_factory=dict)

    def template(self, message: ShortMessage) -> str | None:
        """The template for a message, None when there is none."""
        found = (self.templates if message.to.startswith("+86") else self.templates_abroad).get(message.kind)
        return told(found, message.locale) if isinstance(found, dict) else found


def receipt(verdict: GatewayVerdict, said: object = "", code: object = "") -> Receipt:
    """What became of a message, with the service's code, and its words less numbers, addresses and codes for people."""
    words = f"{vendor_text(code)[:80]} {_TELLING.sub('…', vendor_text(said))}"
    return Receipt(*verdict, detail=words.strip()[:200])


class PhoneChannel:
    """A channel over one gateway (see `Channel`).

    Args:
        name: `sms` or `im`.
        gateway: what carries.
        texts: makes the messages.
        clock: now in ms; messages whose time is over are not sent (attack case K7).
    """

    def __init__(
        self, name: Literal["sms", "im"], gateway: Gateway, texts: PhoneTexts, clock: Callable[[], int]
    ) -> None:
        self.name = name
        self._gateway, self._texts, self._clock = gateway, texts, clock
        self._slow, self._quiet_until = 0, 0.0

    def __repr__(self) -> str:
        return f"PhoneChannel({self.name!r}, {type(self._gateway).__name__})"

    async def send(self, messages: Sequence[Message]) -> Sequence[Receipt]:
        """One receipt per message, in order. A service that stays silent is left alone for the rest of the batch."""
        places, silent = asyncio.Semaphore(AT_ONCE), _Silence()

        async def one(message: Message) -> Receipt:
            async with places:
                return await self._send(message, silent)

        receipts = await asyncio.gather(*(one(message) for message in messages))
        for code in sorted({r.code for r in receipts} & OURS):
            detail = next(r.detail for r in receipts if r.code == code)
            log.warning("gateway_refuses", channel=self.name, code=code, detail=detail)
        return receipts

    async def check(self) -> Receipt:
        """Asks for an access token where the service has those; sends nothing. `sent`: it may work."""
        ask = getattr(self._gateway, "check", None)
        try:
            if ask is not None:
                await ask()
        except Unavailable as e:
            return Receipt("temporary", "unreachable" if e.code == "unavailable" else "relay_refuses_us", str(e))
        except Exception as e:  # an answer of another shape than documented
            return Receipt("temporary", "fault", type(e).__name__)
        return Receipt("sent", "ok", "signed in" if ask else "the settings are complete; only a message shows more")

    async def close(self) -> None:
        await self._gateway.close()

    async def _send(self, message: Message, silent: _Silence) -> Receipt:
        now = self._clock()
        if message.expires_at <= now:
            return Receipt("permanent", "expired")
        try:
            short = self._texts.compose(message, now)
        except BadMessage as e:
            return Receipt("permanent", "bad_letter", str(e))
        begun = time.monotonic()
        if not message.ours:
            return LEASE_OVER
        if silent.faults >= FAULTS or begun < self._quiet_until:
            return Receipt("temporary", "unreachable", "no answer a moment ago")
        try:
            answer = await self._gateway.deliver(short)
        except Unavailable as e:
            if e.code != "unavailable":
                return Receipt(*REFUSES_US, detail=str(e))
            silent.faults += 1
            self._waited_in_vain(time.monotonic() - begun)
            return Receipt("temporary", "reply_lost" if isinstance(e, MaybeDone) else "unreachable", str(e))
        except Exception as e:  # an answer of another shape than documented, or a gateway of somebody else
            log.error("gateway_broke", channel=self.name, error=type(e).__name__)
            return Receipt("temporary", "fault", type(e).__name__)
        silent.faults = self._slow = 0
        return answer

    def _waited_in_vain(self, seconds: float) -> None:
        if seconds < SLOW_S:
            return
        self._slow += 1
        if self._slow >= FAULTS:
            self._slow, self._quiet_until = 0, time.monotonic() + QUIET_S


class _Silence:
    """Calls in a row without an answer, in one batch."""

    faults = 0
