"""What the API answers about the security center: accounts in their systems, second steps, what comes afterwards."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field

from keyback.client.model import Model


class SystemSignIn(Model):
    at: datetime
    ok: bool
    source: str
    client: str


class Application(Model):
    id: str
    title: str
    authorized_at: datetime | None = None
    last_used_at: datetime | None = None


class AccountNow(Model):
    account_id: str
    system: str
    title: str
    username: str
    password_changed_at: datetime | None = None
    password_due_at: datetime | None = None
    sign_ins: tuple[SystemSignIn, ...]
    applications: tuple[Application, ...]
    tells: bool
    ends: bool
    state: Literal["answered", "slow"]


class AccountsNow(Model):
    accounts: tuple[AccountNow, ...]


class AccessEnded(Model):
    result: Literal["done", "refused", "unsure", "guided"]


class CareStep(Model):
    step: str
    done: bool


class LatelyAdded(Model):
    id: str
    kind: str
    label: str
    added_at: datetime


class AfterRecovery(Model):
    steps: tuple[CareStep, ...]
    recently_added: tuple[LatelyAdded, ...]


class OwnFactor(Model):
    """`recovers_from`: from when on it counts in a recovery, too; None: it does."""

    id: str
    kind: str
    label: str
    added_at: datetime
    used_at: datetime | None = None
    recovers_from: datetime | None = None
    codes_left: int | None = None


class OwnFactors(Model):
    factors: tuple[OwnFactor, ...]
    offers: tuple[str, ...]


class FactorAdded(Model):
    result: Literal["added"] = "added"


class RecoveryCodes(Model):
    """This answer alone has them."""

    codes: tuple[str, ...] = Field(repr=False)


class PasskeyAsked(Model):
    """`ticket` goes back with what a passkey answers to `options`."""

    ticket: str = Field(repr=False)
    options: dict[str, Any]
