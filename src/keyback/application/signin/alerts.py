"""Telling people of sign-ins that may not be theirs (OWASP ASVS 5.0 6.3.5).

A mail goes to each of their mailboxes when somebody signed in from a browser and a network that are new to them; when
somebody gave the right password there and went no further than the second step; and once a day at most when wrong
passwords pile up. The last is looked for by upkeep, never by a request: guessing a name that nobody has takes as long.
"""

from __future__ import annotations

from keyback.application import known_devices
from keyback.application.notifications.account_changes import lock_link
from keyback.application.notifications.notify import mailboxes_of, notify
from keyback.application.origin import Origin
from keyback.application.ports.enrolment_storage import Failure
from keyback.application.ports.messages import SignedInMessage, TriesMessage
from keyback.application.ports.storage import Tx
from keyback.application.throttling import password_attempts
from keyback.domain.challenges.challenge import Challenge
from keyback.domain.people.person import Account, Person
from keyback.domain.recovery.events import Note
from keyback.domain.throttling.password_attempts import BUDGET, FREE_ATTEMPTS, WINDOW

SIGNED_IN, HALF_WAY = "new_sign_in", "half_way"
MAX_A_DAY = 5  # messages of each kind about sign-ins from new places, whoever makes them
NAMES = "pw/"
TOLD, MAX_TOLD = "alarm/told", 50  # people who are told of wrong passwords in an hour; beyond it is an attack on all


# ── the right password ──────────────────────────────────────────────────────


def signed_in(tx: Tx, account: Account, person: Person, origin: Origin) -> None:
    """Tells of a sign-in from a new browser and a new network; from now on the network is known for a month."""
    seen = _seen(tx, person, origin)
    if _strange(tx, account, person, origin) and tx.counters.add([seen])[seen].total == 1:
        _tell(tx, account, person, SIGNED_IN, origin)


def notify_password_only(tx: Tx, account: Account, person: Person, origin: Origin, waits: Challenge) -> None:
    """Plans a mail for the time when a sign-in's second step can no longer be taken; dropped if it was (`taken`).

    Args:
        waits: the sign-in.
    """
    if _strange(tx, account, person, origin) and tx.counters.get(_seen(tx, person, origin)).total == 0:
        _tell(tx, account, person, HALF_WAY, origin, waits)


def taken(tx: Tx, sign_in: str) -> bool:
    """Whether the second step of a sign-in was taken after all."""
    p = tx.challenges.get(sign_in)
    return p is None or p.ended == "used"


def locked(tx: Tx, person_id: str) -> None:
    """The account was locked by its owner: the networks that it was signed in from are new again."""
    tx.counters.add([_epoch(person_id)])


def _strange(tx: Tx, account: Account, person: Person, origin: Origin) -> bool:
    if password_attempts.recovered_from(tx, account.id, origin.source):
        return False  # where a recovery that everybody was told of has just ended
    return known_devices.standing(tx, person.id, origin).somewhere_new


def _seen(tx: Tx, person: Person, origin: Origin) -> str:
    return f"seen/{person.id}/{tx.counters.get(_epoch(person.id)).total}/{password_attempts.place_of(origin.source)}"


def _epoch(person_id: str) -> str:
    return f"lockdowns/{person_id}"


def _tell(tx: Tx, account: Account, person: Person, what: str, origin: Origin, waits: Challenge | None = None) -> None:
    count = f"mail/in/{what}/{person.id}"  # apart: one kind must not use up what the other may be told with
    if tx.counters.add([count])[count].day > MAX_A_DAY:
        tx.counters.take_back([count])  # what is not sent counts for nothing
        return
    told = SignedInMessage(
        username=account.username,
        what=what,
        at=tx.now,
        detail="",
        sign_in=waits.id if waits else "",
        **origin.where,
    )
    due_at = waits.expires_at if waits else 0
    notify(tx, told, mailboxes_of(tx, person.id), due_at=due_at, link_for=lambda c: lock_link(tx, person, c))


# ── wrong ones ──────────────────────────────────────────────────────────────


def look(tx: Tx, since: int, after: str = "", limit: int = 200) -> tuple[int, str]:
    """Tells the owners of accounts for which wrong passwords pile up. For upkeep; costs by the accounts that something
    was tried for lately.

    Args:
        since: ms; only accounts that something was tried for since then are looked at.
        after: the name to go on behind.

    Returns:
        The number of mails, and where to go on; empty at the end.
    """
    names = tx.failures.touched(NAMES, since, after, limit)
    accounts = {name: tx.people.account(name.removeprefix(NAMES)) for name in names}
    mails = sum(_look_at(tx, name, a) for name, a in accounts.items() if a is not None)
    return mails, names[-1] if len(names) == limit else ""


def _look_at(tx: Tx, name: str, account: Account) -> int:
    told = f"mail/tries/{account.person_id}"
    person = tx.people.person(account.person_id)
    if person is None or person.state != "active" or account.state == "disabled" or tx.counters.get(told).day:
        return 0
    failures = [f for f in tx.failures.of_names([name]) if f.count and f.last_at > tx.now - WINDOW]
    foreign = [f for f in failures if not password_attempts.is_own(f.network)]
    off = set(password_attempts.disabled_for(tx, account.id)) - {"browser"}
    if not foreign or not (off or _over_threshold(foreign)):
        return 0
    if tx.counters.add([TOLD])[TOLD].hour > MAX_TOLD:
        tx.counters.take_back([TOLD])  # many at once are the administrator's to hear of, by one alarm (J2)
        return 0
    if tx.counters.add([told])[told].day > 1:
        return 0
    last = max(foreign, key=lambda f: f.last_at)
    tries = TriesMessage(
        username=account.username,
        off=bool(off),
        at=last.last_at,
        source=last.source,
        device=last.device,
        path="/account",
    )
    sent = notify(tx, tries, mailboxes_of(tx, person.id))
    tx.audit.record(person.id, [Note("tries_told", {"account": account.id, "different": len(foreign)})])
    return sent


def _over_threshold(foreign: list[Failure]) -> bool:
    """Whether one far end tried so many that it has to wait, or all together as many as switch a password off."""
    by_place: dict[str, int] = {}
    for f in foreign:
        by_place[f.network] = by_place.get(f.network, 0) + 1
    return max(by_place.values()) >= FREE_ATTEMPTS or len(foreign) >= BUDGET["stranger"]
