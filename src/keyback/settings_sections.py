"""The sections of `keyback.toml`: names, types, defaults and what each means."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, IPvAnyNetwork, SecretStr, field_validator

from keyback.domain.people.person import a_label
from keyback.domain.people.phone import is_country
from keyback.domain.throttling.sms_quota import SpendRules
from keyback.settings_values import Checked, plain_relay

# What may stand in From and in the envelope; the local part in ASCII, so that every relay takes it (RFC 6531).
_ADDRESS = re.compile(r"[^\s@<>()\[\]\\,:;\"\u0080-\U0010ffff]{1,64}@[^\s@<>()\[\]\\,:;\"]{1,253}")
Text = Annotated[str, Field(min_length=1, max_length=200)]


def plain_address(value: str) -> str:
    """Raises ValueError for what is no bare address."""
    value = value.strip()
    if value and not _ADDRESS.fullmatch(value):
        raise ValueError("must be a plain address, such as keyback@example.com, without a name")
    return value


class Part(Checked):
    model_config = ConfigDict(extra="forbid")


class Mail(Part):
    """The company's SMTP relay."""

    host: str = Field("", description="Host name of the relay. Empty: no email, which only the demo allows.")
    port: int = Field(587, ge=1, le=65535, description="Its port: usually 587 for `starttls`, 465 for `tls`.")
    security: Literal["starttls", "tls", "plain"] = Field("starttls", description="`plain` is for loopback only.")
    username: str = Field("", description="Username at the relay. Empty: the relay trusts this machine's address.")
    password: SecretStr | None = Field(None, description="Password for `username`. A file is safer.")
    password_file: Path | None = Field(None, description="File with the password; overrides `password`.")
    sender: str = Field("", description="Sender address of emails.")
    ca_file: Path | None = Field(
        None, description="PEM file of certificate authorities to trust instead of the system's."
    )
    timeout_s: float = Field(20.0, gt=0, le=120, description="Seconds to wait for a connection and for each reply.")
    pool: int = Field(2, ge=1, le=20, description="Maximum number of connections.")
    local_hostname: str = Field("", description="Host name sent in EHLO; empty: this machine's own.")
    hourly: int = Field(
        2000,
        ge=0,
        description="Maximum emails per hour caused by requests from strangers, to all recipients together. "
        "0: no limit.",
    )
    daily: int = Field(20_000, ge=0, description="The same in 24 hours.")

    webmail: dict[str, str] = Field(
        default_factory=dict,
        description='Where people read mail of your domains: `webmail."example.com" = "https://exmail.qq.com/"`. The '
        "page after a request links to it. Gmail, Outlook, QQ, 163, 126, Aliyun and iCloud are known.",
    )

    @field_validator("webmail")
    @classmethod
    def _pages(cls, value: dict[str, str]) -> dict[str, str]:
        for domain, url in value.items():
            parts = urlsplit(url)
            if parts.scheme != "https" or not parts.hostname or "@" in parts.netloc:
                raise ValueError(f"the page for {domain} must be an https address")
        return {(a_label(domain) or domain).lower(): url for domain, url in value.items()}

    @field_validator("host")
    @classmethod
    def _host_alone(cls, value: str) -> str:
        return plain_relay(value)

    @field_validator("sender")
    @classmethod
    def _plain_address(cls, value: str) -> str:
        return plain_address(value)


class Password(Part):
    """Rules for new passwords, and the cost of hashing one."""

    preset: Literal["nist", "mlps2", "mlps3", "classic"] = Field("nist", description="See the passwords page.")
    breach_file: Path | None = Field(None, description="Leaked passwords, made by `keyback breach build`.")
    argon2_t: int = Field(3, description="Passes.")
    argon2_m_kib: int = Field(65536, description="Memory of one hash, KiB. Floor: t=1 46 MiB, t=2 19 MiB, t=3 12 MiB.")
    argon2_p: int = Field(1, description="Lanes.")
    sm3_iterations: int = Field(
        600_000,
        ge=100_000,
        description='Iterations of PBKDF2-HMAC-SM3, with `crypto = "gm"` in place of argon2id.',
    )
    memory_budget_mib: int = Field(
        256, ge=19, description="Memory for all hashing together, in MiB. Requests beyond it wait, then get 503."
    )
    queue: int = Field(
        64, ge=0, le=10000, description="Maximum passwords waiting to be hashed. Requests beyond it get 503."
    )
    pepper_file: Path | None = Field(
        None, description="File with 32 or more random bytes, stored apart from the database."
    )
    old_pepper_files: list[Path] = Field(
        default_factory=list,
        description="Earlier peppers: passwords hashed with them still work and are rehashed at the next sign-in.",
    )
    context_words: list[str] = Field(
        default_factory=list, description="Additional words that a password must not consist of."
    )


TierName = Literal["standard", "mfa", "privileged"]


class PolicyPart(Part):
    """Which verification methods are accepted and how long the holds are. See the policy page."""

    preset: Literal["nist", "mlps2", "mlps3", "classic"] | None = Field(
        None, description="Preset that the policy must meet. Default: `password.preset`."
    )
    off: list[str] = Field(default_factory=list, description="Proofs that are not accepted, such as `sms_code`.")
    off_for: dict[TierName, list[str]] = Field(
        default_factory=dict, description='The same for the people of one tier: `off_for.mfa = ["sms_code"]`.'
    )
    security_questions: bool = Field(False, description="Asked in addition to another method; they never count as one.")
    hold_stranger_minutes: int = Field(
        5, ge=0, le=1440, description="Hold after one method from an unknown device and network."
    )
    hold_only_address_minutes: int | None = Field(
        None, ge=0, le=1440, description="The same, if no other address can be notified. Default: the preset's."
    )
    hold_new_device_minutes: int = Field(
        15, ge=0, le=10080, description="Hold after two methods from an unknown device."
    )
    hold_privileged_hours: int = Field(
        24, ge=0, le=336, description="Hold for CRM administrators on an unknown device."
    )
    hold_mailbox_hours: int = Field(24, ge=0, le=336, description="Hold before a lost mailbox is replaced.")
    people_per_colleague: int = Field(
        10, ge=1, le=10_000, description="How many people one person may be a recovery contact for."
    )
    contacts_remind_days: int = Field(
        365,
        ge=30,
        le=1825,
        description="Days after which owners are asked to confirm contacts. 30 days later, unconfirmed ones "
        "count less.",
    )
    contacts_void_days: int = Field(
        760, ge=90, le=3650, description="Days after which unconfirmed contacts no longer count."
    )
    hold_proofing_hours: int = Field(
        24, ge=0, le=336, description="Hold after an identity check; twice as long for administrators."
    )
    floor: Literal["standard", "mfa"] | None = Field(
        None, description="Lowest tier for everyone. Default: the preset's."
    )
    second_operator: Literal["always", "without_passkey", "never"] = Field(
        "without_passkey", description="When a second operator must approve for CRM administrators."
    )
    two_issued_codes: bool = Field(
        False, description="Email and SMS together are enough for accounts with two-step verification."
    )
    sms_for_privileged: bool = Field(False, description="SMS counts for CRM administrators.")
    groups: dict[str, TierName] = Field(
        default_factory=dict,
        description='Lowest tier for the members of a group: `groups.Finance = "mfa"`. Takes effect with the '
        "next import.",
    )
    known_networks: list[IPvAnyNetwork] = Field(
        default_factory=list, description="Networks that count as known for everyone."
    )
    accepted: dict[str, str] = Field(
        default_factory=dict, description="Exceptions from the preset, each with its reason in a sentence."
    )


class PeopleSync(Part):
    """Bringing in people from systems. See the page about syncing people."""

    systems: list[str] = Field(
        default_factory=list, description="Systems that the worker syncs people from, by their names below `systems`."
    )
    every_minutes: int = Field(1440, ge=15, le=10_080, description="Minutes between two syncs of a system.")
    full_every_hours: int = Field(
        24,
        ge=0,
        le=720,
        description="Hours after which a sync reads the whole list again. Until then it asks the system only for what "
        "changed, if it can say so. 0: always the whole list.",
    )
    max_off_percent: int = Field(
        10,
        ge=1,
        le=100,
        description="Largest share of a system's accounts that one sync may disable. Beyond it, none are disabled, and "
        "an operator runs `keyback people sync --yes`.",
    )
    max_accounts: int = Field(
        1_000_000, ge=1, le=10_000_000, description="A system that lists more accounts than this isn't synced."
    )
    link_by_mail: bool = Field(
        False,
        description="Connect a new account with the one person who has the same address and name, without a review. "
        "Never for administrators.",
    )
    no_phones_from: list[str] = Field(
        default_factory=list, description="Systems whose mobile numbers are not taken, by their names below `systems`."
    )


class People(Part):
    """Where people come from."""

    phones: bool = Field(
        True,
        description="Take mobile numbers from files and systems, if SMS is set up. A new one can be used for recovery "
        "after 72 hours.",
    )
    phone_country: str = Field(
        "",
        description="Country of mobile numbers without a country code, such as `CN`. Empty: such numbers are left out "
        "and reported.",
    )

    phone_identifiers: bool = Field(
        True,
        description="People may enter their phone number in place of an email or username, if SMS is set up. Turn it "
        "off if usernames are phone numbers written with spaces or dashes.",
    )

    @field_validator("phone_country")
    @classmethod
    def _a_country(cls, value: str) -> str:
        if value and not is_country(value):
            raise ValueError("must be a country's two letters, such as CN or US")
        return value.upper()

    sync: PeopleSync = PeopleSync()


class Carrier(Part):
    """What carries messages to phones. Which further keys it takes depends on `kind`; see the messages page."""

    model_config = ConfigDict(extra="allow")

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})


class Sms(Carrier):
    """Codes and alerts by SMS, and their limits."""

    kind: str = Field(
        "", description="`aliyun`, `tencent`, `twilio`, `http`, or one from an installed package. Empty: no SMS."
    )
    prefixes: list[str] = Field(
        default_factory=list, description="Allowed number prefixes, such as `+86`; `!+1876` excludes one."
    )
    daily_per_prefix: int = Field(1000, ge=1, description="Maximum SMS in 24 hours to one prefix; more are not sent.")
    daily_per_person: int = Field(
        10, ge=1, description="Maximum SMS in 24 hours to one person, and to one number; more are not sent."
    )
    hourly_per_prefix: int = Field(250, ge=1, description="Maximum SMS in an hour to one prefix.")
    hourly_per_person: int = Field(3, ge=1, description="Maximum SMS in an hour to one person, and to one number.")

    def spending(self) -> SpendRules:
        hourly = self.hourly_per_prefix, self.hourly_per_person
        return SpendRules(tuple(self.prefixes), self.daily_per_prefix, self.daily_per_person, *hourly)

    @field_validator("prefixes")
    @classmethod
    def _dialled(cls, value: list[str]) -> list[str]:
        if not all(re.fullmatch(r"!?\+[1-9][0-9]{0,6}", p) for p in value):
            raise ValueError("a prefix is like +86, or !+1876 to shut a part of +1")
        return value


class Im(Carrier):
    """Codes and alerts by work chat."""

    sign_in: bool = Field(
        False,
        description="People link their work chat by signing in there instead of typing their ID. Register `public_url` "
        "with `/account/chat/back` there first.",
    )

    kind: str = Field(
        "", description="`wecom`, `dingtalk`, `feishu`, `http`, or one from an installed package. Empty: none."
    )


class Limits(Part):
    """Requests per minute from one network (an IPv4 address or an IPv6 /64). A whole office may share
    one, so these limits only keep the machine usable; what protects people is counted by name, person, and page."""

    recoveries: int = Field(
        600, ge=1, description="Requests for a recovery or a username, including emails sent again."
    )
    proofs: int = Field(600, ge=1, description="Links opened, codes entered, and other verification attempts.")
    sign_ins: int = Field(600, ge=1, description="Sign-in attempts.")
    checks: int = Field(2400, ge=1, description="Password-strength checks.")
    admin: int = Field(600, ge=1, description="Requests to the admin API; also for each of its keys, from anywhere.")
    times_56: int = Field(4, ge=1, description="The same limits for the IPv6 /56 around a network, multiplied by this.")
    times_48: int = Field(16, ge=1, description="The same limits for the /48 around it, multiplied by this.")
    failing_names: int = Field(
        100, ge=1, description="Number of names with wrong passwords in an hour that raises an alarm."
    )
    locked_names: int = Field(
        20, ge=1, description="Number of names locked or disabled in an hour that raises an alarm."
    )
    own_browser: int = Field(60, ge=1, description="Each limit for a trusted browser, on top of the network's.")


class Documents(Part):
    """Identity documents that people send and two operators look at; needs the extra `evidence`."""

    assessment: str = Field(
        "",
        max_length=300,
        description="Where your company keeps its impact assessment of this (PIPL 55). Empty: no documents are taken.",
    )


class Tasks(Part):
    """What only an administrator of a system can do, such as a reset where no program may set a password."""

    administrators: list[str] = Field(
        default_factory=list,
        description="Email addresses that are told of new tasks. Empty: see them with `keyback task list`.",
    )
    at_once: bool = Field(
        True,
        description="Told as soon as a recovery needs them. `false`: when the person asks for them, or has not been "
        "seen to sign in for a day.",
    )

    @field_validator("administrators")
    @classmethod
    def _plain_addresses(cls, value: list[str]) -> list[str]:
        for address in value:
            if not _ADDRESS.fullmatch(address):
                raise ValueError(f"{address!r} is not a plain address, such as crm-admin@example.com")
        return value


class Webhooks(Part):
    """How events are posted to the receivers that `keyback webhook add` names."""

    ca_file: Path | None = Field(
        None, description="PEM file of certificate authorities to trust instead of the system's."
    )
    timeout_s: float = Field(10.0, gt=0, le=30, description="Seconds for one call, from first to last byte.")


class System(Part):
    """A system that stores passwords. Its further keys depend on `kind`; see the connectors page."""

    model_config = ConfigDict(extra="allow")

    kind: str = Field(
        description="`builtin`, `salesforce`, `dynamics365`, `zoho`, `fxiaoke`, `ldap`, `active_directory`, `scim`, "
        "`odoo`, `tryton`, `creme`, `http`, `sql`, `guided`, `demo`, or one from a package."
    )
    title: Text = Field(description="Name that people know it by.")
    passwords_in: str = Field(
        "",
        description="The system, by its name below `systems`, that keeps the passwords of accounts which are synced "
        "into this one, federated, or sign in by single sign-on: people are led to their account there.",
    )

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})
