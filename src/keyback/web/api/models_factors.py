"""What the API says of second steps and recovery codes in the security center, and of signing in by passkey alone."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, SecretStr, StringConstraints

from keyback.web.api.models import Given, Instant


class OwnFactor(BaseModel):
    """One method that is set up."""

    id: str
    kind: str = Field(examples=["passkey"])
    label: str = Field(description="Untrusted text.", examples=["Laptop"])
    added_at: Instant
    used_at: Instant | None = None
    recovers_from: Instant | None = Field(
        None, description="Signs in already, but counts in a recovery only from then on. Null: it does."
    )
    codes_left: int | None = Field(None, description="For `recovery_codes`.")


class OwnFactors(BaseModel):
    """What is set up, and what could be."""

    factors: list[OwnFactor]
    offers: list[Literal["app", "passkey", "recovery_codes"]]


class FactorAdded(BaseModel):
    """It signs in from now on, and may recover after 72 hours."""

    result: Literal["added"] = "added"


class FactorCode(Given):
    """The first code of a new app."""

    code: str = Field(max_length=64, examples=["482719"])


class AddedPasskey(Given):
    """What the browser made, and a name for it."""

    credential: SecretStr = Field(
        max_length=32_768, description="The JSON of a `RegistrationResponseJSON`, in a string.", examples=["{…}"]
    )
    label: Annotated[str, StringConstraints(max_length=200)] | None = Field(None, examples=["Laptop"])


class RecoveryCodes(BaseModel):
    """Ten codes. This answer alone has them: show them once and keep them nowhere."""

    codes: list[str]


class PasskeyAsked(BaseModel):
    """A challenge for any passkey; it names nobody."""

    ticket: str = Field(description="Send it back with the answer. Good for ten minutes and one answer.")
    options: dict[str, Any] = Field(description="What `PublicKeyCredential.parseRequestOptionsFromJSON` takes.")


class PasskeySignIn(Given):
    """What a passkey answered."""

    ticket: Annotated[str, StringConstraints(min_length=20, max_length=64)]
    credential: SecretStr = Field(
        min_length=1,
        max_length=8192,
        description="The JSON of an `AuthenticationResponseJSON`, in a string.",
        examples=["{…}"],
    )
