"""Providers that people sign in with, and services that verify identities: both speak OpenID Connect."""

from __future__ import annotations

from keyback.application.ports.identity import IdentityService
from keyback.application.ports.sign_in import SignInProvider
from keyback.settings import Settings, Unsafe
from keyback.settings_identity import identity_config
from keyback.settings_providers import config_of


def make_providers(s: Settings) -> dict[str, SignInProvider]:
    """The providers that people sign in with, by name.

    Raises:
        Unsafe: keys that are missing or wrong.
    """
    if not s.providers:
        return {}
    from keyback.outbound.openid.provider import OpenIdProvider  # with joserfc, which most do without

    out: dict[str, SignInProvider] = {}
    for name, section in s.providers.items():
        try:
            out[name] = OpenIdProvider(config_of(name, section))
        except (ValueError, OSError) as e:
            raise Unsafe(f"providers.{name}: {e}") from None
    return out


def make_identity(s: Settings) -> dict[str, IdentityService]:
    """The services that verify identities, by name.

    Raises:
        Unsafe: keys that are missing or wrong.
    """
    if not s.identity:
        return {}
    from keyback.outbound.openid.identity import OpenIdIdentity  # with joserfc, which most do without

    out: dict[str, IdentityService] = {}
    for name, section in s.identity.items():
        try:
            out[name] = OpenIdIdentity(identity_config(name, section))
        except (ValueError, OSError) as e:
            raise Unsafe(f"identity.{name}: {e}") from None
    return out
