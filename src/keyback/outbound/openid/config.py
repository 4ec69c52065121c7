"""What an OpenID provider is made of; light to import, since the settings do."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from keyback.domain.secret import Secret

TIMEOUT_S = 10.0  # for each call; a person waits


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """A provider as the settings name it.

    Args:
        issuer: its exact identifier, an https address (http on this machine alone).
        secret: None for a client without one.
        system: the system whose sign-in it is, by its name in the settings.
        mail_domains: see `ports.sign_in.SignInProvider`.
        hosts: where else than at the issuer's own host it may have its endpoints.
        acr: values of `acr` that show a second factor.
        fresh: asks for a new sign-in each time, so that a session left open there is not enough.
        timeout_s: seconds for each call.
    """

    name: str
    title: str
    issuer: str
    client_id: str
    secret: Secret | None = field(default=None, repr=False)
    scopes: tuple[str, ...] = ("openid",)
    system: str = ""
    mail_domains: tuple[str, ...] | None = None
    hosts: frozenset[str] = frozenset()
    acr: frozenset[str] = frozenset()
    fresh: bool = True
    ca_file: Path | None = None
    timeout_s: float = TIMEOUT_S
