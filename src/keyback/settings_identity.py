"""`[identity.NAME]` of `keyback.toml`: services that verify identities, by OpenID Connect."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator

from keyback.domain.operators.identity import Counts
from keyback.locale.languages import SOURCE
from keyback.outbound.openid.config import ProviderConfig
from keyback.outbound.openid.identity_config import MAX_LEVEL, IdentityConfig
from keyback.settings_providers import secret_of
from keyback.settings_sections import Part
from keyback.settings_texts import InLanguages

Word = Annotated[str, Field(min_length=1, max_length=MAX_LEVEL)]
_HOST = re.compile(r"[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)+")


class Identity(Part):
    """A service that verifies people's identities. See the page about identities verified by others."""

    title: InLanguages = Field(description="Name that people know it by.")
    asks: InLanguages = Field(description="What it asks people for, such as “your ID card and a picture of you”.")
    goes: InLanguages = Field(description="Who gets these data, and where.")
    assessment: str = Field(
        min_length=1,
        max_length=300,
        description="Where your company keeps its impact assessment of this (PIPL 55).",
    )
    issuer: str = Field(min_length=1, description="Its issuer, exactly.")
    client_id: str = Field(min_length=1, max_length=500, description="ID under which Keyback is registered there.")
    client_secret: SecretStr | None = Field(None, description="Secret of `client_id`. A file is safer.")
    client_secret_file: Path | None = Field(None, description="File with the secret; overrides `client_secret`.")
    scopes: list[str] = Field(default_factory=lambda: ["openid"], description="Scopes asked for; `openid` always is.")
    name_claims: list[Word] = Field(
        default_factory=lambda: ["name"],
        min_length=1,
        max_length=4,
        description='Claims that make up the verified name, such as `["given_name", "family_name"]`.',
    )
    levels: list[Word] = Field(
        min_length=1,
        max_length=20,
        description="Levels that are enough: values of `acr`, or of `assurance_level` with `trust_frameworks`.",
    )
    trust_frameworks: list[Word] = Field(
        default_factory=list,
        max_length=20,
        description="Trust frameworks whose `verified_claims` are taken. Empty: names are plain claims.",
    )
    counts: Counts = Field(
        "exact",
        description="Which match of names counts without reviewers: `exact`, `relaxed` (case, accents and order don't "
        "matter), or `never`.",
    )
    by_phone: bool = Field(
        True,
        description="Whoever has a person's phone gets into their account there, as by a text message: then it counts "
        "once with codes by SMS. `false`: it looks at the person each time.",
    )
    hosts: list[str] = Field(
        default_factory=list, description="Hosts besides the issuer's own where it may have its endpoints."
    )
    ca_file: Path | None = Field(None, description="PEM file of certificate authorities to trust instead.")
    timeout_s: float = Field(10.0, gt=0, le=60, description="Seconds for each call to it.")

    @field_validator("hosts")
    @classmethod
    def _names(cls, value: list[str]) -> list[str]:
        for name in value:
            if not _HOST.fullmatch(name):
                raise ValueError(f"{name!r} is not a name such as example.com")
        return [n.lower() for n in value]

    @field_validator("levels")
    @classmethod
    def _no_spaces(cls, value: list[str]) -> list[str]:
        for level in value:
            if not level.isprintable() or " " in level:
                raise ValueError(f"{level!r} is not one value: they have no spaces")
        return value


def identity_config(name: str, section: Identity) -> IdentityConfig:
    """What a service is made of.

    Raises:
        ValueError: a secret file that is empty.
        OSError: a file cannot be read.
    """
    secret = secret_of(section)
    return IdentityConfig(
        provider=ProviderConfig(
            name=name,
            title=section.title.of(SOURCE),
            issuer=section.issuer,
            client_id=section.client_id,
            secret=secret,
            scopes=tuple(section.scopes),
            hosts=frozenset(section.hosts),
            fresh=True,
            ca_file=section.ca_file,
            timeout_s=section.timeout_s,
        ),
        title=section.title.texts(),
        asks=section.asks.texts(),
        goes=section.goes.texts(),
        names=tuple(section.name_claims),
        levels=tuple(section.levels),
        frameworks=tuple(section.trust_frameworks),
        counts=section.counts,
        by_phone=section.by_phone,
    )
