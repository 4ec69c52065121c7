"""What every connector of the house stands on: answers for what a system lacks, and keys that every section takes."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar, Literal, Self, cast
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, field_validator

from keyback.application.ports.connectors import (
    Activity,
    Capabilities,
    CheckLine,
    Finding,
    FoundAccount,
    Guide,
    Health,
    Means,
    Outcome,
    Plan,
    Step,
    SystemFactor,
    TemporaryPass,
    Unavailable,
)
from keyback.domain.passwords.target_rules import TargetRules
from keyback.domain.secret import Secret
from keyback.domain.units import HOUR, MINUTE
from keyback.outbound.breaker import Breaker
from keyback.outbound.http import HttpOptions, is_loopback
from keyback.settings_values import Checked

DAY = 24 * HOUR


class RulesOptions(Checked):
    """`password_rules` of a section: what the system asks of a password, where Keyback can't read it there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_length: int = Field(0, ge=0, le=256)
    max_length: int | None = Field(None, ge=8, le=1024)
    classes: frozenset[Literal["upper", "lower", "digit", "symbol"]] = frozenset()
    classes_of_four: int = Field(0, ge=0, le=4)
    no_names: bool = False
    history: int = Field(0, ge=0, le=1000)
    min_age_days: int = Field(0, ge=0, le=998)
    max_age_days: int | None = Field(None, ge=1, le=999)

    def rules(self) -> TargetRules:
        return TargetRules(
            self.min_length,
            self.max_length,
            frozenset(f"class_{c}" for c in self.classes),  # type: ignore[misc]
            self.classes_of_four,
            self.no_names,
            self.history,
            self.min_age_days * DAY,
            self.max_age_days * DAY if self.max_age_days else None,
            "configured",
        )


class CommonOptions(Checked):
    """Keys that every kind takes.

    Args:
        sign_in_url: where people sign in to the system, which becomes a link; empty for none.
        password_rules: what the system asks of a password, where it can't be read there.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    sign_in_url: str | None = None
    password_rules: RulesOptions | None = None

    @field_validator("sign_in_url")
    @classmethod
    def _linkable(cls, value: str | None) -> str | None:
        return None if value is None else web_address(value)

    @classmethod
    def takes_secret(cls, section: Mapping[str, Any]) -> bool:
        """Whether a section with these keys needs a secret besides; `keyback connector add` asks for it then."""
        return "secret_file" in cls.model_fields

    @property
    def configured_rules(self) -> TargetRules | None:
        return self.password_rules.rules() if self.password_rules else None


class ConnectorOptions(CommonOptions, HttpOptions):
    """Keys of a system that is reached by HTTP; subclass it for more."""


def web_address(value: str) -> str:
    """An address that may become a link. Raises `ValueError` for anything but https, or http on this machine."""
    parts = urlsplit(value)
    host = parts.hostname or ""
    if not host or parts.username or not (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host))):
        raise ValueError("must be an https:// address")
    return value


def numbers_in(*values: object) -> tuple[str, ...]:
    """Phone numbers (`FoundAccount.phones`) out of fields of an answer; what is no text, or empty, is none."""
    return texts_in(*values)


def texts_in(*values: object) -> tuple[str, ...]:
    """Texts out of fields of an answer, such as groups (`FoundAccount.groups`); what is no text, or empty, is none."""
    return tuple(text for v in values if isinstance(v, str) and (text := v.strip()))


OVERLAP = 15 * MINUTE  # how far clocks may be apart, and how late a copy of the data may be


def mark_now(now: float | None = None) -> str:
    """A mark (`Connector.mark`) that is an instant: a while ago, so that nothing is missed.

    Args:
        now: seconds since 1970, for tests.
    """
    at = datetime.fromtimestamp((time.time() if now is None else now) - OVERLAP / 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


def marked_instant(mark: str) -> datetime | None:
    """The instant of such a mark; None for any other."""
    try:
        return datetime.strptime(mark, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


class ConnectorBase:
    """Answers of a connector to everything that its system lacks; subclass it and write what the system has.

    A subclass sets `name`, `title`, `capabilities` and `options_model`, and writes `find`, `verify` and `apply`. `url`,
    `rules` and `breaker` are class attributes that an instance sets.
    """

    name: str
    title: str
    capabilities = Capabilities()
    options_model: ClassVar[type[CommonOptions]]
    url: str | None = None
    rules: TargetRules | None = None

    breaker: Breaker | None = None

    @property
    def health(self) -> Health:
        b = self.breaker
        return Health(b.state, b.failures, b.reached_ago_ms(), b.missing_for_ms()) if b else Health()

    @classmethod
    def from_options(cls, name: str, title: str, options: Mapping[str, Any]) -> Self:
        """From a section of `keyback.toml`, for a class that is made from a name, a title and its options.

        Raises:
            ValueError: values that are missing, unknown or unsafe.
        """
        make: Any = cls
        return cast("Self", make(name, title, cls.options_model.model_validate(options)))

    def configured(self, options: CommonOptions) -> None:
        """Takes over the keys that every kind has."""
        self.url = options.sign_in_url or self.url
        self.rules = options.configured_rules or self.rules

    def guide(self, locale: str) -> Guide | None:
        return None

    async def find(self, identifier: str) -> Sequence[FoundAccount]:
        return ()

    async def list_accounts(self) -> AsyncIterator[Sequence[FoundAccount]]:
        return
        yield ()

    async def mark(self) -> str | None:
        return None

    def list_changed(self, since: str) -> AsyncIterator[Sequence[FoundAccount]]:
        return self.list_accounts()

    async def verify(self, username: str, password: Secret) -> bool | None:
        return None

    async def apply(self, plan: Plan) -> Sequence[Outcome]:
        return [Outcome(Step.GUARD, "unsupported")]

    async def password_rules(self, external_id: str | None = None) -> TargetRules | None:
        return self.rules

    async def diagnose(self, username: str, external_id: str | None = None) -> Sequence[Finding]:
        """By what `find` says; a connector that can see more overrides this and adds to it."""
        if self.capabilities.lookup is Means.NONE:
            return ()
        found = await self.find(username)
        if external_id is not None:
            found = [a for a in found if a.external_id == external_id]
        if not found:
            return (Finding("not_found"),)
        if len(found) > 1:
            return (Finding("ambiguous", str(len(found))),)
        return account_findings(found[0])

    async def activity(self, external_id: str) -> Activity | None:
        return None

    async def revoke_grants(self, external_id: str, grants: Sequence[str] | None = None) -> Outcome:
        return Outcome(Step.GRANTS, "unsupported")

    async def revoke_sessions(self, external_id: str) -> Outcome:
        return Outcome(Step.REVOKE, "unsupported")

    async def factors(self, external_id: str) -> Sequence[SystemFactor]:
        return ()

    async def reset_factor(self, external_id: str, factor: str, *, allow_privileged: bool = False) -> Outcome:
        return Outcome(Step.FACTOR, "unsupported")

    async def temporary_pass(
        self, external_id: str, minutes: int, *, allow_privileged: bool = False
    ) -> TemporaryPass | Outcome:
        return Outcome(Step.TEMPORARY, "unsupported")

    async def stop(self, external_id: str, *, allow_privileged: bool = False) -> Outcome:
        return Outcome(Step.STOP, "unsupported")

    async def check(self, sample: str | None = None) -> Sequence[CheckLine]:
        """A look-up of nobody, and of the sample when there is one."""
        if self.capabilities.lookup is Means.NONE:
            return (CheckLine("reach", "ok", "people are guided; there is nothing to reach"),)
        try:
            await self.find(f"keyback-check-{secrets.token_hex(6)}")
        except Unavailable as e:
            return (unreachable(e),)
        lines = [CheckLine("reach", "ok", "answers")]
        if sample:
            with contextlib.suppress(Unavailable):
                lines.append(sample_line(await self.find(sample)))
        return lines

    async def close(self) -> None:
        return None


def account_findings(account: FoundAccount) -> tuple[Finding, ...]:
    """What an account's state alone says, the gravest first."""
    tests: tuple[tuple[bool, Finding], ...] = (
        (account.synced_from is not None, Finding("synced_elsewhere", account.synced_from or "")),
        (account.federated, Finding("federated")),
        (account.sso_only, Finding("sso_only")),
        (account.state == "disabled", Finding("inactive")),
        (account.frozen, Finding("frozen")),
        (account.licensed is False, Finding("no_license")),
        (account.state == "locked", Finding("locked")),
        (account.privileged, Finding("privileged")),
    )
    return tuple(finding for holds, finding in tests if holds)


_FAULTS: dict[str, tuple[Literal["reach", "sign_in", "permission", "quota"], str]] = {
    "auth_expired": ("sign_in", "Correct {sign_in}."),
    "not_permitted": ("permission", "See what the user or client that Keyback signs in with may do."),
    "quota_missing": ("quota", "See the contract with the vendor: there are no calls left, or none at all."),
}

# By a part of what the fault says; the last is for all others.
_REACH = {
    "certificate": "Name the authority that signed it in ca_file, or correct {address}: its host has to be in it.",
    "refused": "Correct host or port in {address}, or start the system.",
    "host name": "Correct the host in {address}, or this machine's DNS.",
    "TLS": "Correct {address}: is it https, and the port that TLS is spoken on?",
    "HTTP 4": "Something answers there, but not as this kind does: correct {address}.",
    "HTTP 5": "The system answers with a fault of its own: look into its log, and try again.",
    "": "See that {address} is right, and that a firewall lets this machine reach it.",
}


def unreachable(
    e: Unavailable, sign_in: str = "the user or client and the secret that Keyback signs in with", address: str = "url"
) -> CheckLine:
    """The line for a system that could not be asked.

    Args:
        sign_in: the keys of its section that Keyback signs in with, as the end of a sentence.
        address: the key of where it is.
    """
    what, advice = _FAULTS.get(e.code, ("reach", next(words for part, words in _REACH.items() if part in str(e))))
    advice = advice.format(sign_in=sign_in, address=address)
    return CheckLine(what, "bad", f"{e.code}: {e}" if str(e) != e.code else e.code, advice=advice)


def sample_line(found: Sequence[FoundAccount]) -> CheckLine:
    """The line for reading one user, who is described and not named."""
    if len(found) != 1:
        words = "nobody was found by it" if not found else f"it fits {len(found)} accounts"
        return CheckLine("read", "warn", words, advice="Give the username or mail address of one user.")
    a = found[0]
    words = f"one account, {a.state}" + (", privileged: Keyback leaves it alone" if a.privileged else "")
    return CheckLine("read", "ok", words + (f", synced from {a.synced_from}" if a.synced_from else ""))
