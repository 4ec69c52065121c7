"""What we ask of a provider that people sign in with: where to send their browser, and whom it says came back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Protocol

NOT_FRESH: Final = "not_fresh"  # the provider let a session that was open pass for a sign-in


class SignInRefused(Exception):
    """The provider or what it sent was refused; `code` is short and stable, and holds nothing of what was sent."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Whom a provider vouches for.

    Args:
        subject: its permanent id for the person, never an address or a name.
        second_factor: the signed token says that a second factor was used.
    """

    subject: str = field(repr=False)
    second_factor: bool = False


@dataclass(frozen=True, slots=True)
class Returned:
    """What a browser brought back from a provider (RFC 6749 section 4.1.2, RFC 9207)."""

    code: str = field(default="", repr=False)
    error: str = ""
    iss: str = ""


class SignInProvider(Protocol):
    """A system that people sign in to by OpenID Connect."""

    @property
    def name(self) -> str:
        """As in the settings."""
        ...

    @property
    def title(self) -> str: ...

    @property
    def issuer(self) -> str: ...

    @property
    def system(self) -> str:
        """The system whose sign-in this is, by its name in the settings; empty for none that Keyback serves."""
        ...

    @property
    def mail_domains(self) -> tuple[str, ...] | None:
        """Where whoever reads a mailbox may get into the provider's account too; None: wherever a mailbox is."""
        ...

    async def authorization_url(self, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Where to send the browser. Raises `SignInRefused` or `ports.connectors.Unavailable`."""
        ...

    async def redeem(self, returned: Returned, redirect_uri: str, nonce: str, verifier: str, since: float) -> SignedIn:
        """Whom the provider vouches for, once everything it sent was checked. Raises as `authorization_url`.

        `since`: seconds since 1970, when the question was put; who signed in before did so for something else.
        """
        ...

    async def check(self) -> None:
        """Asks for what it says of itself and for its keys; signs nobody in. Raises as `authorization_url`."""
        ...

    async def close(self) -> None: ...
