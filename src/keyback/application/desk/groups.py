"""People by the group that files and systems say they are in."""

from __future__ import annotations

from dataclasses import dataclass

from keyback.application.desk.notices import STREAM
from keyback.application.desk.records import SHOWN, count_find
from keyback.application.desk.sessions import Actor
from keyback.application.ports.storage import Tx
from keyback.domain.people.groups import sought_group
from keyback.domain.people.person import Person
from keyback.domain.recovery.events import Note

NAMES = 200  # groups on one page


@dataclass(frozen=True, slots=True)
class GroupNames:
    """`more`: behind which group the next page begins; empty at the end."""

    names: tuple[str, ...]
    more: str


@dataclass(frozen=True, slots=True)
class GroupMembers:
    """`group`: its name; empty where nobody is in it. `more`: the last one's id, empty at the end."""

    group: str
    people: tuple[Person, ...]
    more: str


def names(tx: Tx, after: str = "") -> GroupNames:
    """The names of all groups, a page at a time."""
    found = tuple(tx.groups.named(sought_group(after), NAMES + 1))
    return GroupNames(found[:NAMES], found[NAMES - 1] if len(found) > NAMES else "")


def members(tx: Tx, actor: Actor, group: str, after: str = "") -> GroupMembers:
    """Who is in a group, and the note that this operator looked.

    Raises:
        Refusal: `too_many` looks in one hour.
    """
    count_find(tx, actor)
    canonical = sought_group(group)
    name = tx.groups.known(canonical)
    found = tuple(tx.groups.members(canonical, after, SHOWN + 1)) if name else ()
    shown = found[:SHOWN]
    facts = {"operator": actor.operator.id, "found": len(shown), "group": name}
    tx.audit.record(STREAM, [Note("person_sought", facts)])
    return GroupMembers(name, shown, shown[-1].id if len(found) > SHOWN else "")
