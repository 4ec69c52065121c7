"""What we ask of a connector: find accounts, check a password, apply a plan."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

from keyback.domain.secret import Secret


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


class Unavailable(Exception):
    """A system could not be asked. `code` is one of the codes of `Outcome`; the text never holds a secret."""

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(text or code)
        self.code = code
