"""What the application asks of the outside: systems that hold passwords, and channels that carry messages.

Plug-ins return values: a connector Outcomes, a channel Receipts. Neither sees HTTP requests of ours or SQL.
Instants are integers: milliseconds since 1970-01-01T00:00Z.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, Protocol, runtime_checkable

from keyback.domain.factor import Factor, SavedCode
from keyback.domain.person import Contact, Person
from keyback.domain.policy import ProofClass
from keyback.domain.prompt import Prompt
from keyback.domain.secret import Secret

# ── channels ────────────────────────────────────────────────────────────────


class LetterKind(StrEnum):
    """What a message is about; every channel has a text for each kind that it carries."""

    RECOVERY = "recovery"  # link + code + stop link
    LOGINS = "logins"  # the forgotten user names
    ELSEWHERE = "elsewhere"  # the password lives with another sign-in provider
    CHANGED = "changed"  # told to every contact after a recovery
    HOLD = "hold"  # told to every contact when a decided recovery waits, and when its wait is over
    STOPPED = "stopped"  # told to every contact when a recovery was stopped
    ROTATION = "rotation"  # a password comes of age
    MAIL_CODE = "mail_code"  # a code for a mail address that is not the primary one, or not confirmed yet
    VOUCH = "vouch"  # a recovery contact is asked to vouch for somebody
    SMS_CODE = "sms_code"  # a code for a phone number
    IM_CODE = "im_code"  # a code for an account with a message service
    ACCOUNT_CHANGED = "account_changed"  # how an account is protected was changed; told to every contact
    ASKED = "asked"  # somebody recovers the account by what no message to its owner was needed for; told at once
    MOVING = "moving"  # an import brings another address, which counts after a wait; told to whoever may refuse it
    INVITED = "invited"  # somebody is asked to become a recovery contact
    SIGNED_IN = "signed_in"  # a sign-in that may not be the owner's
    TRIES = "tries"  # wrong passwords pile up
    REMINDER = "reminder"  # something in the security centre waits to be looked at


class Lease(Protocol):
    """Whether a batch is still ours to send. Whoever sends asks right before a message can no longer be held back."""

    def over(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Letter:
    """One message to one stored address.

    Args:
        id: stable over retries; the Message-ID is made of it.
        kind: which text.
        to: the stored address, never the typed one.
        name: the person's name, untrusted text.
        locale: `zh_CN` or `en`.
        written_at: ms; the Date header, stable over retries.
        expires_at: ms; nothing is sent after it.
        facts: values for the text, by kind (see `channels/mail.py`, and `channels/phone_texts.py` for SMS and
            messages). Secrets among them are `Secret`.
        channel: how it travels; `to` is an address of that kind.
        lease: for how long it is ours; None: nobody else sends it. One that is over is not sent: somebody else may have
            it in hand. The receipt is `LEASE_OVER` then.
    """

    id: str
    kind: LetterKind
    to: str
    name: str
    locale: str
    written_at: int
    expires_at: int
    facts: Mapping[str, object] = field(default_factory=dict)
    channel: Literal["mail", "sms", "im"] = "mail"
    lease: Lease | None = field(default=None, compare=False, repr=False)

    @property
    def ours(self) -> bool:
        return self.lease is None or not self.lease.over()


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one letter.

    `sent`: the next hop took it. `temporary`: try again later. `permanent`: never will.
    `code` is a short stable word (`ok`, `refused_recipient`, `unreachable`, `greylisted`, `bad_letter` …), `detail` the
    server's words, cleaned of control characters and cut to 200 characters, without address or secret.
    """

    status: Literal["sent", "temporary", "permanent"]
    code: str = "ok"
    detail: str = ""


LEASE_OVER = Receipt("temporary", "lease_over")


class Channel(Protocol):
    """A way to carry letters. Takes a batch so that one warm connection serves many."""

    @property
    def name(self) -> str: ...

    async def send(self, letters: Sequence[Letter]) -> Sequence[Receipt]:
        """One receipt per letter, in order. Never raises for a letter's or a server's fault."""
        ...

    async def close(self) -> None: ...


# ── connectors ──────────────────────────────────────────────────────────────


class Means(StrEnum):
    """How a connector does something (design section 8)."""

    NATIVE = "native"  # one documented call
    COMPOSED = "composed"  # several native calls
    GUIDED = "guided"  # the person is led through it
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a system lets a connector do."""

    lookup: Means = Means.NONE
    list: Means = Means.NONE
    verify: Means = Means.NONE
    set_password: Means = Means.NONE
    must_change: Means = Means.NONE
    unlock: Means = Means.NONE
    revoke_sessions: Means = Means.NONE
    activity: Means = Means.NONE
    status: Means = Means.NONE
    deep_link: Means = Means.NONE


@dataclass(frozen=True, slots=True)
class FoundAccount:
    """A login as the system knows it. `external_id` never changes; the user name may."""

    external_id: str
    username: str
    mail: str | None = None
    name: str | None = None
    state: Literal["active", "disabled", "locked"] = "active"
    privileged: bool = False
    synced_from: str | None = None
    sso_only: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do to one account, in the order guard, unlock, set, must_change, revoke, confirm.

    Args:
        job_id: the same over all attempts; a system that can remember it must not act on it twice.
        new_password: None to unlock only: nothing is set then, and the steps after `unlock` are left out.
        attempt: 1 for the first; from 2 on an earlier one may have worked, so confirm before setting again.
        allow_privileged: policy and a second operator allowed a privileged target.
    """

    job_id: str
    external_id: str
    username: str
    new_password: Secret | None
    must_change: bool = False
    allow_privileged: bool = False
    attempt: int = 1


class Step(StrEnum):
    GUARD = "guard"
    UNLOCK = "unlock"
    SET = "set"
    MUST_CHANGE = "must_change"
    REVOKE = "revoke"
    CONFIRM = "confirm"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one step of a plan came to.

    `refused` carries one of our codes: policy_rejected, not_permitted, privileged_target, not_found, ambiguous, locked,
    auth_expired, quota_missing, synced_elsewhere, unavailable. `retry`: nothing was changed, try again after
    `retry_after_ms`. `uncertain`: it may have been changed. `pending`: the system does it later, or a person must
    (`code` then is guided or desk). `unsupported`: the system has no such step; no fault.
    """

    step: Step
    status: Literal["done", "pending", "refused", "retry", "uncertain", "unsupported"]
    code: str = ""
    vendor_text: str = ""
    retry_after_ms: int = 0


class Connector(Protocol):
    """A system that holds passwords."""

    @property
    def name(self) -> str:
        """Key in `keyback.toml`, in accounts and in the API, such as `tryton`."""
        ...

    @property
    def title(self) -> str:
        """What people call the system, such as `Tryton`."""
        ...

    @property
    def capabilities(self) -> Capabilities: ...

    async def find(self, identifier: str) -> Sequence[FoundAccount]:
        """Accounts with this user name or mail address. Raises `Unavailable` when the system cannot be asked."""
        ...

    async def verify(self, username: str, password: Secret) -> bool | None:
        """Whether this password signs in now; None when that cannot be found out."""
        ...

    async def apply(self, plan: Plan) -> Sequence[Outcome]:
        """Do the plan; stops after the first step that is refused, to be retried or uncertain. Never raises for the
        system's faults."""
        ...

    async def close(self) -> None: ...


class FreshCode(Protocol):
    """A saved code that was just made: `text` is shown once, `secret` is hashed, `slot` finds the row."""

    @property
    def text(self) -> str: ...
    @property
    def slot(self) -> str: ...
    @property
    def secret(self) -> Secret: ...


@runtime_checkable
class MakesCodes(Protocol):
    """A proof by saved codes: it makes new ones, at enrolment and in place of one that was used (N-R3)."""

    def new_codes(
        self, random: Callable[[int], bytes], count: int = ..., taken: Collection[str] = ...
    ) -> Sequence[FreshCode]: ...
    async def hashed(self, secret: Secret) -> str: ...


class Unavailable(Exception):
    """A system could not be asked. `code` is one of the codes of `Outcome`; the text never holds a secret."""

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(text or code)
        self.code = code


# ── proofs ──────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Holder:
    """A person with what they have enrolled that may recover now: confirmed contacts, active factors, all cooled in."""

    person: Person
    contacts: tuple[Contact, ...] = ()
    factors: tuple[Factor, ...] = ()
    codes: tuple[SavedCode, ...] = ()  # of the factors; used ones too


@dataclass(frozen=True, slots=True)
class Target:
    """What one question is put to.

    Args:
        id: of the contact or factor.
        channel: identity under which evidence counts, such as `phone:+86…` or `totp:ID`; never twice on one case.
        hint: masked words that may be shown to somebody who has proven something already, such as `•••• 34`.
    """

    id: str
    channel: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """A live question with all that its answer is judged by.

    Args:
        key: derived for prompts, by the key that the prompt was made under.
    """

    prompt: Prompt
    holder: Holder
    target: Target
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a proof says of an answer.

    Args:
        right: the question that was answered rightly; None when none was.
        code: `ok`, `wrong`, `not_a_code`, `replayed`, `spent` … short and stable.
        counter: TOTP step or signature count to store; the answer counts only if it is higher than all before.
        spent: id of the saved code that this uses up.
        two_factors: the proof showed possession and knowledge at once (user verification).
        suspicious: worth an audit event, such as a signature count that went down (W-4).
    """

    right: Asked | None = None
    code: str = "wrong"
    counter: int | None = None
    spent: str = ""
    two_factors: bool = False
    suspicious: str = ""


class Proof(Protocol):
    """A way to prove who you are. Sees neither HTTP nor SQL; what it returns is applied in one transaction."""

    @property
    def name(self) -> str:
        """As in the policy, the API and the audit log, such as `totp`."""
        ...

    @property
    def kind(self) -> ProofClass: ...
    @property
    def carrier(self) -> Literal["", "mail", "sms", "im"]:
        """What carries the question to the person; empty where nothing has to travel."""
        ...

    @property
    def life_ms(self) -> int:
        """How long a question waits for its answer."""
        ...

    def targets(self, holder: Holder) -> Sequence[Target]:
        """What of this person's it can be put to; empty where nothing fitting is enrolled."""
        ...

    def form(self, asked: Sequence[Asked], locale: str) -> Mapping[str, object]:
        """What the page needs beyond a field for the answer, such as a WebAuthn challenge or a question's text. With
        nothing asked it gives something of the same shape, so that a page tells nothing about who is meant."""
        ...

    async def judge(self, asked: Sequence[Asked], answer: str, now: int) -> Verdict:
        """Judges an answer to any of these questions; does the same work where nothing was asked."""
        ...
