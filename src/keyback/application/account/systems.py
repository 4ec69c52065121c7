"""A person's accounts as their systems know them now: password age, sign-ins, applications; and "not mine".

Nothing of it is stored. It is asked for when somebody looks, kept for a minute, and a system that doesn't answer is
named instead.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal
from weakref import WeakKeyDictionary

from keyback.application import locking
from keyback.application.asking import Silence, ask_each
from keyback.application.notifications.account_changes import notify_account_change
from keyback.application.origin import Origin
from keyback.application.ports.connectors import Activity, Connector, FoundAccount, Grant, Means, Outcome, SignIn
from keyback.application.ports.storage import Database, Session, Tx
from keyback.application.services import Services
from keyback.domain.people.person import Account
from keyback.domain.recovery.events import Note

BUILTIN = "builtin"
KEPT_S = 60.0  # as long a page can be looked at again without asking the systems again
MAX_KEPT = 2_000  # accounts
REVOKE_S = 15.0  # for all of what "not mine" does in a system
SHOWN = 5  # sign-ins of a system
MAX_GRANTS = 20
ALL = "all"
Ended = Literal["done", "refused", "unsure", "guided"]


@dataclass(frozen=True, slots=True)
class SystemNow:
    """One account, as its system knows it now.

    Args:
        username: the login now; the stored one where the system didn't say.
        changed_at: when its password was last changed (ms), None where nobody knows.
        due_at: when the policy asks for another one (ms), None where age is no reason.
        tells: whether the system tells of sign-ins and applications at all.
        ends: whether "not mine" can do anything there.
        silence: why there is less than there could be.
    """

    account: Account
    title: str
    username: str
    changed_at: int | None = None
    due_at: int | None = None
    sign_ins: tuple[SignIn, ...] = ()
    grants: tuple[Grant, ...] = ()
    tells: bool = False
    ends: bool = False
    silence: Silence = ""


class _Kept:
    """What was asked lately: whoever reloads a page, or has many tabs, asks no vendor again."""

    def __init__(self) -> None:
        self._rows: dict[str, tuple[float, SystemNow]] = {}

    def get(self, account_id: str) -> SystemNow | None:
        until, found = self._rows.get(account_id, (0.0, None))
        return found if found is not None and time.monotonic() < until else None

    def put(self, rows: Sequence[SystemNow]) -> None:
        for row in rows:
            self._rows.pop(row.account.id, None)
            self._rows[row.account.id] = (time.monotonic() + KEPT_S, row)
        while len(self._rows) > MAX_KEPT:
            del self._rows[next(iter(self._rows))]

    def drop(self, account_id: str) -> None:
        self._rows.pop(account_id, None)


_kept: WeakKeyDictionary[Database, _Kept] = WeakKeyDictionary()


async def look(s: Services, person_id: str) -> tuple[SystemNow, ...]:
    """Every account of a person, in the order of the settings. Asks all systems at once, and none twice a minute."""
    accounts, changed = await s.db.read(lambda tx: _stored(tx, person_id))
    kept = _kept.setdefault(s.db, _Kept())
    known = {a.id: row for a in accounts if (row := kept.get(a.id)) is not None and row.account == a}
    asked = [a for a in accounts if a.id not in known and a.system != BUILTIN and not a.provider]
    found, told = await asyncio.gather(
        ask_each(s.connectors, [a for a in asked if _can(s, a, "lookup")], _find),
        ask_each(s.connectors, [a for a in asked if _can(s, a, "activity")], _activity),
    )
    now = {x.account.id: x for x in found}
    activity = {x.account.id: x for x in told}
    new = []
    for a in asked:
        one, acts = now.get(a.id), activity.get(a.id)
        at = one.value.password_changed_at if one and one.value else None
        happened = acts.value if acts else None
        silence: Silence = next((x.silence for x in (one, acts) if x and x.silence), "")
        new.append(
            SystemNow(
                a,
                s.titles.get(a.system, a.system),
                one.value.username if one and one.value else a.username,
                at,
                s.rules.due_at(at) if at else None,
                happened.sign_ins[:20] if happened else (),
                happened.grants[:MAX_GRANTS] if happened else (),
                acts is not None,
                _can(s, a, "revoke_grants") or _can(s, a, "revoke_sessions"),
                silence,
            )
        )
    kept.put([row for row in new if not row.silence])
    known |= {row.account.id: row for row in new}
    return tuple(known.get(a.id) or _own(s, a, changed.get(a.id)) for a in accounts)


def _stored(tx: Tx, person_id: str) -> tuple[list[Account], dict[str, int | None]]:
    accounts = [a for a in tx.people.accounts([person_id]).get(person_id, ()) if a.state != "disabled"]
    return accounts, {a.id: tx.people.changed_at(a.id) for a in accounts if a.system == BUILTIN}


def _own(s: Services, a: Account, changed_at: int | None) -> SystemNow:
    due_at = s.rules.due_at(changed_at) if changed_at else None
    return SystemNow(a, s.titles.get(a.system, a.system), a.username, changed_at, due_at)


def _can(s: Services, account: Account, what: str) -> bool:
    connector = s.connectors.get(account.system)
    return connector is not None and getattr(connector.capabilities, what) in (Means.NATIVE, Means.COMPOSED)


async def _find(connector: Connector, account: Account) -> FoundAccount | None:
    found = await connector.find(account.username)
    return next((f for f in found if f.external_id == account.external_id), None)


async def _activity(connector: Connector, account: Account) -> Activity | None:
    return await connector.activity(account.external_id)


def sign_ins(rows: Sequence[SystemNow]) -> list[tuple[str, SignIn]]:
    """(title, sign-in) of all systems, newest first."""
    return sorted(((r.title, x) for r in rows for x in r.sign_ins), key=lambda pair: -pair[1].at)


# ── "not mine" ──────────────────────────────────────────────────────────────


async def disown(
    s: Services, session: Session, account_id: str, grant: str, origin: Origin
) -> tuple[Ended, SystemNow] | None:
    """Ends what applications may do in an account, and every sign-in there and elsewhere with us; tells every contact.

    What is asked of the system is written down first: a crash leaves a trace of what may have been done.

    Args:
        grant: id of the one application, or `all`.

    Returns:
        What came of it in the system, and the account; None where it is not theirs, or there is nothing to end.

    Raises:
        Refusal: `over` when the session has ended.
    """
    row = next((r for r in await look(s, session.person_id) if r.account.id == account_id), None)
    if row is None or not row.ends or (grant != ALL and grant not in {g.id for g in row.grants}):
        return None
    title = next((g.title for g in row.grants if g.id == grant), "")
    note = {"account_id": account_id, "system": row.account.system, "grant": title or ALL, **origin.where}

    def begin(tx: Tx) -> None:
        locking.own(tx, session)
        tx.audit.record(session.person_id, [Note("access_disowned", note)])

    await s.db.write(begin)
    ended = await _end(s.connectors, row.account, None if grant == ALL else [grant])
    _kept.setdefault(s.db, _Kept()).drop(account_id)

    def finish(tx: Tx) -> None:
        for other in tx.sessions.of_person(session.person_id):
            if other.digest != session.digest:
                tx.sessions.end(other.digest)
        detail = f"{row.title}, {title}" if title else row.title
        what = "access_ended" if ended == "done" else "access_not_ended"
        notify_account_change(tx, session.person_id, what, origin, detail=detail, data={"account_id": account_id})

    await s.db.write(finish)
    return ended, row


async def _end(connectors: Mapping[str, Connector], account: Account, grants: Sequence[str] | None) -> Ended:
    async def work(connector: Connector, account: Account) -> list[Outcome]:
        first = await connector.revoke_grants(account.external_id, grants)
        return [first, await connector.revoke_sessions(account.external_id)]

    (answer,) = await ask_each(connectors, [account], work, REVOKE_S)
    if answer.value is None:
        return "unsure"
    outcomes = [o for o in answer.value if o.status != "unsupported"]
    if not outcomes or any(o.status == "pending" for o in outcomes):
        return "guided"
    if any(o.status == "refused" for o in outcomes):
        return "refused"
    return "done" if all(o.status == "done" for o in outcomes) else "unsure"
