"""Pages of the security centre and of the second step at sign-in. Instants are ms, spans seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from keyback.application.account.readiness import Outlook
from keyback.application.account.systems import SystemNow
from keyback.application.desk.outbound_call import ShownCall
from keyback.application.enrolment.recently_added import Added
from keyback.application.throttling.lockouts import StalePasswordSource
from keyback.web.account.pages_contacts import ContactLine
from keyback.web.ui.page import Page, PasswordForm

StepError = Literal["", "wrong", "not_a_code", "replayed", "no_tries", "busy"]


@dataclass(frozen=True, slots=True)
class SecondStep(Page):
    """`/sign-in/second` after a right password, and `/account/confirm` before something is changed.

    Args:
        proof: which one is asked for; empty for the password (step-up of somebody without a second step).
        others: further proofs that would do.
        form: what the proof wants shown, see `proofs.Proof.form`.
        next: path to go on to after a step-up; empty at sign-in.
        username: who signs in; empty at a step-up.
        of: names the question, for the form (`shown`).
    """

    template: ClassVar[str] = "account/second_step.html"
    proof: str
    others: tuple[str, ...] = ()
    form: Mapping[str, object] = field(default_factory=dict, repr=False)
    error: StepError = ""
    next: str = ""
    username: str = ""
    of: str = ""


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
        uri: the same as `otpauth://totp/…`, for an app on this device.
    """

    template: ClassVar[str] = "account/totp_setup.html"
    id: str
    qr: str = field(repr=False)
    key: str = field(repr=False)
    uri: str = field(repr=False)
    error: Literal["", "wrong"] = ""


@dataclass(frozen=True, slots=True)
class PasskeySetup(Page):
    """`/account/passkeys` and `/account/passkeys/{id}`.

    Args:
        id: of the challenge.
        options: JSON for the browser; empty after an answer that was refused.
        possible: whether this Keyback's address can have passkeys.
    """

    template: ClassVar[str] = "account/passkey.html"
    id: str = ""
    options: str = field(default="", repr=False)
    error: Literal["", "wrong", "known"] = ""
    possible: bool = True


@dataclass(frozen=True, slots=True)
class NameOne(Page):
    """`/account/name/{id}`: the name of a passkey or an authenticator app."""

    template: ClassVar[str] = "account/name.html"
    id: str
    kind: str
    label: str


@dataclass(frozen=True, slots=True)
class Codes(Page):
    """`/account/codes`.

    Args:
        texts: the new ones, shown this once; empty before they are made.
        left: how many of the present set are good; None where there is none.
        address: where they are used; stands on the printed sheet.
        of: names the set that a new one takes the place of (`shown`).
    """

    template: ClassVar[str] = "account/codes.html"
    texts: tuple[str, ...] = field(default=(), repr=False)
    left: int | None = None
    made_at: int = 0
    username: str = ""
    busy: bool = False
    of: str = ""
    address: str = ""


@dataclass(frozen=True, slots=True)
class Questions(Page):
    """`/account/questions`. An answer is never sent back.

    Args:
        texts: key and text of every question.
        chosen: keys as they were sent.
        faults: what is wrong, a code of the proof by place from 0.
        set_at: when the present ones were answered; 0 where there are none.
        of: names those that a new choice takes the place of (`shown`).
    """

    template: ClassVar[str] = "account/questions.html"
    texts: tuple[tuple[str, str], ...]
    chosen: tuple[str, ...] = ("", "", "")
    faults: Mapping[int, str] = field(default_factory=dict)
    set_at: int = 0
    busy: bool = False
    of: str = ""


@dataclass(frozen=True, slots=True)
class StaleForm(Page):
    """The answer to a form that was not drawn for this session. `back`: the page to open again."""

    template: ClassVar[str] = "account/stale_form.html"
    back: str = "/account"


@dataclass(frozen=True, slots=True)
class Lock(Page):
    """`/wasnt-me` and `/account/lock`, which is `action`.

    Args:
        done: after it.
        recent: what would be taken back as well, if the owner says so.
        elsewhere: titles of systems whose password stays until a new one is chosen.
    """

    template: ClassVar[str] = "account/lock.html"
    action: str
    done: bool = False
    username: str = ""
    recent: tuple[Added, ...] = ()
    elsewhere: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SessionLine:
    """A sign-in that is open."""

    id: str
    device: str
    source: str
    since: int
    seen_at: int
    proven: str = ""
    this: bool = False


@dataclass(frozen=True, slots=True)
class DeviceLine:
    """A browser that is known."""

    id: str
    words: str
    source: str
    added_at: int
    seen_at: int
    this: bool = False


@dataclass(frozen=True, slots=True)
class EndDevice(Page):
    """`/account/devices/end`: asks before sessions end or a browser is no longer trusted.

    Args:
        what: one session, all others, or a trusted browser.
        id: the session's or the browser's, or `others`; what the form sends.
        device, source: in words, empty for all others.
    """

    template: ClassVar[str] = "account/end_device.html"
    what: Literal["session", "others", "device"]
    id: str
    device: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Devices(Page):
    """`/account/devices`."""

    template: ClassVar[str] = "account/devices.html"
    sessions: tuple[SessionLine, ...]
    known: tuple[DeviceLine, ...]
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened; the words for `type` are in the template."""

    type: str
    at: int
    source: str = ""
    device: str = ""
    proof: str = ""
    by: str = ""


@dataclass(frozen=True, slots=True)
class Activity(Page):
    """`/account/activity`.

    Args:
        older: where the next page begins; 0 at the end.
        failing: what keeps trying a wrong password; on the first page.
    """

    template: ClassVar[str] = "account/activity.html"
    events: tuple[Event, ...]
    older: int = 0
    failing: tuple[StalePasswordSource, ...] = ()


@dataclass(frozen=True, slots=True)
class Overview(Page):
    """`/account`.

    Args:
        outlook: what each mishap would mean.
        sign_ins: the last ones, and tries.
        due_in_days: days until the password is due; None where age is no reason.
        after_recovery: steps after the last recovery are left.
        privileged: a second operator approves each recovery without a passkey.
        one_address: there is no other address than the one that the code goes to, so nobody else could stop a recovery.
        call: of the help desk, that they may get now.
        callers: how many callers they are asked about, as a manager of record.
        ask_about: contacts that have to be confirmed again, once a year.
    """

    template: ClassVar[str] = "account/overview.html"
    name: str
    username: str
    outlook: tuple[Outlook, ...]
    sign_ins: tuple[Event, ...] = ()
    due_in_days: int | None = None
    after_recovery: bool = False
    privileged: bool = False
    one_address: bool = False
    call: ShownCall | None = None
    callers: int = 0
    ask_about: tuple[ContactLine, ...] = ()

    @property
    def good(self) -> int:
        """Mishaps that the person could get over today."""
        return sum(bool(o.ways) and not o.from_at for o in self.outlook)

    @property
    def phone(self) -> Outlook | None:
        """What the loss of the phone would mean, which is told in a sentence."""
        return next((o for o in self.outlook if o.mishap == "phone"), None)


@dataclass(frozen=True, slots=True)
class NewPassword(PasswordForm):
    """`/account/password`. `current`: what is wrong with the one that was typed as the current one."""

    template: ClassVar[str] = "account/password.html"
    done: bool = False
    current: Literal["", "wrong", "no_tries"] = ""


@dataclass(frozen=True, slots=True)
class After(Page):
    """`/account/after`.

    Args:
        ticked: steps that are done.
        recent: what was added in the last 30 days.
        systems: what other systems say of sign-ins and applications; `now` is ms.
    """

    template: ClassVar[str] = "account/after.html"
    ticked: tuple[str, ...]
    contacts: tuple[ContactLine, ...]
    recent: tuple[Added, ...]
    sign_ins: tuple[Event, ...]
    username: str
    systems: tuple[SystemNow, ...] = ()
    now: int = 0


@dataclass(frozen=True, slots=True)
class SignIn(Page):
    """`/sign-in`: form posting `identifier`, `password`. `wait_seconds` goes with `slow_down`.

    Args:
        passkey_options: JSON for the browser, for signing in by passkey alone; empty where there can be none.
        of: names the challenge in it (`shown`).
        title: of the system whose password it takes.
        systems: (title, address) of the others that people sign in to; the same for everybody.
    """

    template: ClassVar[str] = "account/sign_in.html"
    error: Literal["wrong", "slow_down", "off", "busy", "due", "breached", "passkey"] | None = None
    wait_seconds: int = 0
    identifier: str = ""
    passkey_options: str = ""
    of: str = ""
    title: str = "Keyback"
    systems: tuple[tuple[str, str], ...] = ()
