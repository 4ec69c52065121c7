"""What enrolment asks of proofs: each knows how a new one of its kind is made and shown to work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

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
