"""What a service that verifies identities is made of; light to import, since the settings do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from keyback.domain.operators.identity import Counts
from keyback.outbound.openid.config import ProviderConfig

MAX_LEVEL = 80


@dataclass(frozen=True, slots=True)
class IdentityConfig:
    """A service as the settings name it.

    Args:
        provider: the OpenID provider that it is.
        title, asks, goes: as in `ports.identity.IdentityService`.
        names: claims that make up the verified name.
        levels: values of `acr`, or of `assurance_level` of verified claims, that are enough.
        frameworks: trust frameworks whose verified claims are taken; empty: names are plain claims of the token.
        by_phone: as in `ports.identity.IdentityService`.
        counts: which fit of names counts without reviewers.
    """

    provider: ProviderConfig
    title: Mapping[str, str]
    asks: Mapping[str, str]
    goes: Mapping[str, str]
    names: tuple[str, ...]
    levels: tuple[str, ...]
    frameworks: tuple[str, ...] = ()
    counts: Counts = "exact"
    by_phone: bool = True
