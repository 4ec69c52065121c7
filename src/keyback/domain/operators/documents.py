"""Identity documents that two people look at: what they check, and what their answers come to.

Sources: NIST SP 800-63A-4 sections 2.4.2.1, 2.5.1 and 3.2.1; PIPL 28 to 30 and 47.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from keyback.domain.units import HOUR

PROOF: Final = "id_document"
Kind = Literal["id_card", "passport", "permit", "licence", "verified"]
KINDS: Final[tuple[Kind, ...]] = ("id_card", "passport", "permit", "licence")
CHECKS: Final = ("record", "name", "photo", "whole", "valid", "covered")
"""What a reviewer looks at, each by itself: there was a record before; the name is the one on it, exactly or as it is
written elsewhere; the photo shows the person on record; nothing was changed; it has not run out; the number is covered.
All of them have to be ticked before a reviewer says that it is the person (N-A1)."""
Verdict = Literal["", "yes", "no"]
Outcome = Literal["waits", "third", "agreed", "refused"]
CONSENT: Final = "2026-11"
"""The version of the text that people agree to; a change of its facts is another one."""
KEEP_DRAFT = HOUR
KEEP_WAITING = 7 * 24 * HOUR
KEEP_DECIDED = 7 * 24 * HOUR
"""For how long a picture can be opened, in ms: before it was sent, until it is decided, and after that."""
GRID = 6
MAX_BYTES = 12 << 20


@dataclass(frozen=True, slots=True)
class Review:
    """What one reviewer found; `verdict` is empty while they look. `third`: they decide alone, where two differed or
    the person appealed."""

    operator_id: str
    taken_at: int
    verdict: Verdict = ""
    checks: tuple[str, ...] = ()
    at: int = 0
    third: bool = False


def outcome(reviews: Sequence[Review]) -> Outcome:
    """What the reviews come to. Two have to agree; where they differ a third decides."""
    deciding = [r.verdict for r in reviews if r.third and r.verdict]
    if deciding:
        return "agreed" if deciding[-1] == "yes" else "refused"
    said = [r.verdict for r in reviews if not r.third and r.verdict]
    if len(said) < 2:
        return "waits"
    if said[0] != said[1]:
        return "third"
    return "agreed" if said[0] == "yes" else "refused"
