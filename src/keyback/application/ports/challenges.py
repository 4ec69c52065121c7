"""What use cases ask of storage about challenges, and about those that pages asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from keyback.domain.challenges.challenge import Challenge, ChallengeRequest, Ending, Purpose


@dataclass(frozen=True, slots=True)
class Mailed:
    """A challenge that a mailed link leads to. `stops`: the link is the one that stops it, and can do nothing else."""

    challenge: Challenge
    stops: bool


class Challenges(Protocol):
    def issue(self, new: Sequence[Challenge], *, token: str = "") -> None:
        """Writes challenges down, in one statement however many they are, so that their links find them.

        Args:
            token: what finds them, where that is no link derived from their nonce.
        """
        ...

    def get(self, challenge_id: str) -> Challenge | None: ...
    def many(self, ids: Sequence[str]) -> Mapping[str, Challenge]: ...
    def by_link(self, digest: bytes, *, lock: bool = False) -> Challenge | None: ...
    def behind(self, token: str, purpose: Purpose, method: str) -> Challenge | None:
        """The challenge whose link this is, if it is one of this kind."""
        ...

    def by_token(self, digest: bytes) -> Mailed | None:
        """What a mailed link is for, whichever it is: looked up once, told apart by purpose and method."""
        ...

    def issued(self, handle: str, method: str) -> Sequence[Challenge]: ...
    def live(
        self, *, person_id: str = "", case_id: str = "", purpose: Purpose | Literal[""] = "", method: str = ""
    ) -> Sequence[Challenge]: ...
    def end(self, challenge_id: str, ending: Ending) -> bool:
        """`UPDATE … WHERE ended IS NULL`: True for exactly one caller."""
        ...

    def end_where(
        self,
        ending: Ending,
        *,
        person_id: str = "",
        case_id: str = "",
        handle: str = "",
        target: str = "",
        method: str = "",
        purpose: Purpose | Literal[""] = "",
        but: str = "",
    ) -> int: ...
    def fetch(self, challenge_id: str) -> bool:
        """`UPDATE … WHERE fetched_at IS NULL`: True once for each."""
        ...

    def request(self, wanted: ChallengeRequest, asked_before: int) -> bool: ...
    def requested(self, handle: str) -> Sequence[ChallengeRequest]: ...
    def claim_requests(self, limit: int) -> Sequence[ChallengeRequest]: ...
    def count_try(self, handle: str, method: str, limit: int) -> int | None: ...
    def give_try_back(self, handle: str, method: str) -> None: ...
