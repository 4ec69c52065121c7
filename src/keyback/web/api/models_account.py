"""What the API says of the security center: accounts as their systems know them, and the steps after a recovery."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from keyback.application.recovery.aftercare import Care
from keyback.web.api.models import Given, Instant


class SystemSignIn(BaseModel):
    """A sign-in as the system logged it."""

    at: Instant
    ok: bool
    source: str = Field(description="Network address, as the system has it.", examples=["203.0.113.9"])
    client: str = Field(description="Program and device, as the system has them.", examples=["Chrome 141 · Windows 11"])


class Application(BaseModel):
    """An application that may act in the person's name."""

    id: str
    title: str = Field(examples=["Mail merge"])
    authorized_at: Instant | None = None
    last_used_at: Instant | None = None


class AccountNow(BaseModel):
    """One account, as its system knows it now."""

    account_id: str
    system: str = Field(description="Name in the configuration.", examples=["salesforce"])
    title: str = Field(description="What people call the system.", examples=["Salesforce"])
    username: str = Field(description="As the system has it now.", examples=["maya@example.com"])
    password_changed_at: Instant | None = Field(None, description="Absent where nobody knows.")
    password_due_at: Instant | None = Field(None, description="When the policy asks for another password.")
    sign_ins: list[SystemSignIn] = Field(description="The latest, newest first; 20 at most.")
    applications: list[Application]
    tells: bool = Field(description="The system tells of sign-ins and applications at all.")
    ends: bool = Field(description="`endAccess` can do something there.")
    state: Literal["answered", "slow"] = Field(description="`slow`: the system gave no answer; ask again in a moment.")


class AccountsNow(BaseModel):
    """All accounts of the person, in the order of the configuration."""

    accounts: list[AccountNow]


class EndAccess(Given):
    """What to end."""

    application: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field(
        description="An id out of `applications`, or `all`.", examples=["all"]
    )


class AccessEnded(BaseModel):
    """What came of it in the system. All other sessions here have ended in any case."""

    result: Literal["done", "refused", "unsure", "guided"] = Field(
        description="`guided`: the person has to do it in the system itself. `unsure`: it gave no answer in time."
    )


class CareStep(BaseModel):
    """One step after a recovery."""

    step: Care
    done: bool


class LatelyAdded(BaseModel):
    """A method or address that was added in the last 30 days."""

    id: str
    kind: str = Field(examples=["passkey"])
    label: str
    added_at: Instant


class AfterRecovery(BaseModel):
    """The steps after a recovery. A mail reminds once of those that are left."""

    steps: list[CareStep]
    recently_added: list[LatelyAdded] = Field(description="Whoever was in the account may have left a way back in.")


class StepDone(Given):
    """Which step is done."""

    step: Care
