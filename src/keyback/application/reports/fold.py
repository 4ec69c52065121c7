"""Audit rows into figures by day: pure, so that the same rows always give the same figures.

What belongs to a recovery counts for the day of its request (the funnel, times), everything else for its own day. Times
are counted in classes a tenth apart, so that medians of any period cost nothing and are right within five per cent.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, tzinfo
from typing import Any

from keyback.application.ports.reports import Followed, Key
from keyback.domain.units import HOUR

BACK = 7 * 24 * HOUR  # who asks again within this time was not helped for good
STEP = math.log(1.1)
STAGES = ("asked", "verified", "chosen", "recovered", "signed_in")
OF_CASE = frozenset(
    {
        "proof_accepted", "review_started", "review_approved", "hold_started", "approved", "password_chosen",
        "remedied", "recovered", "cancelled", "rejected", "failed", "expired", "case_claimed", "call_entered",
        "caller_check_passed", "diagnosed",
    }
)  # fmt: skip
ENDS = frozenset({"rejected", "failed", "expired"})
CAUSES = {"tries_told": "wrong_passwords", "locked_down": "locked_by_owner", "account_stopped": "stopped"}
PLAIN = frozenset({"caller_check_failed", "intakes_resolved", *CAUSES})
PERSON = frozenset({"signed_in"})
WANTED = OF_CASE | PLAIN | PERSON | {"requested"}


def day_of(at: int, zone: tzinfo) -> str:
    """The day of an instant (ms) by the clock of `zone`, as `2026-11-28`."""
    return datetime.fromtimestamp(at / 1000, zone).date().isoformat()


def time_class(ms: int) -> str:
    """The class of a duration; `seconds_of` is its middle."""
    return f"{round(math.log(max(1.0, ms / 1000)) / STEP):03}"


def seconds_of(name: str) -> int:
    return round(math.exp(int(name) * STEP))


def share_of(classes: Mapping[str, int], share: float) -> int | None:
    """The duration, in seconds, that this share of all stays within; None where there are none."""
    need = share * sum(classes.values())
    for name in sorted(classes):
        need -= classes[name]
        if need <= 0:
            return seconds_of(name)
    return None


@dataclass(slots=True)
class Folded:
    """What some rows came to."""

    figures: Counter[Key] = field(default_factory=Counter)
    kept: dict[str, Followed] = field(default_factory=dict)
    over: set[str] = field(default_factory=set)


def named_in(rows: Iterable[Mapping[str, Any]]) -> tuple[list[str], list[str]]:
    """Ids of the cases and of the people that rows are about."""
    cases, people = [], []
    for r in rows:
        if r["type"] in OF_CASE:
            cases.append(r["stream"])
        elif r["type"] == "requested":
            people.append(str(_data(r).get("person_id", "")))
        elif r["type"] in PERSON:
            people.append(r["stream"])
    return cases, people


def fold(rows: Iterable[Mapping[str, Any]], known: Sequence[Followed], zone: tzinfo) -> Folded:
    """Figures of audit rows, oldest first.

    Args:
        known: recoveries that rows before were about.
        zone: by whose clock days begin.
    """
    out = Folded()
    live = {f.case_id: f for f in known}
    for r in rows:
        kind = r["type"]
        if kind not in WANTED:
            continue
        data, at, day = _data(r), int(r["at"]), day_of(int(r["at"]), zone)
        if kind == "requested":
            _back(out, live, str(data.get("person_id", "")), at, zone)
            f = Followed(r["stream"], str(data.get("person_id", "")), at)
            out.figures[day, "funnel", "asked"] += 1
            out.figures[day, "journeys", str(data.get("journey", ""))] += 1
            _keep(out, live, f)
        elif kind in PERSON:
            _signed_in(out, live, r["stream"], at, zone)
        elif kind in PLAIN:
            _plain(out, kind, data, day)
        else:
            _of_case(out, live, r["stream"], kind, data, at, zone)
    return out


def _keep(out: Folded, live: dict[str, Followed], f: Followed) -> None:
    live[f.case_id] = out.kept[f.case_id] = f
    out.over.discard(f.case_id)


def _drop(out: Folded, live: dict[str, Followed], f: Followed) -> None:
    live.pop(f.case_id, None)
    out.kept.pop(f.case_id, None)
    out.over.add(f.case_id)


def _back(out: Folded, live: dict[str, Followed], person_id: str, at: int, zone: tzinfo) -> None:
    for f in [f for f in live.values() if f.person_id == person_id and f.recovered_at]:
        if at - f.recovered_at <= BACK:
            out.figures[day_of(f.opened_at, zone), "back", "desk" if f.desk else "alone"] += 1
        _drop(out, live, f)


def _signed_in(out: Folded, live: dict[str, Followed], person_id: str, at: int, zone: tzinfo) -> None:
    for f in [f for f in live.values() if f.person_id == person_id and f.recovered_at and f.stage < len(STAGES)]:
        if at >= f.recovered_at:
            day = day_of(f.opened_at, zone)
            out.figures[day, "funnel", "signed_in"] += 1
            out.figures[day, "to_sign_in", time_class(at - f.opened_at - f.held_ms)] += 1
            _keep(out, live, replace(f, stage=len(STAGES)))


def _plain(out: Folded, kind: str, data: Mapping[str, Any], day: str) -> None:
    if kind in CAUSES:
        out.figures[day, "causes", CAUSES[kind]] += 1
    elif kind == "caller_check_failed":
        out.figures[day, "callers", "refused"] += 1
    elif kind == "intakes_resolved":
        count, unmatched = int(data.get("count", 0)), int(data.get("unmatched", 0))
        out.figures[day, "requests", "matched"] += count - unmatched
        out.figures[day, "requests", "unmatched"] += unmatched


def _of_case(
    out: Folded, live: dict[str, Followed], case_id: str, kind: str, data: Mapping[str, Any], at: int, zone: tzinfo
) -> None:
    day = day_of(at, zone)
    if kind == "caller_check_passed":
        out.figures[day, "callers", "passed"] += 1
    if kind == "review_approved":
        pair = f"{data.get('operator', '')}/{data.get('recommended_by', '')}"
        out.figures[day, "pairs", pair] += 1
    if kind == "diagnosed":
        codes = {str(x.get("code")) for a in data.get("accounts", ()) for x in a.get("findings", ())}
        for code in codes:
            out.figures[day, "causes", code[:60]] += 1
    f = live.get(case_id)
    if f is None:
        return
    born = day_of(f.opened_at, zone)
    if kind == "proof_accepted" and data.get("sufficient"):
        f = _stage(out, f, 2, born)
    elif kind in ("password_chosen", "remedied"):
        f = _stage(out, f, 3, born)
    elif kind == "case_claimed":
        f = replace(f, desk=True, claims=f.claims + 1)
    elif kind in ("review_started", "review_approved", "call_entered", "caller_check_passed"):
        f = replace(f, desk=True)
    elif kind == "hold_started":
        out.figures[day, "holds", "started"] += not f.held_from
        f = replace(f, held_from=f.held_from or at)
    elif kind == "approved" and f.held_from:
        out.figures[day, "holds", "waited" if data.get("by") == "hold" else "ended_early"] += 1
        out.figures[day, "hold_time", time_class(at - f.held_from)] += 1
        f = replace(f, held_from=0, held_ms=f.held_ms + at - f.held_from)
    elif kind == "recovered":
        f = _recovered(out, f, at, born)
    elif kind == "cancelled" or kind in ENDS:
        how = f"canceled_{data.get('by', '')}" if kind == "cancelled" else kind
        out.figures[day, "ends", how] += 1
        if f.held_from:
            out.figures[day, "holds", "canceled" if kind == "cancelled" else "other"] += 1
        _drop(out, live, f)
        return
    _keep(out, live, f)


def _stage(out: Folded, f: Followed, stage: int, born: str) -> Followed:
    """Steps that were left out count, too: a funnel only gets narrower."""
    for n in range(f.stage, stage):
        out.figures[born, "funnel", STAGES[n]] += 1
    return replace(f, stage=max(stage, f.stage))


def _recovered(out: Folded, f: Followed, at: int, born: str) -> Followed:
    f = _stage(out, f, 4, born)
    out.figures[born, "solved", "desk" if f.desk else "alone"] += 1
    if f.desk and f.claims <= 1:
        out.figures[born, "solved", "desk_once"] += 1
    out.figures[born, "to_password", time_class(at - f.opened_at - f.held_ms)] += 1
    return replace(f, recovered_at=at)


def _data(row: Mapping[str, Any]) -> Mapping[str, Any]:
    try:
        data = json.loads(row["data"])
    except ValueError:
        return {}
    return data if isinstance(data, dict) else {}
