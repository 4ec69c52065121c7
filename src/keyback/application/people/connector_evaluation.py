"""What another connector would find of the people that one holds accounts of: both are asked, and only to look.

Nothing is set, unlocked or ended anywhere, and no row is changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Final, Literal

from keyback.application.ports.connectors import Capabilities, Connector, FoundAccount, Means, Unavailable
from keyback.application.ports.storage import Database, Tx
from keyback.domain.people.person import Account, canonicalize

PIECE: Final = 200
AT_ONCE: Final = 4
GIVE_UP: Final = 20  # failures in a row: it is away, and asking on would say nothing
Seen = Literal["one", "none", "several", "unavailable"]
Progress = Callable[[int], None]
# What decides whether a recovery works there; whom it belongs to is told by user name and mail.
COMPARED: Final = ("username", "mail", "state", "privileged", "synced_from", "sso_only", "federated", "frozen")


@dataclass(frozen=True, slots=True)
class Told:
    """What one connector says of one account. `account` is there with `one` alone."""

    seen: Seen
    account: FoundAccount | None = None


@dataclass(frozen=True, slots=True)
class Differing:
    """One person for whom both differ.

    Args:
        fields: what differs, of `COMPARED`; `seen` where one finds what the other doesn't.
        now, then: what the one in use and the draft say of each field.
    """

    person_id: str
    person: str
    username: str
    fields: tuple[str, ...]
    now: tuple[str, ...]
    then: tuple[str, ...]


@dataclass(slots=True)
class Comparison:
    """`asked`: accounts that both were asked about. `unavailable`: without an answer. `given_up`: the draft failed too
    often in a row, and the rest was not asked about."""

    capabilities: dict[str, tuple[str, str]] = field(default_factory=dict)
    asked: int = 0
    same: int = 0
    unavailable: int = 0
    given_up: bool = False
    fields: dict[str, int] = field(default_factory=dict)
    differing: list[Differing] = field(default_factory=list)


async def compare(
    db: Database,
    in_use: Connector,
    draft: Connector,
    *,
    pause_s: float,
    listed: int,
    progress: Progress | None = None,
) -> Comparison:
    """Asks both about every account of this system that Keyback knows.

    Args:
        in_use: where it can't look anybody up, the draft is compared with what Keyback has noted of the accounts.
        pause_s: between two pieces of four, so that neither system is flooded.
        listed: how many people to name; all are counted.
    """
    out = Comparison(_differing_capabilities(in_use.capabilities, draft.capabilities))
    after, failing = "", 0
    while True:
        page = await db.read(partial(_page, after=after, system=draft.name))
        for i in range(0, len(page), AT_ONCE):
            piece = page[i : i + AT_ONCE]
            told = await asyncio.gather(*(_both(in_use, draft, a) for a, _ in piece))
            for (account, name), (now, then) in zip(piece, told, strict=True):
                failing = failing + 1 if then.seen == "unavailable" else 0
                _count(out, account, name, now, then, listed)
            if progress:
                progress(out.asked)
            if failing >= GIVE_UP:
                out.given_up = True
                return out
            await asyncio.sleep(pause_s)
        if len(page) < PIECE:
            return out
        after = page[-1][0].external_id


def _page(tx: Tx, after: str, system: str) -> Sequence[tuple[Account, str]]:
    return tx.all_people.accounts_in(system, after, PIECE)


async def _both(in_use: Connector, draft: Connector, account: Account) -> tuple[Told, Told]:
    asks = in_use.capabilities.lookup != Means.NONE
    now = await _ask(in_use, account.username) if asks else _noted(account)
    return now, await _ask(draft, account.username)


async def _ask(connector: Connector, username: str) -> Told:
    try:
        found = await connector.find(username)
    except Unavailable:
        return Told("unavailable")
    if len(found) == 1:
        return Told("one", found[0])
    return Told("several" if found else "none")


def _noted(a: Account) -> Told:
    state: Literal["active", "disabled"] = "disabled" if a.state == "disabled" else "active"
    return Told(
        "one", FoundAccount(a.external_id, a.username, state=state, privileged=a.privileged, sso_only=bool(a.provider))
    )


def _count(out: Comparison, account: Account, name: str, now: Told, then: Told, listed: int) -> None:
    out.asked += 1
    if "unavailable" in (now.seen, then.seen):
        out.unavailable += 1
        return
    differs = _differs(now, then)
    if not differs:
        out.same += 1
        return
    for what, _, _ in differs:
        out.fields[what] = out.fields.get(what, 0) + 1
    if len(out.differing) < listed:
        whats, nows, thens = zip(*differs, strict=True)
        out.differing.append(Differing(account.person_id, name, account.username, whats, nows, thens))


def _differs(now: Told, then: Told) -> list[tuple[str, str, str]]:
    if now.account is None or then.account is None:
        return [("seen", now.seen, then.seen)] if now.seen != then.seen else []
    out = []
    for what in COMPARED:
        one, other = getattr(now.account, what), getattr(then.account, what)
        if what in ("username", "mail"):
            same = one is None or other is None or canonicalize(one) == canonicalize(other)
        else:
            same = one == other
        if not same:
            out.append((what, _text(one), _text(other)))
    return out


def _text(value: object) -> str:
    return (
        {True: "yes", False: "no", None: "-"}.get(value, str(value)) if isinstance(value, bool | None) else str(value)
    )


def _differing_capabilities(now: Capabilities, then: Capabilities) -> dict[str, tuple[str, str]]:
    both = ((f.name, getattr(now, f.name), getattr(then, f.name)) for f in fields(Capabilities))
    return {name: (str(one), str(other)) for name, one, other in both if one != other}
