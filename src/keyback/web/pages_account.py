"""Pages of the security centre and of the second step at sign-in. Instants are ms, spans seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from keyback.web.pages import Page

StepError = Literal["", "wrong", "not_a_code", "replayed", "no_tries", "busy"]


@dataclass(frozen=True, slots=True)
class SecondStep(Page):
    """`/sign-in/second` after a right password, and `/account/confirm` before something is changed.

    Args:
        proof: which one is asked for; empty for the password (step-up of somebody without a second step).
        others: further proofs that would do.
        form: what the proof wants shown, see `ports.Proof.form`.
        next: path to go on to after a step-up; empty at sign-in.
    """

    template: ClassVar[str] = "account/second_step.html"
    proof: str
    others: tuple[str, ...] = ()
    form: Mapping[str, object] = field(default_factory=dict, repr=False)
    error: StepError = ""
    next: str = ""


@dataclass(frozen=True, slots=True)
class FactorLine:
    """A factor in a list. `left`: saved codes that are still good. `ready_at`: when it may recover; 0 when it may."""

    id: str
    kind: str
    label: str
    added_at: int
    used_at: int = 0
    ready_at: int = 0
    left: int = 0


@dataclass(frozen=True, slots=True)
class Factors(Page):
    """`/account/ways`.

    Args:
        offered: kinds that can be added.
        done: what was just done, for a word about it.
    """

    template: ClassVar[str] = "account/factors.html"
    lines: tuple[FactorLine, ...]
    offered: tuple[str, ...]
    done: str = ""


@dataclass(frozen=True, slots=True)
class TotpStart(Page):
    """GET `/account/totp`."""

    template: ClassVar[str] = "account/totp_start.html"


@dataclass(frozen=True, slots=True)
class TotpSetup(Page):
    """`/account/totp/{id}`: the app scans, then shows that it has the seed. Never shown again after that (M5).

    Args:
        qr: the QR code, `Markup` of an `<svg>`.
        key: the seed in groups of four, for typing.
    """

    template: ClassVar[str] = "account/totp_setup.html"
    id: str
    qr: str = field(repr=False)
    key: str = field(repr=False)
    error: Literal["", "wrong"] = ""


@dataclass(frozen=True, slots=True)
class PasskeySetup(Page):
    """`/account/passkeys` and `/account/passkeys/{id}`, which has a challenge.

    Args:
        options: JSON for the browser; empty before the challenge was asked for.
        possible: whether this Keyback's address can have passkeys.
    """

    template: ClassVar[str] = "account/passkey.html"
    id: str = ""
    options: str = field(default="", repr=False)
    error: Literal["", "wrong", "known"] = ""
    possible: bool = True


@dataclass(frozen=True, slots=True)
class Codes(Page):
    """`/account/codes`.

    Args:
        texts: the new ones, shown this once; empty before they are made.
        left: how many of the present set are good; None where there is none.
    """

    template: ClassVar[str] = "account/codes.html"
    texts: tuple[str, ...] = field(default=(), repr=False)
    left: int | None = None
    made_at: int = 0
    username: str = ""
    busy: bool = False
