"""What we ask of a chat service in which people link their account by signing in there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable


@runtime_checkable
class ChatSignIn(Protocol):
    """The company's application in a chat service, as it signs people in: a code flow (RFC 6749 section 4.1)."""

    @property
    def title(self) -> Mapping[str, str]:
        """What people call the service, by locale."""
        ...

    def address(self, redirect_uri: str, state: str, verifier: str, *, inside: bool) -> str:
        """Where to send the browser.

        Args:
            state: letters and digits alone, at most 128, since WeCom takes no others.
            verifier: of PKCE (RFC 7636); services that have none ignore it.
            inside: the page is open in the service's own app, which asks nothing more.
        """
        ...

    def is_inside(self, agent: str) -> bool:
        """Whether a browser says that it is the one in the service's app."""
        ...

    async def who(self, code: str, redirect_uri: str, verifier: str) -> str:
        """The id by which messages reach whoever signed in; the code is used up.

        Raises:
            SignInRefused: `code`, `stranger` for somebody outside of the company, or `client` when it refuses us.
            Unavailable: it cannot be reached.
        """
        ...

    async def close(self) -> None: ...
