"""Configuration: `keyback.toml`, then `KEYBACK_…` in the environment; secrets by file or environment.

Every name, type and default here is what `docs/settings.md` lists; that page is generated from this file.
"""

from __future__ import annotations

import codecs
import ipaddress
import os
import re
import tomllib
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import idna
from pydantic import BaseModel, ConfigDict, Field, IPvAnyNetwork, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})
Text = Annotated[str, Field(min_length=1, max_length=200)]


class Part(BaseModel):
    model_config = ConfigDict(extra="forbid")


class InTwoLanguages(Part):
    """A text of the company's own, in both languages."""

    en: Text = Field(description="As pages and mails in English say it.")
    zh_CN: Text = Field(description="The same in Chinese.")


class Mail(Part):
    """The company's SMTP relay."""

    host: str = Field("", description="Name of the relay. Empty: no mail, which only the demo allows.")
    port: int = Field(587, ge=1, le=65535, description="Its port: usually 587 for `starttls`, 465 for `tls`.")
    security: Literal["starttls", "tls", "plain"] = Field("starttls", description="`plain` is for loopback only.")
    username: str = Field("", description="For signing in at the relay; empty: it trusts this machine's address.")
    password: SecretStr | None = Field(None, description="Goes with `username`; a file is safer.")
    password_file: Path | None = Field(None, description="Holds the password; wins over `password`.")
    sender: str = Field("", description="Address that mail comes from.")
    ca_file: Path | None = Field(None, description="PEM file of authorities to trust instead of the system's.")
    timeout_s: float = Field(20.0, gt=0, le=120, description="Seconds to wait for connecting and for each answer.")
    pool: int = Field(2, ge=1, le=20, description="Connections at most.")
    local_hostname: str = Field("", description="Host name sent in EHLO; empty: this machine's own.")
    hourly: int = Field(
        2000,
        ge=0,
        description="Mails in an hour that requests of strangers may cause, whoever they go to; 0: no limit.",
    )
    daily: int = Field(20_000, ge=0, description="The same in 24 hours.")


class Password(Part):
    """Rules for new passwords, and what hashing one may cost."""

    preset: Literal["nist", "mlps2", "mlps3", "classic"] = Field("nist", description="See the passwords page.")
    breach_file: Path | None = Field(None, description="Leaked passwords, made by `keyback breach build`.")
    argon2_t: int = Field(3, description="Passes.")
    argon2_m_kib: int = Field(65536, description="Memory of one hash, KiB. Floor: t=1 46 MiB, t=2 19 MiB, t=3 12 MiB.")
    argon2_p: int = Field(1, description="Lanes.")
    memory_budget_mib: int = Field(256, ge=19, description="For all hashing at once; more wait, then get 503.")
    queue: int = Field(64, ge=0, le=10000, description="Passwords that may wait to be hashed; one more gets 503.")
    pepper_file: Path | None = Field(None, description="32 or more random bytes, kept apart from the database.")
    old_pepper_files: list[Path] = Field(
        default_factory=list, description="Earlier ones: what was hashed with them still fits, and is hashed anew."
    )
    context_words: list[str] = Field(default_factory=list, description="More words that no password may consist of.")


TierName = Literal["standard", "mfa", "privileged"]


class PolicyPart(Part):
    """What is taken as proof, and how long decided recoveries wait; see the policy page."""

    preset: Literal["nist", "mlps2", "mlps3", "classic"] | None = Field(
        None, description="What the policy may not fall short of; default: `password.preset`."
    )
    off: list[str] = Field(default_factory=list, description="Proofs that are not taken, such as `sms_code`.")
    off_for: dict[TierName, list[str]] = Field(
        default_factory=dict, description='The same for the people of one tier: `off_for.mfa = ["sms_code"]`.'
    )
    security_questions: bool = Field(False, description="Asked after another proof; they weigh nothing.")
    hold_stranger_minutes: int = Field(5, ge=0, le=1440, description="One proof, unknown device and unknown network.")
    hold_only_address_minutes: int | None = Field(
        None, ge=0, le=1440, description="The same, where no other address can be told; default: the preset's."
    )
    hold_new_device_minutes: int = Field(15, ge=0, le=10080, description="Two proofs, device not known.")
    hold_privileged_hours: int = Field(24, ge=0, le=336, description="CRM administrators on a device not known.")
    hold_mailbox_hours: int = Field(24, ge=0, le=336, description="Changing the address that mail goes to.")
    people_per_colleague: int = Field(
        10, ge=1, le=10_000, description="For how many people one person may be a recovery contact."
    )
    contacts_remind_days: int = Field(
        365, ge=30, le=1825, description="Age at which owners are asked about contacts; 30 days later these weigh less."
    )
    contacts_void_days: int = Field(
        760, ge=90, le=3650, description="Age at which contacts that nobody confirmed weigh nothing."
    )
    hold_proofing_hours: int = Field(
        24, ge=0, le=336, description="After an identity check; administrators twice that."
    )
    floor: Literal["standard", "mfa"] | None = Field(None, description="Everybody's least tier; default: the preset's.")
    second_operator: Literal["always", "without_passkey", "never"] = Field(
        "without_passkey", description="When a second operator approves for CRM administrators."
    )
    two_issued_codes: bool = Field(False, description="Mail and SMS together open accounts with a second step.")
    sms_for_privileged: bool = Field(False, description="SMS counts for CRM administrators.")
    groups: dict[str, TierName] = Field(
        default_factory=dict,
        description='The least tier of people in a group: `groups.Finance = "mfa"`. Takes effect with the next import.',
    )
    known_networks: list[IPvAnyNetwork] = Field(
        default_factory=list, description="Networks that are known to everybody."
    )
    accepted: dict[str, str] = Field(
        default_factory=dict, description="What falls short of the preset, each with the reason in a sentence."
    )


class Carrier(Part):
    """What carries messages to phones. Which further keys it takes depends on `kind`; see the messages page."""

    model_config = ConfigDict(extra="allow")

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})


class Sms(Carrier):
    """Codes and notices by SMS, and what they may cost."""

    kind: str = Field("", description="`aliyun`, `tencent`, `twilio`, `http`, or what a package brings; empty: no SMS.")
    prefixes: list[str] = Field(
        default_factory=list, description="Where SMS may go, such as `+86`; `!+1876` shuts the country it names."
    )
    daily_per_prefix: int = Field(1000, ge=1, description="SMS in 24 hours to one prefix; more are held back.")
    daily_per_person: int = Field(
        10, ge=1, description="SMS in 24 hours to one person, and to one number; more are held back."
    )
    hourly_per_prefix: int = Field(250, ge=1, description="SMS in an hour to one prefix.")
    hourly_per_person: int = Field(3, ge=1, description="SMS in an hour to one person, and to one number.")

    @field_validator("prefixes")
    @classmethod
    def _dialled(cls, value: list[str]) -> list[str]:
        if not all(re.fullmatch(r"!?\+[1-9][0-9]{0,6}", p) for p in value):
            raise ValueError("a prefix is like +86, or !+1876 to shut a part of +1")
        return value


class Im(Carrier):
    """Codes and notices as messages of a chat service."""

    kind: str = Field("", description="`wecom`, `dingtalk`, `feishu`, `http`, or what a package brings; empty: none.")


class Limits(Part):
    """Requests from one network (an IPv4 address or an IPv6 /64) in a minute. A whole office may sit behind one, so
    these keep the machine usable; what protects people is counted by name, person and page."""

    recoveries: int = Field(600, ge=1, description="Recoveries and forgotten user names asked for, new mails included.")
    proofs: int = Field(600, ge=1, description="Links, codes and other proofs shown.")
    sign_ins: int = Field(600, ge=1, description="Sign-ins tried.")
    checks: int = Field(2400, ge=1, description="Looks at a password that is being typed.")
    times_56: int = Field(4, ge=1, description="So many times as much from the IPv6 /56 around a network.")
    times_48: int = Field(16, ge=1, description="So many times as much from the /48 around it.")
    failing_names: int = Field(100, ge=1, description="Names with wrong passwords in an hour; more raise an alarm.")
    locked_names: int = Field(20, ge=1, description="Names locked or switched off in an hour; more raise an alarm.")
    own_browser: int = Field(
        60, ge=1, description="Of each, beside the network's, from a browser that somebody signed in with."
    )


class System(Part):
    """A system that holds passwords. Which further keys it takes depends on `kind`; see the connectors page."""

    model_config = ConfigDict(extra="allow")

    kind: str = Field(description="`builtin`, `tryton`, `guided`, `demo`, or one that an installed package brings.")
    title: Text = Field(description="What people call it.")

    @property
    def options(self) -> dict[str, Any]:
        return dict(self.__pydantic_extra__ or {})


class Unsafe(Exception):
    """A configuration that Keyback refuses to start on; the text names the cause and the way out."""


def read_secret(path: Path) -> str:
    """A secret that an editor of any system has written into a file: without byte order mark and line end.

    Raises:
        OSError: it cannot be read.
        ValueError: it is no text.
    """
    raw = path.read_bytes()
    encoding = "utf-16" if raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) else "utf-8-sig"
    try:
        return raw.decode(encoding).strip()
    except UnicodeDecodeError:
        raise ValueError(f"{path} is not UTF-8 text. Save it as UTF-8") from None


def plain_origin(value: str) -> str:
    """The origin of a URL as browsers write it: lower case, A-labels, no default port (RFC 6454, RFC 5891).

    Raises:
        ValueError: it is none, or says more than an origin.
    """
    wrong = ValueError("public_url must be like https://recover.example.com, without a path")
    try:
        parts = urlsplit(value.strip())
        host, port = parts.hostname or "", parts.port
        if not host.isascii():
            host = idna.encode(host, uts46=True).decode("ascii")
        host = host.removesuffix(".")
    except ValueError:  # of the port, of the brackets, or of IDNA
        raise wrong from None
    if parts.scheme not in ("http", "https") or not host or "@" in parts.netloc:
        raise wrong
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise wrong
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}" + ("" if port in (None, 443 if parts.scheme == "https" else 80) else f":{port}")


class _TomlFile(TomlConfigSettingsSource):
    """The settings file, whatever an editor put before its first line."""

    def _read_file(self, file_path: Path | Traversable) -> dict[str, Any]:
        raw = file_path.read_bytes()
        utf16 = raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        try:
            return tomllib.loads(raw.decode("utf-16" if utf16 else "utf-8-sig"))
        except UnicodeDecodeError as e:
            line = raw.count(b"\n", 0, e.start) + 1
            words = f"{file_path} is not UTF-8: see line {line}. Open it in an editor and save it as UTF-8."
            raise Unsafe(words) from None


class Settings(BaseSettings):
    """All settings of a Keyback."""

    model_config = SettingsConfigDict(env_prefix="KEYBACK_", env_nested_delimiter="__", extra="forbid")

    public_url: str = Field("http://127.0.0.1:8080", description="Where people reach it. Links are built from it only.")
    listen: str = Field("127.0.0.1:8080", description="Address and port of the pages and the API.")
    metrics_listen: str = Field("", description="Address and port for Prometheus; empty: no metrics server.")
    data_dir: Path = Field(Path("keyback-data"), description="For SQLite and the keyring, unless they are elsewhere.")
    database_url: str = Field("", description="`postgresql://…`; empty: SQLite in `data_dir`.")
    keyring: SecretStr | None = Field(None, description="Lines of `id:key`; instead of `keyring_file`.")
    keyring_file: Path | None = Field(None, description="Default: `keyring` in `data_dir`.")
    company: InTwoLanguages = Field(
        InTwoLanguages(en="Example Company", zh_CN="示例公司"), description="The company's name, on pages and in mails."
    )
    helpdesk: InTwoLanguages = Field(
        InTwoLanguages(en="your help desk", zh_CN="公司服务台"),
        description="Whom people may turn to, such as `the IT desk (ext. 4357)`.",
    )
    default_locale: Literal["zh_CN", "en"] = Field("en", description="Language where a person's own is not known.")
    timezone: str = Field("Asia/Shanghai", description="Times on pages and in mails are shown in it (an IANA name).")
    trusted_proxies: list[str] = Field(default_factory=list, description="Addresses whose X-Forwarded-For counts.")
    connections_per_address: int = Field(
        200, ge=10, le=4000, description="At the same time, from one IPv4 address or IPv6 /64; trusted proxies aside."
    )
    valkey_url: str = Field(
        "", description="`valkey://…` for limits shared by several nodes; empty: each counts for itself."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="The least that is logged.")
    demo: bool = Field(False, description="An invented company that shows its passwords; `keyback demo` sets it.")
    mail: Mail = Mail()
    password: Password = Password()
    limits: Limits = Limits()
    policy: PolicyPart = PolicyPart()
    proofs: list[str] = Field(default_factory=list, description="Further proofs that installed packages bring.")
    sms: Sms = Sms()
    im: Im = Im()
    systems: dict[str, System] = Field(default_factory=lambda: {"builtin": System(kind="builtin", title="Keyback")})

    @field_validator("public_url")
    @classmethod
    def _plain_base(cls, value: str) -> str:
        return plain_origin(value)

    @field_validator("listen", "metrics_listen")
    @classmethod
    def _address_and_port(cls, value: str) -> str:
        host, colon, port = value.strip().rpartition(":")
        if value and not (colon and host and port.isascii() and port.isdigit() and int(port) <= 65535):
            raise ValueError("must be address:port, such as 127.0.0.1:8080; 0.0.0.0:8080 listens on every address")
        return value.strip()

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: list[str]) -> list[str]:
        for entry in value:
            try:
                ipaddress.ip_network(entry, strict=False)
            except ValueError:
                raise ValueError(
                    f"{entry!r} is not an address or a network; give one such as 10.0.0.7 or 10.0.0.0/24, not a name"
                ) from None
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError("is no known time zone; give one such as Asia/Shanghai") from None
        return value

    @model_validator(mode="after")
    def _names(self) -> Settings:
        for name in self.systems:
            if not (name.isascii() and name.replace("-", "").replace("_", "").isalnum() and len(name) <= 40):
                raise ValueError(f"system name {name!r} must be letters, digits, - and _, 40 at most")
        return self

    @property
    def secure(self) -> bool:
        return self.public_url.startswith("https://")

    @property
    def database(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir / 'keyback.sqlite'}"

    @property
    def keyring_path(self) -> Path:
        return self.keyring_file or self.data_dir / "keyring"

    def mail_password(self) -> str | None:
        if self.mail.password_file:
            return read_secret(self.mail.password_file)
        return self.mail.password.get_secret_value() if self.mail.password else None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        toml = _TomlFile(settings_cls, toml_file=config_path())
        return init_settings, env_settings, toml


def config_path() -> Path | None:
    """`KEYBACK_CONFIG`, else `keyback.toml` here if there is one."""
    named = os.environ.get("KEYBACK_CONFIG")
    if named:
        return Path(named)
    here = Path("keyback.toml")
    return here if here.exists() else None


def refuse_unsafe(s: Settings) -> None:
    """Refuses what would put people at risk (P1, C8, C4).

    Raises:
        Unsafe: naming the setting.
    """
    host = urlsplit(s.public_url).hostname or ""
    if not s.secure and host not in LOOPBACK:
        raise Unsafe("public_url is plain http and not loopback: links would travel in clear. Use https.")
    if not s.mail.host and not s.demo:
        raise Unsafe("mail.host is not set: without mail nobody can recover. Set mail.host and mail.sender.")
    if s.mail.host and not s.mail.sender:
        raise Unsafe("mail.sender is not set. Give the address that mail comes from.")
    if s.mail.host and s.mail.security == "plain" and s.mail.host not in LOOPBACK:
        raise Unsafe("mail.security is plain and mail.host is not loopback. Use starttls or tls.")
    if s.sms.kind and not any(p.startswith("+") for p in s.sms.prefixes):
        raise Unsafe("sms.prefixes is empty: strangers could have SMS sent anywhere. Name prefixes, such as +86.")
    if s.demo and host not in LOOPBACK:
        raise Unsafe("demo is on and public_url is not loopback: the demo shows passwords. Switch demo off.")
    if s.demo and s.listen.rpartition(":")[0] not in LOOPBACK:
        raise Unsafe("demo is on and listen is not loopback: the demo shows passwords. Switch demo off.")
