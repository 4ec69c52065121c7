"""Pages of a proven recovery that is not about a password: a lock, a lost second step, a lost mailbox."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from keyback.application.throttling.lockouts import Lock, StalePasswordSource
from keyback.web.ui.page import Page


@dataclass(frozen=True, slots=True)
class Unlock(Page):
    """`/r/{handle}` of the journey `locked`.

    Args:
        systems: titles of the systems that can be unlocked as they are.
        failed: titles of those where the last try did not work.
        locks: why signing in does not work just now, as far as Keyback itself holds the password.
        failing: what keeps trying a wrong password.
    """

    template: ClassVar[str] = "portal/unlock.html"
    journey: ClassVar[str] = "locked"
    handle: str
    username: str
    systems: tuple[str, ...]
    failed: tuple[str, ...] = ()
    locks: tuple[Lock, ...] = ()
    failing: tuple[StalePasswordSource, ...] = ()


@dataclass(frozen=True, slots=True)
class ReplaceFactor(Page):
    """`/r/{handle}` of the journey `second_factor`.

    Args:
        old: (kind, label) of what stops working.
        seed: of the new app, in groups of four; empty before it was asked for.
        qr: the QR code, `Markup` of an `<svg>`.
        uri: the seed as `otpauth://totp/…`, for an app on this device.
        passkeys: whether a passkey can be made here instead.
        options: JSON for the browser that makes one, once it was asked for.
        error: the last code was wrong; `passkey` for what a browser sent.
        of: names the seed or the challenge (`shown`).
        of_systems: titles of systems whose own second steps can be seen to as well.
    """

    template: ClassVar[str] = "portal/replace_factor.html"
    journey: ClassVar[str] = "second_factor"
    handle: str
    username: str
    old: tuple[tuple[str, str], ...]
    seed: str = field(default="", repr=False)
    qr: str = field(default="", repr=False)
    uri: str = field(default="", repr=False)
    passkeys: bool = False
    options: str = ""
    error: Literal["", "code", "passkey"] = ""
    of: str = ""
    of_systems: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReplaceMailbox(Page):
    """`/r/{handle}` of the journey `mailbox`.

    Args:
        others: (id, masked address) of confirmed addresses that could take its place.
        waiting: the new address, as it was typed here, whose code is waited for.
        error: what was wrong with the last form.
        of: names the address that is waited for (`shown`).
    """

    template: ClassVar[str] = "portal/replace_mailbox.html"
    journey: ClassVar[str] = "mailbox"
    handle: str
    username: str
    others: tuple[tuple[str, str], ...]
    waiting: str = ""
    typed: str = ""
    error: Literal["", "not_mail", "known", "too_many", "wrong"] = ""
    of: str = ""


@dataclass(frozen=True, slots=True)
class Remedied(Page):
    """It is done. `what` as in `events.Remedied`; `handle`: for the login doctor, empty where that is over."""

    template: ClassVar[str] = "portal/remedied.html"
    finished: ClassVar[bool] = True
    what: Literal["unlocked", "factor_replaced", "mailbox_replaced"]
    handle: str = ""

    @property
    def journey(self) -> str:
        return {"unlocked": "locked", "factor_replaced": "second_factor"}.get(self.what, "mailbox")
