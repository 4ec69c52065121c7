"""What the API answers, as `docs/openapi.json` says. Instants have their time zone; what this version does not know
yet is left out, so that answers of a later Keyback can be read."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from keyback.client.model import Model as Model
from keyback.client.models_account import AccessEnded as AccessEnded
from keyback.client.models_account import AccountNow as AccountNow
from keyback.client.models_account import AccountsNow as AccountsNow
from keyback.client.models_account import AfterRecovery as AfterRecovery
from keyback.client.models_account import Application as Application
from keyback.client.models_account import CareStep as CareStep
from keyback.client.models_account import FactorAdded as FactorAdded
from keyback.client.models_account import LatelyAdded as LatelyAdded
from keyback.client.models_account import OwnFactor as OwnFactor
from keyback.client.models_account import OwnFactors as OwnFactors
from keyback.client.models_account import PasskeyAsked as PasskeyAsked
from keyback.client.models_account import RecoveryCodes as RecoveryCodes
from keyback.client.models_account import SystemSignIn as SystemSignIn
from keyback.client.models_help import DeskMessage as DeskMessage
from keyback.client.models_help import OwnHelpRequest as OwnHelpRequest

Journey = Literal["password", "locked", "second_factor", "mailbox", "username", "still_locked_out"]


class Started(Model):
    """A recovery that was begun. `secret` controls it: keep it out of addresses and logs."""

    handle: str
    secret: str = Field(repr=False)
    status_url: str
    expires_at: datetime


class Account(Model):
    id: str
    system: str
    title: str
    username: str


class Rule(Model):
    code: str
    text: str


class Way(Model):
    """A method that can be asked for; `target` says which one, where there are several."""

    proof: str
    title: str
    target: str
    hint: str = ""


class Task(Model):
    """What only an administrator, or the person in the system itself, can do."""

    id: str
    state: Literal["open", "done", "declined", "over"]
    asked: bool
    may_ask: bool
    reason: str = ""


class Result(Model):
    """How it ended in one system. Only `done` means that the new password was confirmed to work there."""

    account_id: str
    system: str
    title: str
    username: str
    result: Literal["waiting", "working", "done", "yours", "desk", "unsure", "refused"]
    code: str = ""
    vendor_text: str = ""
    at: datetime | None = None
    steps: tuple[str, ...] = ()
    url: str = ""
    signed_out: bool = False
    task: Task | None = None


class Waiting(Model):
    """Nothing is verified yet. `number`: to be shown to the person, who is asked for it where the link is opened."""

    state: Literal["waiting"] = "waiting"
    journey: str
    tries_left: int
    resend_at: datetime
    code_expires_at: datetime
    expires_at: datetime
    number: int | None
    proofs: tuple[Way, ...] = ()


class PasswordDue(Model):
    """Verified: a new password can be chosen until `expires_at`."""

    state: Literal["password_due"] = "password_due"
    expires_at: datetime
    name: str
    accounts: tuple[Account, ...]
    requirements: tuple[Rule, ...]
    results: tuple[Result, ...] = ()
    unlockable: tuple[str, ...] = ()


class Replaced(Model):
    kind: str
    label: str


class SecondStepDue(Model):
    """Verified: a new second step can be set up, in place of all in `replaces`. `system`: it is about the one of this
    system, see `factors`."""

    state: Literal["second_step_due"] = "second_step_due"
    expires_at: datetime
    name: str
    replaces: tuple[Replaced, ...]
    offers: tuple[str, ...]
    system: str | None = None
    has_system_factors: bool = False


class OtherMailbox(Model):
    id: str
    hint: str


class AskedMailbox(Model):
    id: str
    address: str


class MailboxDue(Model):
    """Verified: a mailbox can take the place of the lost one."""

    state: Literal["mailbox_due"] = "mailbox_due"
    expires_at: datetime
    name: str
    mailboxes: tuple[OtherMailbox, ...]
    asked: AskedMailbox | None = None


class NeedMore(Model):
    """The policy asks for more: another method, a wait until `hold_until`, or an operator."""

    state: Literal["need_more"] = "need_more"
    reason: Literal["proof", "hold", "review"] = "proof"
    hold_until: datetime | None = None
    proofs: tuple[Way, ...] = ()
    expires_at: datetime


class Applying(Model):
    state: Literal["applying"] = "applying"
    results: tuple[Result, ...]


class RecentFactor(Model):
    """A second step that was added lately: ask whether the person knows it."""

    id: str
    kind: str
    label: str
    added_at: datetime


class Done(Model):
    """`remedied`: what was done where no password was changed."""

    state: Literal["done"] = "done"
    results: tuple[Result, ...]
    remedied: Literal["unlocked", "factor_replaced", "mailbox_replaced"] | None = None
    recent_factors: tuple[RecentFactor, ...] = ()


class Ended(Model):
    state: Literal["ended"] = "ended"
    reason: Literal["cancelled", "expired", "failed", "rejected", "closed"]
    results: tuple[Result, ...] = ()


AnyStatus = Waiting | PasswordDue | SecondStepDue | MailboxDue | NeedMore | Applying | Done | Ended
Status = Annotated[AnyStatus, Field(discriminator="state")]
Chosen = Annotated[Applying | Done | PasswordDue | Ended, Field(discriminator="state")]


class Asked(Model):
    """A question was put. `form`: what the person needs for the answer, such as the options of a passkey."""

    state: Literal["waiting"] = "waiting"
    resend_at: datetime
    form: dict[str, Any] | None = None


class Proven(Model):
    """`new_code`: in place of the recovery code that was used, shown once."""

    state: Literal["password_due", "second_step_due", "mailbox_due", "need_more"]
    new_code: str | None = Field(None, repr=False)


class Unlocking(Model):
    """With `done` all are unlocked; `failed` has those that were not."""

    state: Literal["done", "password_due"]
    unlocked: tuple[Account, ...]
    failed: tuple[Account, ...]


class NewApp(Model):
    """A seed, shown once; `id` goes back with the first code."""

    id: str
    seed: str = Field(repr=False)
    uri: str = Field(repr=False)
    expires_at: datetime


class NewPasskey(Model):
    """A challenge; `id` goes back with what the browser made of `options`."""

    id: str
    options: dict[str, Any]
    expires_at: datetime


class MailboxAsked(Model):
    """A code is on its way; `id` goes back with it."""

    id: str
    expires_at: datetime


class RecentRemoved(Model):
    removed: int


class Found(Model):
    code: str
    text: str
    next_step: str
    action: str
    until: datetime | None = None
    account_id: str | None = None


class Checked(Model):
    account_id: str
    system: str
    title: str
    username: str
    state: Literal["fine", "found", "slow", "silent"]
    findings: tuple[Found, ...]
    takes_password: bool
    second_step: bool


class Check(Model):
    code: str
    title: str
    next_step: str


class Diagnosis(Model):
    """Why somebody can't get in: what each system says, and what no system can see."""

    accounts: tuple[Checked, ...]
    checks: tuple[Check, ...]


class Factor(Model):
    id: str
    kind: str
    title: str
    removable: bool


class FactorsOf(Model):
    account_id: str
    system: str
    title: str
    username: str
    factors: tuple[Factor, ...] | None
    temporary_pass: bool


class SystemFactors(Model):
    accounts: tuple[FactorsOf, ...]


class TemporaryPass(Model):
    """For one sign-in; this answer alone has it."""

    secret: str = Field(repr=False)
    expires_at: datetime
    once: bool


class PasswordViolation(Model):
    code: str
    text: str
    suggestion: str


class Judged(Model):
    violations: tuple[PasswordViolation, ...]
    strength: int
    strength_text: str


class SignedIn(Model):
    session: str = Field(repr=False)
    expires_at: datetime
    password_due_in_days: int | None = None
    must_change: str | None = None
    new_code: str | None = Field(None, repr=False)


class SessionInfo(Model):
    name: str
    username: str
    signed_in_at: datetime
    expires_at: datetime
    must_change: str | None = None


class FieldError(Model):
    field: str
    code: str


class SecondStepNeeded(Model):
    """`token`: for the answer; `passkey`: what a browser needs to ask for one."""

    token: str = Field(repr=False)
    proofs: tuple[str, ...]
    passkey: dict[str, Any] | None = None
