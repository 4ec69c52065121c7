"""Photos from HR's records, which reviewers see beside an identity document: people compare them, never a program.

Only what was on record for longer than the cooling-off when the recovery began is shown, or whoever can add a photo
could let anybody in. Nobody else sees one: not the person on their own pages, no caller, no program.
"""

from __future__ import annotations

from typing import Literal

from keyback.application.ports.images import CleanImage
from keyback.application.ports.storage import Tx
from keyback.domain.errors import Refusal
from keyback.domain.people.factor import COOLING_OFF
from keyback.domain.recovery.case import Case
from keyback.domain.recovery.events import Note

SIDE = 600  # pixels that are kept of the longer side
Beside = Literal["none", "shown", "late"]
"""Whether there is a photo beside a document; `late`: it came too shortly before the recovery began, or later."""


def put(tx: Tx, person_id: str, picture: CleanImage, by: str) -> None:
    """Keeps somebody's photo, in place of any before.

    Args:
        by: who did it, for the audit log.

    Raises:
        Refusal: `not_found` where there is no such person.
    """
    if tx.people.lock(person_id) is None:
        raise Refusal("not_found")
    tx.photos.put(person_id, picture.jpeg)
    tx.audit.record(person_id, [Note("photo_added", {"by": by})])


def remove(tx: Tx, person_id: str, by: str) -> bool:
    """Forgets somebody's photo; False where there was none."""
    gone = tx.photos.remove(person_id)
    if gone:
        tx.audit.record(person_id, [Note("photo_removed", {"by": by})])
    return gone


def beside(tx: Tx, case: Case) -> tuple[Beside, int]:
    """What reviewers of this case's document get to see, and since when it is on record (ms)."""
    since = tx.photos.since(case.person_id)
    return ("none" if not since else "shown" if since + COOLING_OFF <= case.opened_at else "late"), since
