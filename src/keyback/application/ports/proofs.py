"""What we ask of a proof: targets, questions and a verdict."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

from keyback.domain.challenges.challenge import Challenge
from keyback.domain.people.factor import Factor, SavedCode
from keyback.domain.people.person import Contact, Person
from keyback.domain.policy.rules import ProofClass
from keyback.domain.secret import Secret


class FreshCode(Protocol):
    """A saved code that was just made: `text` is shown once, `secret` is hashed, `slot` finds the row."""

    @property
    def text(self) -> str: ...
    @property
    def slot(self) -> str: ...
    @property
    def secret(self) -> Secret: ...


@runtime_checkable
class MakesCodes(Protocol):
    """A proof by saved codes: it makes new ones, at enrolment and in place of one that was used (N-R3)."""

    def new_codes(
        self, random: Callable[[int], bytes], count: int = ..., taken: Collection[str] = ...
    ) -> Sequence[FreshCode]: ...
    async def hashed(self, secret: Secret) -> str: ...


@dataclass(frozen=True, slots=True)
class Enrolments:
    """A person with what they have enrolled that may recover now: confirmed contacts, active factors, all cooled in."""

    person: Person
    contacts: tuple[Contact, ...] = ()
    factors: tuple[Factor, ...] = ()
    codes: tuple[SavedCode, ...] = ()  # of the factors; used ones too


@dataclass(frozen=True, slots=True)
class Target:
    """What one question is put to.

    Args:
        id: of the contact or factor.
        channel: identity under which evidence counts, such as `phone:+86…` or `totp:ID`; never twice on one case.
        hint: masked words that may be shown to somebody who has proven something already, such as `•••• 34`.
    """

    id: str
    channel: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class PendingChallenge:
    """A live question with all that its answer is judged by.

    Args:
        key: what its code and link are derived from (`key_purpose`).
    """

    challenge: Challenge
    holder: Enrolments
    target: Target
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a proof says of an answer.

    Args:
        right: the question that was answered rightly; None when none was.
        code: `ok`, `wrong`, `not_a_code`, `replayed`, `spent` … short and stable.
        counter: TOTP step or signature count to store; the answer counts only if it is higher than all before.
        spent: id of the saved code that this uses up.
        two_factors: the proof showed possession and knowledge at once (user verification).
        suspicious: worth an audit event, such as a signature count that went down (W-4).
    """

    right: PendingChallenge | None = None
    code: str = "wrong"
    counter: int | None = None
    spent: str = ""
    two_factors: bool = False
    suspicious: str = ""


class Proof(Protocol):
    """A way to prove who you are. Sees neither HTTP nor SQL; what it returns is applied in one transaction."""

    @property
    def name(self) -> str:
        """As in the policy, the API and the audit log, such as `totp`."""
        ...

    @property
    def kind(self) -> ProofClass: ...
    @property
    def carrier(self) -> Literal["", "mail", "sms", "im"]:
        """What carries the question to the person; empty where nothing has to travel."""
        ...

    @property
    def life_ms(self) -> int:
        """How long a question waits for its answer."""
        ...

    def targets(self, holder: Enrolments) -> Sequence[Target]:
        """What of this person's it can be put to; empty where nothing fitting is enrolled."""
        ...

    def form(self, asked: Sequence[PendingChallenge], locale: str) -> Mapping[str, object]:
        """What the page needs beyond a field for the answer, such as a WebAuthn challenge or a question's text. With
        nothing asked it gives something of the same shape, so that a page tells nothing about who is meant."""
        ...

    async def verify(self, asked: Sequence[PendingChallenge], answer: str, now: int) -> Verdict:
        """Judges an answer to any of these questions; does the same work where nothing was asked."""
        ...
