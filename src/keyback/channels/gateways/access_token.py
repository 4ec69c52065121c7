"""What applications in chat services have in common: an access token, fetched when needed, kept until shortly before
its end, fetched anew once when one is refused."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, ClassVar, Generic, Self, TypeVar
from urllib.parse import quote, urlencode

from keyback.application.ports.connectors import Unavailable
from keyback.application.ports.sign_in import SignInRefused
from keyback.channels.gateways.base import GatewayAbout, GatewayOptions
from keyback.domain.secret import Secret
from keyback.outbound.http import Endpoint, NotDone

EARLY_S = 300.0  # the services hand out a new one in the last minutes, and both then work
QUIET_S = 30.0  # after our credentials were turned away, so that we do not lock them by trying on
R = TypeVar("R")
_PERSON = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,127}")
OptionsT = TypeVar("OptionsT", bound=GatewayOptions)


class AccessToken:
    """One token that all messages share.

    Args:
        fetch: gets a new one and its life in seconds; raises `NotDone("auth_expired")` when it is refused.
        clock: monotonic seconds.
    """

    def __init__(
        self, fetch: Callable[[], Awaitable[tuple[Secret, float]]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._fetch, self._clock = fetch, clock
        self._token: Secret | None = None
        self._until = self._quiet_until = 0.0
        self._failures = 0
        self._fetching = asyncio.Lock()

    async def use(self, call: Callable[[Secret], Awaitable[R | None]]) -> R:
        """The answer of `call`, which gives None when the token was refused; then once more with a new token.

        Raises:
            NotDone: our credentials are refused, or a fresh token is.
        """
        for _ in range(2):
            token = await self._get()
            answer = await call(token)
            if answer is not None:
                return answer
            if self._token is token:
                self._token = None
        raise NotDone("auth_expired", "a fresh access token is refused")

    async def check(self) -> None:
        """Gets one. Raises `NotDone` or `MaybeDone` when there is none to get."""
        await self._get()

    async def _get(self) -> Secret:
        failures = self._failures
        async with self._fetching:
            now = self._clock()
            if self._token is not None and now < self._until:
                return self._token
            if now < self._quiet_until:
                raise NotDone("auth_expired", "our credentials were turned away a moment ago")
            if self._failures != failures:  # the one before us waited in vain; so would we
                raise NotDone("unavailable", "no access token a moment ago")
            try:
                token, life = await self._fetch()
            except Unavailable as e:
                self._failures += 1
                if e.code == "auth_expired":
                    self._quiet_until = now + QUIET_S
                raise
            self._token, self._until = token, now + max(life - EARLY_S, life / 2)
            return token


def web_address(origin: str, path: str, query: Mapping[str, str]) -> str:
    """A page of a service that a browser is sent to."""
    return f"{origin.rstrip('/')}/{path}?{urlencode(query, quote_via=quote, safe='')}"


def code_challenge(verifier: str) -> str:
    """RFC 7636 section 4.2."""
    return base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()


def person_id(said: object) -> str:
    """Raises `SignInRefused`: the service named nobody of the company, or not in letters that an id is made of."""
    if not isinstance(said, str) or not _PERSON.fullmatch(said):
        raise SignInRefused("stranger")
    return said


class ChatApplication(ABC, Generic[OptionsT]):
    """A company's own application in a chat service, which sends to people by the ids that they have there.

    Args:
        options: the section's keys.
        secret: the application's.
    """

    Options: ClassVar[type[GatewayOptions]]
    about: ClassVar[GatewayAbout]

    @property
    def title(self) -> Mapping[str, str]:
        """What people call the service, by locale."""
        return self.about.title

    def __init__(self, options: OptionsT, secret: Secret) -> None:
        self._o, self._secret = options, secret
        self._http = self._endpoint(options.url)
        self._token = AccessToken(self._fetch)

    @classmethod
    def from_options(cls, options: Mapping[str, Any], clock: Callable[[], int]) -> Self:
        """From a section of `keyback.toml`. Raises `ValueError` for missing, unknown or unsafe values."""
        o: Any = cls.Options.model_validate(options)
        return cls(o, o.read_secret())

    async def check(self) -> None:
        """Raises `Unavailable` when our credentials get no access token."""
        await self._token.check()

    async def close(self) -> None:
        await self._http.close()

    def _endpoint(self, url: str) -> Endpoint:
        return Endpoint(url, ca_file=self._o.ca_file, timeout=self._o.timeout_s)

    @abstractmethod
    async def _fetch(self) -> tuple[Secret, float]:
        """A new access token and its life in seconds."""
