"""One OpenID provider: what it says of itself, the code flow with PKCE, and its keys.

Only hosts that the settings name are ever called or sent to: metadata cannot lead us, or a person's browser, anywhere
else. Answers are bounded in time and size, keys are fetched again once a minute at most, whatever comes in.
Sources: OpenID Connect Discovery 1.0, RFC 6749, RFC 7636, RFC 9207, RFC 9700.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final, TypeVar
from urllib.parse import quote, urlencode, urlsplit

from keyback.application.ports.sign_in import Returned, SignedIn, SignInRefused
from keyback.domain.secret import Secret
from keyback.outbound.http import Endpoint, MaybeDone, NotDone, new_client
from keyback.outbound.openid.config import ProviderConfig
from keyback.outbound.openid.id_token import ALGORITHMS, Expected, Key, KeyUnknown, claims_of, read, usable_keys

KEPT_S = 3600.0  # how long metadata and keys are believed
AGAIN_S = 60.0  # between two fetches of keys, however many tokens name others
MAX_CODE = 4096
WELL_KNOWN: Final = ".well-known/openid-configuration"
T = TypeVar("T")
_Reader = Callable[[str, Sequence[Key], Expected, str, float], T]


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a provider says of itself, checked."""

    authorize: str
    token: str
    keys: str
    basic: bool
    post: bool
    sends_iss: bool
    algorithms: frozenset[str]


class OpenIdProvider:
    """A provider that people sign in with.

    Args:
        clock: seconds since 1970.
        ticks: monotonic seconds, for what is kept.

    Raises:
        ValueError: the issuer is no safe address.
    """

    def __init__(
        self,
        config: ProviderConfig,
        *,
        clock: Callable[[], float] = time.time,
        ticks: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config, self._clock, self._ticks = config, clock, ticks
        self.name, self.title, self.issuer = config.name, config.title, config.issuer
        self.system, self.mail_domains = config.system, config.mail_domains
        self._client = new_client(config.ca_file)
        self._endpoints: dict[str, Endpoint] = {}
        self._lock = asyncio.Lock()
        self._about: Metadata | None = None
        self._about_until = 0.0
        self._known: list[Key] | None = None
        self._known_at = 0.0
        self._endpoint(self.issuer)

    # ── the flow ────────────────────────────────────────────────────────────

    async def authorization_url(
        self, redirect_uri: str, state: str, nonce: str, verifier: str, more: Mapping[str, str] = MappingProxyType({})
    ) -> str:
        """Where to send the browser (RFC 6749 section 4.1.1, RFC 7636 section 4.3). `more`: further parameters."""
        about = await self.metadata()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        query = {
            "response_type": "code",
            "client_id": self._config.client_id,
            "redirect_uri": redirect_uri,
            "scope": " ".join(dict.fromkeys(["openid", *self._config.scopes])),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        if self._config.fresh:  # two words for one wish: providers differ in which of them they know
            query |= {"prompt": "login", "max_age": "0"}
        query |= more
        joint = "&" if urlsplit(about.authorize).query else "?"
        return f"{about.authorize}{joint}{urlencode(query, quote_via=quote)}"

    async def redeem(self, returned: Returned, redirect_uri: str, nonce: str, verifier: str, since: float) -> SignedIn:
        """Whom the provider vouches for.

        Args:
            since: seconds since 1970; a sign-in before it is not a new one.

        Raises:
            SignInRefused: it said no, or what it sent does not fit.
            Unavailable: it cannot be reached.
        """
        expected = replace(self.expects(), acr=self._config.acr, since=since if self._config.fresh else None)
        return await self._read(read, returned, redirect_uri, nonce, verifier, expected)

    def expects(self) -> Expected:
        """What a token of this provider has to fit, whatever it is for."""
        return Expected(self.issuer, self._config.client_id)

    async def claims(
        self, returned: Returned, redirect_uri: str, nonce: str, verifier: str, expected: Expected
    ) -> Mapping[str, Any]:
        """What the provider says in its signed token. Raises as `redeem`."""
        return await self._read(claims_of, returned, redirect_uri, nonce, verifier, expected)

    async def _read(
        self, how: _Reader[T], returned: Returned, redirect_uri: str, nonce: str, verifier: str, expected: Expected
    ) -> T:
        about = await self.metadata()
        if (returned.iss or about.sends_iss) and returned.iss != self.issuer:
            raise SignInRefused("iss_mixed_up")  # RFC 9207 section 2.4: errors carry it too
        if returned.error or not returned.code:
            raise SignInRefused("denied" if returned.error == "access_denied" else "provider_error")
        if len(returned.code) > MAX_CODE:
            raise SignInRefused("code")
        token = await self._token(about, returned.code, redirect_uri, verifier)
        expected = replace(expected, algorithms=about.algorithms)
        try:
            return how(token, await self._keys(about), expected, nonce, self._clock())
        except KeyUnknown:
            return how(token, await self._keys(about, again=True), expected, nonce, self._clock())

    def _pair(self) -> str:
        """ID and secret as RFC 6749 section 2.3.1 wants them in a header: each form-encoded first."""
        secret = self._config.secret.reveal() if self._config.secret is not None else ""
        return f"{quote(self._config.client_id, safe='')}:{quote(secret, safe='')}"

    def _escapes(self) -> bool:
        """Whether that encoding changes anything: some providers, such as LemonLDAP::NG 2.16, don't undo it."""
        return "%" in self._pair()

    async def _token(self, about: Metadata, code: str, redirect_uri: str, verifier: str) -> str:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": redirect_uri,
            "code_verifier": verifier,
        }
        headers: dict[str, Secret] = {}
        if self._config.secret is None:
            form["client_id"] = self._config.client_id
        elif about.basic and not (about.post and self._escapes()):
            headers["Authorization"] = Secret("Basic " + base64.b64encode(self._pair().encode()).decode())
        else:
            form |= {"client_id": self._config.client_id, "client_secret": self._config.secret.reveal()}
        reply = await self._endpoint(about.token).call("POST", "", form=form, headers=headers)
        said = reply.any_json()
        if reply.status != 200 or not isinstance(said, dict):
            code_said = said.get("error") if isinstance(said, dict) else None
            raise SignInRefused("client" if code_said in ("invalid_client", "unauthorized_client") else "code")
        token = said.get("id_token")
        if not isinstance(token, str):
            raise SignInRefused("token")
        return token

    # ── what it says of itself ──────────────────────────────────────────────

    async def metadata(self) -> Metadata:
        """What the provider says of itself, fetched once an hour.

        Raises:
            SignInRefused: what it says doesn't match the settings.
            Unavailable: it cannot be reached.
        """
        async with self._alone():
            if self._about is None or self._ticks() >= self._about_until:
                self._about = self._checked(await self._get(self._endpoint(self.issuer), WELL_KNOWN))
                self._about_until = self._ticks() + KEPT_S
            return self._about

    def _checked(self, said: Mapping[str, Any]) -> Metadata:
        if said.get("issuer") != self.issuer:  # Discovery 1.0 section 4.3
            raise SignInRefused("issuer")
        places = [said.get(n) for n in ("authorization_endpoint", "token_endpoint", "jwks_uri")]
        if not all(isinstance(p, str) and self._may_go(p) for p in places):
            raise SignInRefused("elsewhere")
        ways = _words(said, "token_endpoint_auth_methods_supported") or {"client_secret_basic"}
        signs = _words(said, "id_token_signing_alg_values_supported") or ALGORITHMS
        pkce = _words(said, "code_challenge_methods_supported")
        if pkce and "S256" not in pkce:
            raise SignInRefused("pkce")
        return Metadata(
            str(places[0]),
            str(places[1]),
            str(places[2]),
            basic="client_secret_basic" in ways,
            post="client_secret_post" in ways,
            sends_iss=said.get("authorization_response_iss_parameter_supported") is True,
            algorithms=frozenset(signs) & ALGORITHMS,
        )

    def _may_go(self, address: str) -> bool:
        """Whether an address that the provider names is one that the settings name."""
        try:
            there, home = urlsplit(address), urlsplit(self.issuer)
            same_port = there.port == home.port
        except ValueError:
            return False
        if there.username or there.fragment or there.scheme != home.scheme or not address.isprintable():
            return False
        host = there.hostname or ""
        return (host == home.hostname and same_port) or (host in self._config.hosts and there.port in (None, 443))

    async def _keys(self, about: Metadata, *, again: bool = False) -> list[Key]:
        async with self._alone():
            at = self._ticks()
            if self._known is None or at >= self._known_at + (AGAIN_S if again else KEPT_S):
                self._known_at = at  # before the fetch: those who come while it fails do with the old ones
                self._known = usable_keys(await self._get(self._endpoint(about.keys), ""))
            return self._known

    @contextlib.asynccontextmanager
    async def _alone(self) -> AsyncIterator[None]:
        """One fetch for all who wait for it, and nobody waits long for a slow one of somebody else's."""
        try:
            async with asyncio.timeout(self._config.timeout_s):
                await self._lock.acquire()
        except TimeoutError:
            raise MaybeDone("unavailable", "others wait for it too") from None
        try:
            yield
        finally:
            self._lock.release()

    async def _get(self, endpoint: Endpoint, path: str) -> dict[str, Any]:
        reply = await endpoint.call("GET", path, repeatable=True)
        if reply.status != 200:
            raise NotDone("unavailable", f"HTTP {reply.status}", status=reply.status)
        said = reply.any_json()
        if not isinstance(said, dict):
            raise MaybeDone("unavailable", "the answer is not a JSON object")
        return said

    def _endpoint(self, address: str) -> Endpoint:
        if address not in self._endpoints:
            self._endpoints[address] = Endpoint(
                address, self._client, timeout=self._config.timeout_s, clock=self._ticks
            )
        return self._endpoints[address]

    async def check(self) -> None:
        """Discovery and keys, without signing anybody in.

        Raises:
            SignInRefused: what it says doesn't match the settings, or no key of it can be used (`no_keys`).
            Unavailable: it cannot be reached.
        """
        about = await self.metadata()
        if not about.algorithms or not await self._keys(about):
            raise SignInRefused("no_keys")

    async def close(self) -> None:
        """Closes its connections."""
        await self._client.aclose()


def _words(said: Mapping[str, Any], name: str) -> frozenset[str]:
    given = said.get(name)
    return frozenset(w for w in given if isinstance(w, str)) if isinstance(given, list) else frozenset()
