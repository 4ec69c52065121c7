"""What the API says of recoveries that are not about a password: a lost second step, a lost mailbox, a lock."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, SecretStr, StringConstraints

from keyback.application.recovery.remedy import What
from keyback.web.api.models import (
    Account,
    Applying,
    Ended,
    Given,
    Instant,
    NeedMore,
    PasswordDue,
    Result,
    Waiting,
)

Id = Annotated[str, StringConstraints(min_length=1, max_length=64)]


class Replaced(BaseModel):
    """A second step that stops working once another one takes its place."""

    kind: str = Field(examples=["totp"])
    label: str = Field(description="Untrusted text.", examples=["Phone"])


class SecondStepDue(BaseModel):
    """Verified: set up a new second step now. It replaces everything in `replaces` at once."""

    state: Literal["second_step_due"] = "second_step_due"
    expires_at: Instant
    name: str = Field(examples=["Maya Lindqvist"])
    replaces: list[Replaced]
    offers: list[Literal["app", "passkey"]] = Field(description="What can be set up here.")
    system: str | None = Field(
        None,
        description="Set where the recovery is about the second step of this system, not about Keyback's own: go on "
        "with `listSystemFactors`.",
    )
    has_system_factors: bool = Field(
        False, description="`listSystemFactors` has something to ask: a system of theirs has second steps of its own."
    )


class OtherMailbox(BaseModel):
    """A confirmed address that could take the place of the lost one. `hint` is masked."""

    id: str
    hint: str = Field(examples=["w•••@example.com"])


class AskedMailbox(BaseModel):
    """The new address whose code is waited for."""

    id: str = Field(description="Send it back with the code.")
    address: str = Field(examples=["maya.lindqvist@example.org"])


class MailboxDue(BaseModel):
    """Verified: name the mailbox that takes the place of the lost one."""

    state: Literal["mailbox_due"] = "mailbox_due"
    expires_at: Instant
    name: str = Field(examples=["Maya Lindqvist"])
    mailboxes: list[OtherMailbox] = Field(description="Confirmed before; one of them needs no code.")
    asked: AskedMailbox | None = None


class RecentFactor(BaseModel):
    """A second step that signing in asks for, although it was too new to count in this recovery."""

    id: str
    kind: str = Field(examples=["passkey"])
    label: str = Field(description="Untrusted text.")
    added_at: Instant


class Done(BaseModel):
    """Nothing is left for Keyback to do. Look at each result: some may be the person's turn."""

    state: Literal["done"] = "done"
    results: list[Result]
    remedied: What | None = Field(None, description="What was done instead of a new password; `results` is empty then.")
    recent_factors: list[RecentFactor] = Field(
        default_factory=list,
        description="For an hour after a new password. Whoever was in the account may have added them: ask, and remove "
        "those that the person doesn't know with `removeRecentFactors`.",
    )


Recovery = Annotated[
    Waiting | PasswordDue | SecondStepDue | MailboxDue | NeedMore | Applying | Done | Ended,
    Field(discriminator="state", description="Where a recovery stands; `state` says which members there are."),
]
AfterPassword = Annotated[Applying | Done | PasswordDue | Ended, Field(discriminator="state")]


class Unlocking(BaseModel):
    """With `done` all are unlocked. Else `failed` has those that were not: try again, or choose a new password."""

    state: Literal["done", "password_due"]
    unlocked: list[Account]
    failed: list[Account]


class NewApp(BaseModel):
    """A seed for an authenticator app. Show it once, as a QR code of `uri` and as text; keep it nowhere."""

    id: str = Field(description="Send it back with the first code.")
    seed: str = Field(examples=["JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"])
    uri: str = Field(examples=["otpauth://totp/Harbour:maya?secret=JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP&issuer=Harbour"])
    expires_at: Instant


class NewPasskey(BaseModel):
    """A challenge for the browser or the app."""

    id: str = Field(description="Send it back with what was made.")
    options: dict[str, Any] = Field(description="What `PublicKeyCredential.parseCreationOptionsFromJSON` takes.")
    expires_at: Instant


class FirstCode(Given):
    """A code, and what it is for: so that nothing is taken that the person was not shown."""

    id: Id
    code: str = Field(max_length=64, examples=["482719"])


class MadePasskey(Given):
    """What the browser made, and for which challenge."""

    id: Id
    credential: SecretStr = Field(
        max_length=32_768, description="The JSON of a `RegistrationResponseJSON`, in a string.", examples=["{…}"]
    )


class ChosenMailbox(Given):
    """One out of `mailboxes`."""

    mailbox: Id


class NewMailbox(Given):
    """An address that is not on record yet."""

    address: Annotated[str, StringConstraints(min_length=1, max_length=254)] = Field(
        description="As typed.", examples=["maya.lindqvist@example.org"]
    )


class MailboxAsked(BaseModel):
    """A code is on its way to the new address, which is used for nothing before the code came back."""

    id: str
    expires_at: Instant


class RecentFactors(Given):
    """Ids out of `recent_factors`."""

    factors: list[Id] = Field(min_length=1, max_length=50)


class RecentRemoved(BaseModel):
    """How many were removed. Sessions that they opened have ended."""

    removed: int


class TaskAct(Given):
    """`in`: the person is in. `ask`: an administrator is wanted (again)."""

    act: Literal["in", "ask"]
