"""`[providers.NAME]` of `keyback.toml`: systems that people sign in with by OpenID Connect."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

from pydantic import Field, SecretStr, field_validator

from keyback.domain.secret import Secret
from keyback.outbound.openid.config import ProviderConfig
from keyback.settings_sections import Part, Text

PROVIDER_NAME: Final = re.compile(r"[a-z][a-z0-9-]{0,19}")
Kind = Literal["oidc", "salesforce", "entra", "zoho"]


@dataclass(frozen=True, slots=True)
class Usual:
    """What a kind of provider has where the settings say nothing."""

    issuer: str = ""


KINDS: Final[dict[str, Usual]] = {
    "oidc": Usual(),
    "salesforce": Usual(),  # one for each organization: its My Domain
    "entra": Usual(),  # one for each tenant
    "zoho": Usual("https://accounts.zoho.com"),
}
MANY_TENANTS: Final = (
    "/common/", "/organizations/", "/consumers/", "{tenantid}", "//login.salesforce.com/", "//test.salesforce.com/",
)  # fmt: skip


class Provider(Part):
    """A system that people sign in with to verify. See the page about signing in with the CRM."""

    kind: Kind = Field("oidc", description="`salesforce`, `entra`, `zoho`, or `oidc` for any other.")
    title: Text = Field(description="Name that people know it by.")
    issuer: str = Field("", description="Its issuer, exactly. Default for `zoho`: `https://accounts.zoho.com`.")
    client_id: str = Field(min_length=1, max_length=500, description="ID under which Keyback is registered there.")
    client_secret: SecretStr | None = Field(None, description="Secret of `client_id`. A file is safer.")
    client_secret_file: Path | None = Field(None, description="File with the secret; overrides `client_secret`.")
    scopes: list[str] = Field(default_factory=lambda: ["openid"], description="Scopes asked for; `openid` always is.")
    system: str = Field(
        description="The system whose sign-in this is, by its name below `systems`: never evidence for an account "
        'there. `""`: none.'
    )
    mail_domains: list[str] | None = Field(
        None,
        description="Mail domains whose mailboxes this provider runs, or by which its own passwords are reset: such a "
        "mailbox and this sign-in count once. Default: any mailbox.",
    )
    hosts: list[str] = Field(
        default_factory=list, description="Hosts besides the issuer's own where it may have its endpoints."
    )
    second_factor_acr: list[str] = Field(
        default_factory=list,
        description="Values of `acr` that show a second factor, besides `mfa` in `amr`.",
    )
    fresh_sign_in: bool = Field(
        True,
        description="Asks for a new sign-in each time (`prompt=login`, `max_age=0`): an open session isn't enough.",
    )
    ca_file: Path | None = Field(None, description="PEM file of certificate authorities to trust instead.")
    timeout_s: float = Field(10.0, gt=0, le=60, description="Seconds for each call to it.")

    @field_validator("issuer")
    @classmethod
    def _one_tenant(cls, value: str) -> str:
        if any(m in f"{value}/" for m in MANY_TENANTS):
            raise ValueError("must name one tenant; one that serves every tenant says nothing about your company")
        return value

    @field_validator("hosts", "mail_domains")
    @classmethod
    def _names(cls, value: list[str] | None) -> list[str] | None:
        for name in value or ():
            if not re.fullmatch(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+", name):
                raise ValueError(f"{name!r} is not a name such as example.com")
        return [n.lower() for n in value] if value is not None else None


class HasSecret(Protocol):
    """A section with the secret of a client, or a file that has it."""

    client_secret: SecretStr | None
    client_secret_file: Path | None


def secret_of(section: HasSecret) -> Secret | None:
    """The client's secret; None for a client without one.

    Raises:
        ValueError: a secret file that is empty.
        OSError: it cannot be read.
    """
    if section.client_secret_file:
        secret = section.client_secret_file.read_text("utf-8-sig").strip()
        if not secret:
            raise ValueError("client_secret_file is empty")
        return Secret(secret)
    given = section.client_secret.get_secret_value() if section.client_secret else ""
    return Secret(given) if given else None


def config_of(name: str, section: Provider) -> ProviderConfig:
    """What a provider is made of.

    Raises:
        ValueError: no issuer, or a secret file that is empty.
        OSError: a file cannot be read.
    """
    issuer = section.issuer or KINDS[section.kind].issuer
    if not issuer:
        raise ValueError("issuer is missing")
    return ProviderConfig(
        name=name,
        title=section.title,
        issuer=issuer,
        client_id=section.client_id,
        secret=secret_of(section),
        scopes=tuple(section.scopes),
        system=section.system,
        mail_domains=None if section.mail_domains is None else tuple(section.mail_domains),
        hosts=frozenset(section.hosts),
        acr=frozenset(section.second_factor_acr),
        fresh=section.fresh_sign_in,
        ca_file=section.ca_file,
        timeout_s=section.timeout_s,
    )
