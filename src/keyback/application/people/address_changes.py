"""Addresses and numbers that an import changes: told at once to everybody who was a contact before, and refused by a
link (ADR 25, 48).

The link goes to contacts that could stop a recovery too. Opening it changes nothing; only a POST does. Refusing takes
back the new address alone: nobody has to be locked out because of a slip in the company's records.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from keyback.application.notifications import account_changes
from keyback.application.notifications.account_changes import masked, notify_account_change, trusted
from keyback.application.notifications.link_endings import Ended, why_over
from keyback.application.notifications.notify import NOTICE_LIFE, as_job, username_of
from keyback.application.notifications.stop_link import stop_link
from keyback.application.origin import Origin
from keyback.application.ports.messages import AccountChangedMessage, MovingMessage
from keyback.application.ports.storage import Job, Tx
from keyback.domain.challenges.challenge import Challenge
from keyback.domain.people.addresses import AddressChange
from keyback.domain.people.person import Account, Contact, Person
from keyback.domain.recovery.events import Note

METHOD: Final = "address"  # of the challenges behind these links; their `handle` is the contact that was told
RECORDS: Final = Origin("", "")  # nobody's browser: the company's records

_SAID: Final = {
    "moving": "backup_moving",
    "added": "backup_moving",
    "kept": "mail_kept",
    "removed": "mail_removed",
}
_SAID_OF_NUMBERS: Final = {
    "moving": "phone_moving",
    "added": "phone_moving",
    "kept": "phone_kept",
    "removed": "phone_removed",
}


def said(change: AddressChange, now: int) -> str:
    """The word for a change, in the audit log and in messages; empty for what nobody is told."""
    old, new = change.old, change.new
    if change.kind == "refused":
        return ""
    if new.channel == "sms":
        counts = change.kind == "added" and new.usable_from <= now
        return "phone_added" if counts else _SAID_OF_NUMBERS[change.kind]
    if change.kind == "moved":
        return "mail_moved"
    if change.kind == "added" and new.usable_from <= now:
        return "mail_added"
    if change.kind in ("moving", "added") and (new.role == "primary" or (old is not None and old.role == "primary")):
        return "mail_moving"
    return _SAID[change.kind]


def notify_address_changes(tx: Tx, changes: Sequence[AddressChange]) -> None:
    """Records changes and tells the contacts of whom they concern; in as many statements for many as for one."""
    told = [(c, what) for c in changes if (what := said(c, tx.now))]
    ids = sorted({c.new.person_id for c, _ in told})
    people, contacts, accounts = tx.people.people(ids), tx.people.contacts(ids), tx.people.accounts(ids)
    links: list[Challenge] = []
    jobs: list[Job] = []
    for c, what in told:
        person = people.get(c.new.person_id)
        if person is None:
            continue
        data = {"contact": c.new.id, "old": c.old.id if c.old else "", "until": c.new.usable_from}
        tx.audit.record(person.id, [Note(what, data)])
        # A new address is told of itself once it counts: it may be a stranger's.
        readers = {x.id: x for x in contacts.get(person.id, ()) if x.id != c.new.id or what == "mail_moved"}
        gone = c.new if c.kind == "removed" else c.old
        readers |= {gone.id: gone} if gone is not None else {}
        for reader in readers.values():
            link = _link(tx, person, c.new, reader, what)
            links += [link] if link else []
            jobs.append(_message(tx, person, accounts.get(person.id, ()), c, what, reader, link))
    tx.challenges.issue(links)
    tx.outbox.put(jobs)


def _link(tx: Tx, person: Person, new: Contact, reader: Contact, what: str) -> Challenge | None:
    """Of what waits, the link that refuses it; of what has happened, the one that locks the account."""
    if not trusted(reader, tx.now):
        return None
    until = new.usable_from
    if _waits(what):
        return stop_link(tx, person, METHOD, until, target=new.id, handle=reader.id)
    until = tx.now + (account_changes.GONE_LINK_LIFE if reader.state == "removed" else account_changes.LINK_LIFE)
    return stop_link(tx, person, account_changes.METHOD, until, target=reader.id)


def _waits(what: str) -> bool:
    return what in ("mail_moving", "backup_moving", "phone_moving")


def _message(
    tx: Tx,
    person: Person,
    accounts: Sequence[Account],
    c: AddressChange,
    what: str,
    reader: Contact,
    link: Challenge | None,
) -> Job:
    own = [a.username for a in accounts if not a.provider] or [a.username for a in accounts]
    # Texts for phones have one form for all that changes; without a link there is nothing to refuse by.
    refusable_here = _waits(what) and link is not None and reader.channel == "mail"
    make = partial(MovingMessage, until=c.new.usable_from) if refusable_here else AccountChangedMessage
    told = make(username=own[0] if own else "", what=what, at=tx.now, detail=masked(c.new), **RECORDS.where)
    return as_job(tx, told, reader, tx.now + NOTICE_LIFE, challenge=link.id if link else "")


# ── refusing ────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Moving:
    """What the reader of such a notice may see.

    Args:
        until: when the new address counts (ms).
        username: whose account it is about, since two people may read one mailbox.
        phone: it is a number.
    """

    problem: Ended | None
    address: str = ""
    old: str = ""
    primary: bool = False
    until: int = 0
    username: str = ""
    phone: bool = False


def notice(tx: Tx, token: str) -> Challenge | None:
    """The challenge behind the link of a notice about an address."""
    return tx.challenges.behind(token, "cancel", METHOD)


def look(tx: Tx, token: str) -> Moving:
    """Reads; changes nothing, however often it is called."""
    p = notice(tx, token)
    if p is None:
        return Moving("unknown")
    new = tx.contacts.many([p.target]).get(p.target)
    if (problem := _problem(tx, p, new)) is not None or new is None:
        return Moving(problem or "gone")
    old = tx.contacts.many([new.replaces]).get(new.replaces) if new.replaces else None
    primary = new.role == "primary" or (old is not None and old.role == "primary")
    username = username_of(tx, new.person_id)
    return Moving(
        None, masked(new), masked(old) if old else "", primary, new.usable_from, username, new.channel == "sms"
    )


def _problem(tx: Tx, p: Challenge, new: Contact | None) -> Ended | None:
    """What has become of the address weighs more than how the link ended: another link may have refused it."""
    if p.ended == "used":
        return "used"
    if new is None or new.state != "confirmed":
        return "gone"
    if not refusable(new, tx.now):
        return "in_effect"
    return why_over(tx, p, bound=False)


def refusable(c: Contact, now: int) -> bool:
    """Whether an import brought this contact, and it may not recover yet."""
    return c.origin == "import" and c.state == "confirmed" and c.usable_from > now


def refuse_by_link(tx: Tx, token: str, origin: Origin) -> bool:
    """Takes back the address whose notice this is; True for exactly one caller."""
    p = notice(tx, token)
    if p is None:
        return False
    tx.people.lock(p.person_id)
    if look(tx, token).problem or not tx.challenges.end(p.id, "used"):
        return False
    return refuse(tx, p.target, origin, by=p.handle) is not None


def refuse(tx: Tx, contact_id: str, origin: Origin, by: str = "") -> Contact | None:
    """Takes back what an import brought and may not recover yet, and tells everybody. What it was to replace stays. The
    next import of the same address leaves it out and reports it.

    Args:
        by: id of the contact whose link it was; empty from inside.
    """
    c = tx.contacts.many([contact_id]).get(contact_id)
    if c is None:
        return None
    tx.people.lock(c.person_id)  # an import may be about to write them
    gone = tx.contacts.refuse(contact_id)
    if gone is not None:
        tx.challenges.end_where("stopped", target=gone.id)
        data: dict[str, object] = {"contact": gone.id, "by": by}
        what = "phone_refused" if gone.channel == "sms" else "mail_refused"
        notify_account_change(tx, gone.person_id, what, origin, detail=masked(gone), data=data)
    return gone


# ── upkeep ──────────────────────────────────────────────────────────────────


def take_places(tx: Tx, limit: int = 200) -> int:
    """Lets addresses whose wait is over take their place, and tells everybody once more; how many there were.

    The people are locked before their contacts are looked at, in one order on every node (ADR 28).
    """
    whose = sorted(tx.contacts.due_places(limit))
    for person_id in whose:
        tx.people.lock(person_id)
    done = tx.contacts.take_places(whose) if whose else []
    for new, _ in done:
        tx.challenges.end_where("stopped", target=new.id, method=METHOD)
        tx.people.bump_security(new.person_id)
    notify_address_changes(
        tx, [AddressChange("moved" if new.role == "primary" else "added", new, old) for new, old in done]
    )
    return len(done)
