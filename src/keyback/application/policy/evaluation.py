"""What another policy would have said to recoveries that took place: their evidence is weighed once more, by both.

Reads the audit log, where each accepted proof stands with what it was weighed by. Changes nothing and tells nobody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Literal

from keyback.application.policy.coverage import Offer, Way, tier_under, way_of
from keyback.application.ports.audit_search import AuditQuery
from keyback.application.ports.enrolment_storage import Happened
from keyback.application.ports.storage import Database, Tx
from keyback.domain.policy.rules import TIERS, Evidence, Journey, Policy, Risk, Ruling, effective_tier, rule

PIECE: Final = 500
Change = Literal["refused", "opened", "approval", "no_approval", "longer", "shorter"]
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Difference:
    """One page whose evidence comes to something else.

    Args:
        at: of its last proof (ms).
        shown: the proofs, in their order.
        way: what this person could do today under the draft with all that they have enrolled.
        change: `refused`: enough until now, not enough then. `opened`: the other way round. `approval`: an operator
            would have to approve as well; `no_approval`: none would have to any more. `longer`, `shorter`: the hold.
    """

    case_id: str
    person_id: str
    person: str
    at: int
    journey: str
    tier: str
    shown: tuple[str, ...]
    change: Change
    now: Ruling
    then: Ruling
    way: Way | None


@dataclass(slots=True)
class Evaluation:
    """`pages`: recoveries that were weighed, as one for each page that gathered evidence. `unrecorded`: those whose
    rows are of an earlier version and don't say what they were weighed by. `gone`: of people who were removed since."""

    pages: int = 0
    same: int = 0
    unrecorded: int = 0
    gone: int = 0
    changes: dict[Change, int] = field(default_factory=dict)
    differences: list[Difference] = field(default_factory=list)


async def evaluate(
    db: Database, in_use: Offer, draft: Offer, since: int, *, listed: int, progress: Progress | None = None
) -> Evaluation:
    """Weighs every page of the time since `since` (ms) by both policies.

    Args:
        listed: how many differences to name; all are counted.
    """
    pages = await _gathered(db, since)
    out = Evaluation()
    for n, ((case_id, _), rows) in enumerate(pages.items(), 1):
        await db.read(partial(_weigh, out=out, case_id=case_id, rows=rows, in_use=in_use, draft=draft, listed=listed))
        if progress:
            progress(n, len(pages))
    return out


async def _gathered(db: Database, since: int) -> Mapping[tuple[str, str], list[Happened]]:
    """Accepted proofs by case and page, oldest first."""
    first, before = await db.read(lambda tx: (tx.audit.first_at(since), tx.audit.head()[0] + 1))
    found: list[Happened] = []
    while True:
        query = AuditQuery(first, before, event="proof_accepted", limit=PIECE)
        rows = await db.read(lambda tx: tx.audit.search(query))  # noqa: B023 - awaited at once
        found += rows
        if len(rows) < PIECE:
            break
        before = rows[-1].seq
    pages: dict[tuple[str, str], list[Happened]] = defaultdict(list)
    for row in reversed(found):
        pages[row.stream, str(row.data.get("intake_id", ""))].append(row)
    return pages


def _weigh(
    tx: Tx, out: Evaluation, case_id: str, rows: Sequence[Happened], in_use: Offer, draft: Offer, listed: int
) -> None:
    last = rows[-1]
    if last.data.get("tier") not in TIERS:
        out.unrecorded += 1
        return
    case = tx.cases.get(case_id)
    person = tx.people.person(case.person_id) if case else None
    if case is None or person is None:
        out.gone += 1
        return
    now, then = (_ruling(rows, offer.policy) for offer in (in_use, draft))
    out.pages += 1
    change = _change(now, then)
    if change is None:
        out.same += 1
        return
    out.changes[change] = out.changes.get(change, 0) + 1
    if len(out.differences) < listed:
        way = _way(tx, person.id, draft)
        shown = tuple(str(r.data["proof"]) for r in rows)
        said = last.data
        out.differences.append(
            Difference(
                case_id, person.id, person.name, last.at, said["journey"], said["tier"], shown, change, now, then, way
            )
        )


def _ruling(rows: Sequence[Happened], policy: Policy) -> Ruling:
    said = rows[-1].data
    known: Sequence[str] = said.get("known", ())
    risk = Risk("device" in known, "network" in known, str(said.get("only_address", "")))
    tier = effective_tier(said["tier"], (), policy.floor)
    journey: Journey = said["journey"]
    return rule([_evidence(r.data, r.at) for r in rows], tier, risk, policy, journey)


def _evidence(d: Mapping[str, Any], at: int) -> Evidence:
    return Evidence(
        d["proof"], d["kind"], d["channel"], at, d["intake_id"], d["aged"], d["system"], d["target"], tuple(d["also"])
    )


def _change(now: Ruling, then: Ruling) -> Change | None:
    if (now.kind, now.wait) == (then.kind, then.wait):
        return None
    if then.kind == "more":
        return "refused"
    if now.kind == "more":
        return "opened"
    if then.kind == "review":
        return "approval"
    if now.kind == "review":
        return "no_approval"
    return "longer" if then.wait > now.wait else "shorter"


def _way(tx: Tx, person_id: str, draft: Offer) -> Way | None:
    found = tx.all_people.of(person_id)
    return way_of(found, tier_under(found, draft.policy, tx.now), draft, tx.now) if found else None
