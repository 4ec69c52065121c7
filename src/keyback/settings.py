"""Configuration: `keyback.toml`, then `KEYBACK_…` in the environment; secrets by file or environment.

Every name, type and default here is what `docs/settings.md` lists; that page is generated from this file.
"""

from __future__ import annotations

import codecs
import ipaddress
import os
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from keyback.domain.digests import Cryptography
from keyback.settings_bots import Bots
from keyback.settings_bounces import Bounces
from keyback.settings_brand import Brand
from keyback.settings_desk import HelpDesk, Reports
from keyback.settings_file import Unsafe as Unsafe
from keyback.settings_file import read_toml
from keyback.settings_identity import Identity
from keyback.settings_keys import Pkcs11
from keyback.settings_providers import PROVIDER_NAME, Provider
from keyback.settings_sections import (
    Documents,
    Im,
    Limits,
    Mail,
    Password,
    People,
    PolicyPart,
    Sms,
    System,
    Tasks,
    Webhooks,
)
from keyback.settings_siem import Siem
from keyback.settings_telemetry import Telemetry
from keyback.settings_texts import AnyLocale, InLanguages
from keyback.settings_values import Checked, address_and_port
from keyback.settings_values import plain_origin as plain_origin

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1", "[::1]"})


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


class _TomlFile(TomlConfigSettingsSource):
    """The settings file, whatever an editor put before its first line."""

    def _read_file(self, file_path: Path | Traversable) -> dict[str, Any]:
        return read_toml(Path(str(file_path)))


class Settings(Checked, BaseSettings):
    """All settings of a Keyback."""

    model_config = SettingsConfigDict(env_prefix="KEYBACK_", env_nested_delimiter="__", extra="forbid")

    public_url: str = Field(
        "http://127.0.0.1:8080", description="Address where people reach Keyback. Links are built from it alone."
    )
    listen: str = Field("127.0.0.1:8080", description="Address and port of the pages and the API.")
    metrics_listen: str = Field("", description="Address and port for Prometheus. Empty: no metrics server.")
    data_dir: Path = Field(Path("keyback-data"), description="Folder for SQLite and the keyring, unless set elsewhere.")
    database_url: str = Field("", description="`postgresql://…`; empty: SQLite in `data_dir`.")
    keyring: SecretStr | None = Field(None, description="Lines of `id:key`, in place of `keyring_file`.")
    keyring_file: Path | None = Field(None, description="Default: `keyring` in `data_dir`.")
    crypto: Cryptography = Field(
        "standard",
        description="`gm`: SM4, SM3 and PBKDF2-HMAC-SM3 instead of AES, SHA-256 and argon2id. For new installations.",
    )
    pkcs11: Pkcs11 = Pkcs11()
    company: InLanguages = Field(
        InLanguages(en="Example Company", zh_CN="示例公司"), description="The company's name on pages and in emails."
    )
    helpdesk: InLanguages = Field(
        InLanguages(en="your help desk", zh_CN="公司服务台"),
        description="Who people can contact, such as `the IT desk (ext. 4357)`.",
    )
    default_locale: AnyLocale = Field("en", description="Language for people whose own is unknown.")
    timezone: str = Field("Asia/Shanghai", description="Time zone for times on pages and in emails (an IANA name).")
    trusted_proxies: list[str] = Field(
        default_factory=list, description="Addresses of proxies whose X-Forwarded-For is trusted."
    )
    connections_per_address: int = Field(
        200,
        ge=10,
        le=4000,
        description="Simultaneous connections from one IPv4 address or IPv6 /64, trusted proxies excepted.",
    )
    valkey_url: str = Field(
        "", description="`valkey://…` for limits shared by several nodes. Empty: each node counts on its own."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Minimum log level.")
    demo: bool = Field(
        False, description="Demo mode: an invented company that shows its passwords. Set by `keyback demo`."
    )
    brand: Brand = Brand()
    mail: Mail = Mail()
    bounces: Bounces = Bounces()
    password: Password = Password()
    limits: Limits = Limits()
    policy: PolicyPart = PolicyPart()
    people: People = People()
    proofs: list[str] = Field(default_factory=list, description="Proofs from installed packages to enable.")
    proof_options: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="Further keys of these proofs, a table for each."
    )
    sms: Sms = Sms()
    im: Im = Im()
    bots: Bots = Bots()
    tasks: Tasks = Tasks()
    webhooks: Webhooks = Webhooks()
    siem: Siem = Siem()
    telemetry: Telemetry = Telemetry()
    help_desk: HelpDesk = HelpDesk()
    reports: Reports = Reports()
    documents: Documents = Documents()
    providers: dict[str, Provider] = Field(
        default_factory=dict, description="Systems that people can sign in with to verify, a table for each."
    )
    identity: dict[str, Identity] = Field(
        default_factory=dict, description="Services that verify identities for you, a table for each."
    )
    systems: dict[str, System] = Field(default_factory=lambda: {"builtin": System(kind="builtin", title="Keyback")})

    @field_validator("public_url")
    @classmethod
    def _plain_base(cls, value: str) -> str:
        return plain_origin(value)

    @field_validator("listen", "metrics_listen")
    @classmethod
    def _address_and_port(cls, value: str) -> str:
        return address_and_port(value) if value.strip() else ""

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
        for name, system in self.systems.items():
            if system.passwords_in and system.passwords_in not in {*self.systems} - {name}:
                raise ValueError(
                    f"systems.{name}.passwords_in: there is no other system called {system.passwords_in!r}"
                )
        for name, provider in self.providers.items():
            if not PROVIDER_NAME.fullmatch(name):
                raise ValueError(f"provider name {name!r} must be small letters, digits and -, 20 at most")
            if provider.system and provider.system not in self.systems:
                raise ValueError(f"providers.{name}.system: there is no system called {provider.system!r}")
        for name in self.identity:
            if not PROVIDER_NAME.fullmatch(name):
                raise ValueError(f"identity name {name!r} must be small letters, digits and -, 20 at most")
        for name in self.people.sync.systems:
            if name not in self.systems:
                raise ValueError(f"people.sync.systems: there is no system called {name!r}")
        for name in self.people.sync.no_phones_from:
            if name not in self.systems:
                raise ValueError(f"people.sync.no_phones_from: there is no system called {name!r}")
        return self

    @property
    def phone_country(self) -> str | None:
        """Of mobile numbers in files and systems that have no country code; None where numbers are not taken."""
        return self.people.phone_country if self.people.phones and self.sms.kind else None

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

    def pkcs11_pin(self) -> str:
        """Raises OSError, ValueError: its file cannot be read."""
        if self.pkcs11.pin_file:
            return read_secret(self.pkcs11.pin_file)
        return self.pkcs11.pin.get_secret_value() if self.pkcs11.pin else ""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
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
        raise Unsafe("mail.host is not set: without email no one can recover. Set mail.host and mail.sender.")
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
