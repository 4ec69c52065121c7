"""What the API says of the login doctor's findings and of second steps in systems."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from keyback.web.api.models import Given, Instant
from keyback.web.ui.findings import Action


class RemoveFactor(Given):
    """Which second step to remove."""

    factor: Annotated[str, StringConstraints(min_length=1, max_length=200)] = Field(
        description="An id out of `factors`.", examples=["0Yp000000000001"]
    )


class Found(BaseModel):
    """One thing that keeps the person out, in the language of the request."""

    code: str = Field(examples=["frozen"])
    text: str = Field(examples=["An administrator has frozen this account."])
    next_step: str = Field(examples=["Ask the help desk to unfreeze it. A new password won’t help."])
    action: Action = Field(description="What kind of thing the next step is.")
    until: Instant | None = Field(None, description="When it ends by itself, where the system says so.")
    account_id: str | None = Field(None, description="The person's account whose password opens this one, too.")


class Checked(BaseModel):
    """What one system said of one account."""

    account_id: str = Field(description="Empty for the system that was asked for and has no account of theirs.")
    system: str = Field(description="Name in the configuration.", examples=["salesforce"])
    title: str = Field(description="What people call the system.", examples=["Salesforce"])
    username: str = Field(examples=["maya@example.com"])
    state: Literal["fine", "found", "slow", "silent"] = Field(
        description="`fine`: nothing was found. `slow`: no answer in time. `silent`: the system tells nobody."
    )
    findings: list[Found]
    takes_password: bool = Field(description="A new password would be taken there and let the person in.")
    second_step: bool = Field(description="A second step that was lost there can be seen to.")


class Check(BaseModel):
    """Something that no system can see; the person looks at it."""

    code: str = Field(examples=["saved_password"])
    title: str = Field(examples=["An old password is saved"])
    next_step: str


class Diagnosis(BaseModel):
    """What keeps the person out, system by system. Reading it changed nothing."""

    accounts: list[Checked]
    checks: list[Check]


class Factor(BaseModel):
    """A second step in a system. `title` is untrusted text."""

    id: str
    kind: str = Field(examples=["totp"])
    title: str = Field(examples=["Old phone"])
    removable: bool = Field(description="It can be removed here; else an administrator of the system must.")


class FactorsOf(BaseModel):
    """One account's second steps; null where the system did not say."""

    account_id: str
    system: str = Field(examples=["dynamics365"])
    title: str = Field(examples=["Dynamics 365"])
    username: str = Field(examples=["maya@example.com"])
    factors: list[Factor] | None
    temporary_pass: bool = Field(description="The system can give a pass for one sign-in.")


class SystemFactors(BaseModel):
    """Second steps in every system that lets Keyback see to them."""

    accounts: list[FactorsOf]


class TemporaryPass(BaseModel):
    """Signs in once, or until it ends."""

    secret: str = Field(description="Show it once; keep it nowhere.", examples=["Xy7-kq2-Lm9"])
    expires_at: Instant
    once: bool
