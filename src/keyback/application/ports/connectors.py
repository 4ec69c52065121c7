"""What we ask of a connector: find accounts, say what stands in the way, apply a plan, look after it.

`keyback.connectors.base.ConnectorBase` answers everything that a system lacks, so a connector writes only what it has.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

from keyback.domain.passwords.target_rules import TargetRules
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
    revoke_grants: Means = Means.NONE
    reset_factor: Means = Means.NONE
    temporary_pass: Means = Means.NONE
    activity: Means = Means.NONE
    status: Means = Means.NONE
    stop: Means = Means.NONE
    deep_link: Means = Means.NONE


@dataclass(frozen=True, slots=True)
class FoundAccount:
    """A login as the system knows it. `external_id` never changes; the user name may.

    Args:
        privileged: administers the system or may read everything in it.
        synced_from: the directory that this account is copied from, whose password counts; None when it is the master.
        sso_only: signs in elsewhere only; a password set here opens nothing.
        federated: sign-in is handed to another identity provider, so the system keeps no password for it.
        frozen: the system keeps the person out though the account is active and not locked.
        licensed: may use the CRM; None when the system doesn't say.
        password_changed_at, last_sign_in_at: ms since 1970; None when the system doesn't say.
        manager: `external_id` of whom the person reports to; empty for nobody, None when the system doesn't say. Only
            `list_accounts` tells.
        phones: mobile numbers as they stand there; none where there is none, None when the system doesn't say. Only
            `list_accounts` tells.
        groups: names of groups and departments, as they stand there; none where there is none, None when the system
            doesn't say. Only `list_accounts` tells.
    """

    external_id: str
    username: str
    mail: str | None = None
    name: str | None = None
    state: Literal["active", "disabled", "locked"] = "active"
    privileged: bool = False
    synced_from: str | None = None
    sso_only: bool = False
    federated: bool = False
    frozen: bool = False
    licensed: bool | None = None
    password_changed_at: int | None = None
    last_sign_in_at: int | None = None
    manager: str | None = None
    phones: tuple[str, ...] | None = None
    groups: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What to do to one account, in the order guard, unlock, set, must_change, revoke, grants, confirm.

    Args:
        job_id: the same over all attempts; a system that can remember it must not act on it twice.
        new_password: None to unlock only: nothing is set then, and the steps after `unlock` are left out.
        revoke_grants: also end what applications may do in the person's name, where the system can.
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
    revoke_grants: bool = False


class Step(StrEnum):
    GUARD = "guard"
    UNLOCK = "unlock"
    SET = "set"
    MUST_CHANGE = "must_change"
    REVOKE = "revoke"
    GRANTS = "grants"
    CONFIRM = "confirm"
    # Not of a plan; what `reset_factor`, `temporary_pass` and `stop` do.
    FACTOR = "factor"
    TEMPORARY = "temporary_pass"
    STOP = "stop"


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


@dataclass(frozen=True, slots=True)
class Guide:
    """What a person does in the system themselves: one sentence a step, and the page where it begins."""

    steps: tuple[str, ...]
    url: str | None = None


FindingCode = Literal[
    "not_found", "ambiguous", "sso_only", "federated", "synced_elsewhere", "frozen", "inactive", "locked",
    "minimum_age", "no_license", "must_change", "password_expired", "factor_lost", "wrong_host", "privileged",
    "stale_password",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that keeps a person out, or would keep a new password from working. Found by reading alone.

    Args:
        detail: for operators, such as the directory of `synced_elsewhere`; cleaned, without secrets.
        until: when it ends by itself, ms since 1970; None when it does not or nobody knows.
    """

    code: FindingCode
    detail: str = ""
    until: int | None = None


@dataclass(frozen=True, slots=True)
class SignIn:
    """A sign-in as the system logged it; `at` in ms since 1970, `source` a network address, texts cleaned."""

    at: int
    ok: bool
    source: str = ""
    client: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """An application that may act in the person's name; instants in ms since 1970."""

    id: str
    title: str
    authorized_at: int | None = None
    last_used_at: int | None = None


@dataclass(frozen=True, slots=True)
class Activity:
    """What happened in an account lately, newest first."""

    sign_ins: tuple[SignIn, ...] = ()
    grants: tuple[Grant, ...] = ()


@dataclass(frozen=True, slots=True)
class SystemFactor:
    """A second factor that the person has in the system itself.

    Args:
        kind: such as `totp`, `passkey`, `phone`, `app`.
        removable: `reset_factor` can remove it; an administrator of the system must when not.
    """

    id: str
    kind: str
    title: str
    removable: bool


@dataclass(frozen=True, slots=True)
class TemporaryPass:
    """Signs in once or for a while in place of password and factor. Shown on the recovery's own page only, never sent.

    `expires_at` is ms since 1970.
    """

    secret: Secret
    expires_at: int
    once: bool


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One result of `keyback connector test`.

    Args:
        what: what was looked at; `call` is a call with its answer, secrets masked; `step` a step of a plan.
        text: what was found, in English and without secrets.
        costs: capabilities that are missing because of it, by their names in `Capabilities`.
        advice: what an administrator does about it.
    """

    what: Literal["reach", "tls", "sign_in", "permission", "clock", "quota", "read", "rules", "call", "step"]
    status: Literal["ok", "warn", "bad"]
    text: str
    costs: tuple[str, ...] = ()
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Health:
    """How calls to the system went lately. `open` means that it is left alone for a while after failures in a row.

    Args:
        reached_ago_ms: how long ago it was reached last; None for never since the start, or where nobody counts.
        missing_for_ms: for how long it could not be reached; None where it could at last.
    """

    breaker: Literal["closed", "open"] = "closed"
    failures: int = 0
    reached_ago_ms: int | None = None
    missing_for_ms: int | None = None


class Connector(Protocol):
    """A system that holds passwords.

    A method whose capability is `none` says so by its value: no pages, no activity, an outcome `unsupported`. Methods
    that read raise `Unavailable` when the system cannot be asked; methods that change never raise for its faults.
    """

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

    @property
    def url(self) -> str | None:
        """Where people sign in to the system; None when nobody said."""
        ...

    @property
    def health(self) -> Health: ...

    def guide(self, locale: str) -> Guide | None:
        """What the person does there, in this language or else in English; None when there is nothing to do."""
        ...

    async def find(self, identifier: str) -> Sequence[FoundAccount]:
        """Accounts with this user name or mail address. Raises `Unavailable` when the system cannot be asked."""
        ...

    def list_accounts(self) -> AsyncIterator[Sequence[FoundAccount]]:
        """Everybody, a page at a time, each once. Raises `Unavailable` where it cannot be everybody: whoever is missing
        from a list that ended counts as gone."""
        ...

    async def mark(self) -> str | None:
        """Where the list stands now, for `list_changed` later; None where the system cannot tell what changed since."""
        ...

    def list_changed(self, since: str) -> AsyncIterator[Sequence[FoundAccount]]:
        """Accounts that may have changed since a mark, a page at a time; rather too many. Whoever was deleted since is
        not among them. Everybody where the mark is not understood any more."""
        ...

    async def verify(self, username: str, password: Secret) -> bool | None:
        """Whether this password signs in now; None when that cannot be found out."""
        ...

    async def apply(self, plan: Plan) -> Sequence[Outcome]:
        """Do the plan; stops after the first step that is refused, to be retried or uncertain. Never raises for the
        system's faults."""
        ...

    async def password_rules(self, external_id: str | None = None) -> TargetRules | None:
        """What the system asks of a password: of this account, or of most; None when nobody knows."""
        ...

    async def diagnose(self, username: str, external_id: str | None = None) -> Sequence[Finding]:
        """What stands in this person's way, the gravest first; empty when nothing was found. Changes nothing.

        Args:
            external_id: of the account when it is known; else whoever `find` finds.
        """
        ...

    async def activity(self, external_id: str) -> Activity | None:
        """Recent sign-ins and applications authorized lately; None when the system doesn't tell."""
        ...

    async def revoke_grants(self, external_id: str, grants: Sequence[str] | None = None) -> Outcome:
        """End what these applications may do, all of them for None."""
        ...

    async def revoke_sessions(self, external_id: str) -> Outcome:
        """End every sign-in of the account, its password as it is; `unsupported` where only a new password does."""
        ...

    async def factors(self, external_id: str) -> Sequence[SystemFactor]:
        """The person's second factors in the system."""
        ...

    async def reset_factor(self, external_id: str, factor: str, *, allow_privileged: bool = False) -> Outcome:
        """Remove one, so that the person sets up another at the next sign-in. Privileged targets as in `apply`."""
        ...

    async def temporary_pass(
        self, external_id: str, minutes: int, *, allow_privileged: bool = False
    ) -> TemporaryPass | Outcome:
        """A pass for so many minutes, or what spoke against it. Privileged targets as in `apply`."""
        ...

    async def stop(self, external_id: str, *, allow_privileged: bool = False) -> Outcome:
        """Keep everybody out of the account, by its status: its owner says that somebody else is in it. Done as well
        when it was stopped before. Privileged targets as in `apply`."""
        ...

    async def check(self, sample: str | None = None) -> Sequence[CheckLine]:
        """What works with this configuration: reach, permissions, clock, quota, and reading one user. Changes nothing
        and never raises for the system's faults.

        Args:
            sample: user name or mail address of somebody to read.
        """
        ...

    async def close(self) -> None: ...


class Unavailable(Exception):
    """A system could not be asked. `code` is one of the codes of `Outcome`; the text never holds a secret."""

    def __init__(self, code: str, text: str = "") -> None:
        super().__init__(text or code)
        self.code = code
