"""Writing a batch of people, and telling the contacts of whoever has another address: one way for files and systems."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from keyback.application.notifications.account_changes import masked
from keyback.application.people import address_changes
from keyback.application.ports.imports import ImportOutcome
from keyback.application.ports.storage import Database, Imported, Tx
from keyback.domain.people.addresses import AddressChange

MAX_LINES = 10_000
BATCH = 1000  # people in one transaction
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class AddressLine:
    """An address that changes, masked. `kind`: see `domain.people.addresses.AddressChange`. `until`: when the new one
    counts (ms); 0 where it does already, or never will."""

    name: str
    kind: str
    new: str
    old: str = ""
    until: int = 0


@dataclass(slots=True)
class Changes:
    """How many people a run added, changed and found the same, and what became of addresses.

    `addresses` counts those of people who were there already that change; `refused` those that their owners refused or
    gave up, so that they stay out; `lines` names both, masked, up to `MAX_LINES`.
    """

    added: int = 0
    changed: int = 0
    same: int = 0
    addresses: int = 0
    refused: int = 0
    lines: list[AddressLine] = field(default_factory=list)

    def count_addresses(self, lines: Sequence[AddressLine]) -> None:
        refused = sum(line.kind == "refused" for line in lines)
        self.refused += refused
        self.addresses += len(lines) - refused
        self.lines += lines[: MAX_LINES - len(self.lines)]


Saved = tuple[ImportOutcome, Sequence[AddressLine]]


def save_people(
    tx: Tx, people: Sequence[Imported], *, moved: bool = False, adopt: bool = True, generation: int = 0
) -> Saved:
    """Writes people by their keys, and tells the contacts of those whose addresses change.

    Args:
        moved: the company moved its addresses: those that changed count at once.
        adopt: whoever was known by their address may get the key that they have now (`People.import_batch`).
        generation: of the sync that meets accounts which are new; 0 for a file.
    """
    done = tx.people.import_batch(people, at_once=moved, adopt=adopt, generation=generation)
    address_changes.notify_address_changes(tx, done.changes)
    return done, _lines(tx, done.changes)


class _Undo(Exception, Generic[T]):
    def __init__(self, result: T) -> None:
        self.result = result


async def write(db: Database, fn: Callable[[Tx], T], *, undo: bool = False) -> T:
    """What `fn` gives.

    Args:
        undo: nothing of what it does is kept.

    Raises:
        StorageDown: the database did not take it.
    """
    if not undo:
        return await db.write(fn)

    def undone(tx: Tx) -> T:
        raise _Undo(fn(tx))

    try:
        return await db.write(undone)
    except _Undo as u:
        return u.result  # type: ignore[no-any-return]


def _lines(tx: Tx, changes: Sequence[AddressChange]) -> list[AddressLine]:
    people = tx.people.people(sorted({c.new.person_id for c in changes}))
    out = []
    for c in changes:
        until = c.new.usable_from if c.kind in ("moving", "added") and c.new.usable_from > tx.now else 0
        name = people[c.new.person_id].name
        out.append(AddressLine(name, c.kind, masked(c.new), masked(c.old) if c.old else "", until))
    return out
