"""What `keyback check` finds of the providers that people sign in with, and of services that verify identities: what
they say of themselves, and their keys."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Final, Literal

from keyback.application.ports.connectors import Unavailable
from keyback.application.ports.identity import IdentityService
from keyback.application.ports.sign_in import SignInProvider, SignInRefused
from keyback.bootstrap_providers import make_identity, make_providers
from keyback.settings import Settings, Unsafe

PATIENCE_S = 30.0
AWAY: Final = "See its issuer and ca_file, and that this machine may reach it."
# What is wrong with what a provider says, and what to do, by the code that it is refused with.
FAULTS: Final = {
    "issuer": ("it says that it is another issuer", "Set issuer to the one in its /.well-known/openid-configuration."),
    "elsewhere": (
        "its endpoints are on a host that the settings don't name",
        "Add that host to hosts, if it is right.",
    ),
    "pkce": ("it takes no PKCE with S256", "Turn S256 on there."),
    "no_keys": ("it lists no key that signs ID tokens", "See that it signs them with RS256 or ES256, not HS256."),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One provider: `status`, what it says, and what to do about it."""

    name: str
    status: Literal["ok", "bad"]
    detail: str
    next: str = ""


async def look(s: Settings) -> list[Finding]:
    """What every provider of the settings says of itself; signs nobody in, and shows no secret."""
    try:
        providers = make_providers(s)
    except Unsafe as e:
        return [Finding("providers", "bad", str(e), "Correct that section. Keyback doesn't start with it.")]
    return list(await asyncio.gather(*(_tried(p, "providers") for p in providers.values())))


async def look_at_identity(s: Settings) -> list[Finding]:
    """The same of every service that verifies identities."""
    try:
        services = make_identity(s)
    except Unsafe as e:
        return [Finding("identity", "bad", str(e), "Correct that section. Keyback doesn't start with it.")]
    return list(await asyncio.gather(*(_tried(i, "identity") for i in services.values())))


async def _tried(provider: SignInProvider | IdentityService, section: str) -> Finding:
    name, where = f"{section.removesuffix('s')} {provider.name}", f"Keys: {section}.{provider.name}."
    try:
        await asyncio.wait_for(provider.check(), PATIENCE_S)
    except SignInRefused as e:
        words, step = FAULTS.get(e.code, (f"what it says can’t be accepted ({e.code})", "See its documentation."))
        return Finding(name, "bad", words, f"{step} {where}")
    except Unavailable as e:
        return Finding(name, "bad", f"cannot be asked: {e}", f"{AWAY} {where}")
    except TimeoutError:
        return Finding(name, "bad", "does not answer", f"{AWAY} {where}")
    finally:
        await provider.close()
    return Finding(name, "ok", f"{provider.issuer} answers, and its keys can be used")
