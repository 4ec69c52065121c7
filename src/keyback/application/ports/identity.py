"""What we ask of whoever verifies identities for us, and of storage about what they answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

from keyback.application.ports.sign_in import Returned
from keyback.domain.operators.identity import Counts
from keyback.domain.people.names import Fit

CheckState = Literal["consented", "asking", "waiting", "agreed", "refused", "failed", "withdrawn"]


@dataclass(frozen=True, slots=True)
class Verified:
    """What a service says in its signed answer. Names are compared and then forgotten.

    Args:
        subject: its permanent id for the person.
        names: the verified name, or its parts.
        level: the level of assurance, one that the settings name.
    """

    subject: str = field(repr=False)
    names: tuple[str, ...] = field(repr=False)
    level: str


@dataclass(frozen=True, slots=True)
class IdentityCheck:
    """One identity that somebody else is asked to verify, for one page of one case. Instants are ms; 0 for not yet.

    Args:
        provider: its name in the settings.
        by_phone: whoever has the person's phone gets into their account there.
        consent: the version of the text that was agreed to, at `created_at`.
        fits: how the verified name fits the one on record.
        level: of assurance, as the service calls it.
        reason: why it failed, a code.
        seen_before: the same identity was verified for another person.
        namesake: somebody else on record has the same name.
        subject: digest of the service's id for the person, with a key.
        name_digest: of the verified name, with a key; only while reviewers look at it.
    """

    id: str
    case_id: str
    person_id: str
    handle: str
    provider: str
    consent: str
    by_phone: bool = True
    state: CheckState = "consented"
    created_at: int = 0
    answered_at: int = 0
    decided_at: int = 0
    fits: Fit | Literal[""] = ""
    level: str = ""
    reason: str = ""
    seen_before: bool = False
    namesake: bool = False
    subject: bytes | None = field(default=None, repr=False)
    name_digest: bytes | None = field(default=None, repr=False)


class IdentityChecks(Protocol):
    def add(self, check: IdentityCheck) -> None: ...
    def get(self, check_id: str, *, lock: bool = False) -> IdentityCheck | None: ...
    def save(self, check: IdentityCheck) -> None:
        """Callers have locked it."""
        ...

    def of_page(self, handle: str) -> IdentityCheck | None:
        """The newest that this page began, with whomever."""
        ...

    def of_case(self, case_id: str) -> Sequence[IdentityCheck]:
        """All of a case, oldest first."""
        ...

    def used_by_another(self, subject: bytes, person_id: str) -> bool:
        """Whether this identity was verified for another person."""
        ...

    def has_namesake(self, person_id: str, name: str) -> bool:
        """Whether somebody else on record has exactly this name."""
        ...

    def forget_names(self, before: int) -> int:
        """Forgets what is left of verified names that nobody looks at any more: answers from before this (ms), and
        those of recoveries that have ended."""
        ...

    def purge(self, before: int) -> int: ...


class IdentityService(Protocol):
    """Somebody who verifies identities, by OpenID Connect.

    `title`, `asks` and `goes` are texts by locale: its name, what it asks people for, and where that goes.
    """

    @property
    def name(self) -> str:
        """As in the settings."""
        ...

    @property
    def title(self) -> Mapping[str, str]: ...
    @property
    def asks(self) -> Mapping[str, str]: ...
    @property
    def goes(self) -> Mapping[str, str]: ...
    @property
    def issuer(self) -> str: ...
    @property
    def by_phone(self) -> bool:
        """Whether a text message is enough to sign in there: then it counts once with the person's phone."""
        ...

    @property
    def counts(self) -> Counts:
        """Which fit of names counts without reviewers."""
        ...

    async def authorization_url(self, redirect_uri: str, state: str, nonce: str, verifier: str) -> str:
        """Where to send the browser. Raises `SignInRefused` or `ports.connectors.Unavailable`."""
        ...

    async def redeem(self, returned: Returned, redirect_uri: str, nonce: str, verifier: str, since: float) -> Verified:
        """Whom it verified, once everything it sent was checked. Raises as `authorization_url`.

        `since`: seconds since 1970, when the person agreed; who signed in there before did so for something else.
        """
        ...

    async def check(self) -> None:
        """Asks for what it says of itself and for its keys; verifies nobody. Raises as `authorization_url`."""
        ...

    async def close(self) -> None: ...
