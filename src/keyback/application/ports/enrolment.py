"""What enrolment asks of proofs: each knows how a new one of its kind is made and shown to work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from keyback.application.ports.proofs import PendingChallenge
from keyback.application.ports.sign_in import Returned, SignedIn, SignInProvider
from keyback.domain.people.factor import Factor


@runtime_checkable
class FindsPasskey(Protocol):
    """Finds the passkey that answers where nobody said who they are."""

    def lookup(self, answer: str) -> bytes | None: ...


@runtime_checkable
class EnrolsApp(Protocol):
    """Makes seeds for authenticator apps (RFC 6238)."""

    def new_seed(self, random: bytes) -> str: ...
    def uri(self, seed: str, name: str, issuer: str) -> str: ...
    def qr_svg(self, uri: str) -> str: ...
    def first_step(self, seed: str, typed: str, now: int) -> int | None: ...


class MadePasskey(Protocol):
    """What is kept of a new passkey."""

    @property
    def data(self) -> Mapping[str, Any]: ...
    @property
    def lookup(self) -> bytes: ...
    @property
    def counter(self) -> int: ...


@runtime_checkable
class EnrolsQuestions(Protocol):
    """Knows its questions, judges answers before they are kept, and hashes them.

    `questions` are English texts by key; a fault names the place, from 0, and a code.
    """

    @property
    def questions(self) -> Mapping[str, str]: ...
    def faults(self, chosen: Sequence[tuple[str, str]], about: Iterable[str] = ...) -> Sequence[tuple[int, str]]: ...
    async def hashed(self, chosen: Sequence[tuple[str, str]]) -> Mapping[str, Any]: ...


@runtime_checkable
class EnrolsPasskey(Protocol):
    """Asks browsers for passkeys and checks what they send (WebAuthn level 3, section 7.1)."""

    def user_handle(self, known: Sequence[Factor], random: bytes) -> bytes: ...
    def registration_options(
        self, challenge: bytes, user_handle: bytes, username: str, name: str, company: str, known: Sequence[Factor]
    ) -> str: ...
    def verify_registration(self, answer: str, challenge: bytes, user_handle: bytes) -> MadePasskey | None: ...


@runtime_checkable
class SignsInElsewhere(Protocol):
    """A proof whose answer is a sign-in with a provider."""

    @property
    def providers(self) -> Mapping[str, SignInProvider]: ...

    def state(self, asked: PendingChallenge, provider: str, kind: str, ref: str) -> str:
        """What goes along with the browser and comes back: which page or challenge, and that it is this one's."""
        ...

    async def start(self, asked: PendingChallenge, provider: str, state: str, redirect_uri: str) -> str:
        """Where to send the browser. Raises as `SignInProvider.authorization_url`."""
        ...

    async def finish(self, asked: PendingChallenge, provider: str, returned: Returned, redirect_uri: str) -> SignedIn:
        """Whom the provider vouches for. Raises as `SignInProvider.redeem`."""
        ...

    def answer(self, asked: PendingChallenge, provider: str, found: SignedIn) -> str:
        """What a page answers with, which only this installation can make, for this question alone."""
        ...

    def subject_digest(self, provider: str, subject: str) -> bytes:
        """The digest by which a bound subject is found, whoever it belongs to."""
        ...
