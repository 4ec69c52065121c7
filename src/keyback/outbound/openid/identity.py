"""Somebody who verifies identities, by OpenID Connect: the same code flow, and what its signed answer has to say of a
name and of how well it was verified.

Only what is signed counts: claims are read out of the ID token and asked for there, never out of UserInfo. Names are
handed on to be compared; nothing else is looked at.
Sources: OpenID Connect Core 1.0 sections 3.1.2.1, 3.1.3.7 and 5.5; OpenID Connect for Identity Assurance 1.0 and its
schema of verified claims.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from keyback.application.ports.identity import Verified
from keyback.application.ports.sign_in import Returned, SignInRefused
from keyback.domain.people.names import MAX_VERIFIED
from keyback.outbound.openid.identity_config import IdentityConfig
from keyback.outbound.openid.provider import OpenIdProvider

MAX_SETS = 20  # of verified claims in one answer


class OpenIdIdentity:
    """The service. `clock` and errors as `OpenIdProvider`."""

    def __init__(self, config: IdentityConfig, *, clock: Callable[[], float] | None = None) -> None:
        self._config = config
        self._provider = OpenIdProvider(config.provider, **({"clock": clock} if clock else {}))
        self.name, self.issuer = config.provider.name, config.provider.issuer
        self.title, self.asks, self.goes = config.title, config.asks, config.goes
        self.counts, self.by_phone = config.counts, config.by_phone

    async def authorization_url(self, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Where to send the browser; asks for name and level in the ID token."""
        return await self._provider.authorization_url(redirect_uri, state, nonce, verifier, self._asked())

    def _asked(self) -> Mapping[str, str]:
        c = self._config
        names: dict[str, Any] = {n: {"essential": True} for n in c.names}
        if not c.frameworks:
            wanted = {**names, "acr": {"essential": True, "values": list(c.levels)}}
            return {"acr_values": " ".join(c.levels), "claims": _json({"id_token": wanted})}
        shown = {
            "trust_framework": {"essential": True, "values": list(c.frameworks)},
            "assurance_level": {"essential": True, "values": list(c.levels)},
        }
        return {"claims": _json({"id_token": {"verified_claims": {"verification": shown, "claims": names}}})}

    async def redeem(self, returned: Returned, redirect_uri: str, nonce: str, verifier: str, since: float) -> Verified:
        """Whom it verified. Raises as `OpenIdProvider.redeem`, and by what the token says too little of: `level`,
        `level_missing`, `name`, `trust_framework`, `verified_claims`."""
        expected = replace(self._provider.expects(), since=since, says_when=True)
        claims = await self._provider.claims(returned, redirect_uri, nonce, verifier, expected)
        subject = str(claims["sub"])
        if not self._config.frameworks:
            level = self._level(claims.get("acr"))
            return Verified(subject, self._names(claims), level)
        found: SignInRefused | None = None
        for given in _sets(claims.get("verified_claims")):
            try:
                return Verified(subject, *self._of_set(given))
            except SignInRefused as e:
                found = e
        raise found or SignInRefused("verified_claims")

    def _of_set(self, given: Mapping[str, Any]) -> tuple[tuple[str, ...], str]:
        shown, claims = given.get("verification"), given.get("claims")
        if not isinstance(shown, dict) or not isinstance(claims, dict):
            raise SignInRefused("verified_claims")
        if shown.get("trust_framework") not in self._config.frameworks:
            raise SignInRefused("trust_framework")
        level = self._level(shown.get("assurance_level"))
        return self._names(claims), level

    def _level(self, said: object) -> str:
        if said is None:
            raise SignInRefused("level_missing")
        if not isinstance(said, str) or said not in self._config.levels:
            raise SignInRefused("level")
        return said

    def _names(self, claims: Mapping[str, Any]) -> tuple[str, ...]:
        found = tuple(claims.get(n) for n in self._config.names)
        for part in found:
            if not isinstance(part, str) or not part.strip() or not part.isprintable():
                raise SignInRefused("name")
        names = tuple(str(p) for p in found)
        if sum(map(len, names)) > MAX_VERIFIED:
            raise SignInRefused("name")
        return names

    async def check(self) -> None:
        """As `OpenIdProvider.check`."""
        await self._provider.check()

    async def close(self) -> None:
        """Closes its connections."""
        await self._provider.close()


def _sets(given: object) -> Iterator[Mapping[str, Any]]:
    """Sets of verified claims: one, or a list of them."""
    for one in given[:MAX_SETS] if isinstance(given, list) else [given]:
        if isinstance(one, dict):
            yield one


def _json(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)
