"""The audit log by case, person, operator, event and time: a page of it, or an export that is itself recorded.

Every look costs the same however long the log is: it goes backwards from an end, over so many rows at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

from keyback.application.desk.operators import STREAM
from keyback.application.desk.sessions import Actor
from keyback.application.ports.audit_search import AuditQuery
from keyback.application.ports.enrolment_storage import Happened
from keyback.application.ports.storage import Tx
from keyback.domain.errors import BadInput
from keyback.domain.people.person import canonicalize
from keyback.domain.recovery.events import Note

PAGE = 100  # rows of a page
EXPORT = 10_000  # of an export
LOOKED_AT = 20_000  # rows of the whole log for one page, where no case and no person is named
NOBODY = "-"  # a stream that holds nothing


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is looked for, as it was typed; empty for all.

    Args:
        about: a case's id, or a whole address or user name of a person.
        operator: an operator's id.
        event: a type of event.
        since: a day, as is `until`, which counts too.
    """

    about: str = ""
    operator: str = ""
    event: str = ""
    since: str = ""
    until: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """`more`: where an older page begins; 0 at the end."""

    rows: tuple[Happened, ...]
    more: int


def search(tx: Tx, wanted: Wanted, zone: tzinfo, before: int = 0, limit: int = PAGE) -> Found:
    """Rows that fit, the newest first.

    Raises:
        BadInput: `day` for one that is none.
    """
    audit = tx.audit
    first = audit.first_at(_midnight(wanted.since, zone)) if wanted.since else 1
    last = audit.first_at(_midnight(wanted.until, zone, 1)) if wanted.until else audit.head()[0] + 1
    last = min(last, before) if before else last
    streams = _streams(tx, wanted.about)
    low = first if streams else max(first, last - (LOOKED_AT if limit <= PAGE else limit * 20))
    query = AuditQuery(low, last, streams, wanted.operator[:22], wanted.event[:40], limit + 1)
    rows = audit.search(query)
    if len(rows) > limit:
        return Found(tuple(rows[:limit]), rows[limit - 1].seq)
    return Found(tuple(rows), low if low > first else 0)


def export(tx: Tx, actor: Actor, wanted: Wanted, zone: tzinfo) -> Sequence[Happened]:
    """The newest rows that fit, at most `EXPORT`; that they were taken is in the log, too.

    Raises:
        BadInput: as `search`.
    """
    found = search(tx, wanted, zone, limit=EXPORT)
    about = {k: v for k, v in (("event", wanted.event), ("by", wanted.operator)) if v}
    asked = {"operator": actor.operator.id, "rows": len(found.rows), "since": wanted.since, "until": wanted.until}
    tx.audit.record(STREAM, [Note("audit_exported", {**asked, **about, "of_one": bool(wanted.about)})])
    return found.rows


def _streams(tx: Tx, typed: str) -> tuple[str, ...]:
    """The case that was named, or a person's own stream and their cases; none for all."""
    typed = typed.strip()
    if not typed:
        return ()
    if len(typed) == 22 and tx.cases.get(typed) is not None:
        return (typed,)
    try:
        canonical = canonicalize(typed)
    except BadInput:
        return (NOBODY,)
    people = [m.person.id for m in tx.people.match([canonical]).get(canonical, ())]
    return tuple(s for p in people for s in tx.audit.streams_of(p)) or (NOBODY,)


def _midnight(day: str, zone: tzinfo, later: int = 0) -> int:
    try:
        found = date.fromisoformat(day)
        begins = datetime(found.year, found.month, found.day, tzinfo=zone) + timedelta(days=later)
        return int(begins.astimezone(UTC).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise BadInput("day") from None
