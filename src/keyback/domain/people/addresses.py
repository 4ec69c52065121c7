"""Mail addresses and phone numbers that an import brings: what each is for its person from then on. Pure.

Whoever edits a record at the source must not take the account with it. So an address that was not there before waits as
long as any new contact, and what it is to replace stays what it is until then (ADR 25). Numbers are as backup
addresses are (ADR 48).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from keyback.domain.people.factor import COOLING_OFF
from keyback.domain.people.person import Contact, ContactChannel, same_mailbox

Kind = Literal["moving", "moved", "added", "removed", "kept", "refused"]


@dataclass(frozen=True, slots=True)
class AddressChange:
    """One address or number of one person that an import changes.

    Args:
        kind: `moving`: `new` takes the place of `old` once it may recover. `moved`: it has taken it.
            `added`, `removed`: one more, one less. `kept`: the file names `old` again before `new` took its place.
            `refused`: the file names what its owner refused or gave up, so it is left out.
        new: the address that the change is about; of `removed`, the one that is gone.
        old: what it replaces; None where it replaces nothing.
    """

    kind: Kind
    new: Contact
    old: Contact | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """All contacts of one channel of a person afterwards, by id, and what changed."""

    rows: Mapping[str, Contact]
    changes: tuple[AddressChange, ...]


def named(rows: Iterable[Contact]) -> tuple[str | None, tuple[str, ...]]:
    """The primary address and the other ones that the last import named, as far as they are there: what waits counts as
    there, what it replaces as gone."""
    own = [c for c in rows if c.channel == "mail" and c.state == "confirmed" and c.origin == "import"]
    main = {c.id for c in rows if c.role == "primary" and c.state == "confirmed"}
    swapped = {c.id for c in own if c.role == "primary" and c.replaces}
    waiting = [c for c in own if waits(c)]
    gone = {c.replaces for c in waiting} - swapped
    first = next((c for c in waiting if c.replaces in main), None) or next((c for c in own if c.id in main), None)
    rest = (c for c in own if c is not first and c.id not in gone and (c.role == "backup" or c.id in swapped))
    return first.address if first else None, tuple(sorted(c.address for c in rest))


def named_numbers(rows: Iterable[Contact]) -> tuple[str, ...]:
    """The phone numbers that the last import named, as far as they are there, as `named` has it for addresses."""
    own = [c for c in rows if c.channel == "sms" and c.state == "confirmed" and c.origin == "import"]
    gone = {c.replaces for c in own if waits(c)}
    return tuple(sorted(c.address for c in own if c.id not in gone))


def waits(c: Contact) -> bool:
    """Whether a contact is to take another one's place. A primary one with `replaces` takes the place of what takes its
    own: the two change places."""
    return c.state == "confirmed" and c.role == "backup" and bool(c.replaces)


def leads_to(c: Contact) -> bool:
    """Whether a person is found by this address: the company's, also one that waits, and the primary one, also where
    its owner gave it up."""
    if c.channel != "mail" or c.role == "recovery":
        return False
    if c.state == "confirmed":
        return c.origin == "import" or c.role == "primary"
    return c.state == "removed" and c.role == "primary" and not c.ended_by


def settle(
    rows: Sequence[Contact], mails: Sequence[str], person_id: str, now: int, new_id: Callable[[], str], at_once: bool
) -> Outcome:
    """What the mail contacts of a person become when an import names these addresses.

    Args:
        rows: all mail contacts, in any state.
        mails: the primary one first.
        now: ms.
        at_once: the company says that it moved its addresses: nothing waits.
    """
    book = _Book(rows, person_id, now, new_id, at_once)
    wanted = [book.take(m) for m in _distinct(mails)]
    keep = {c for c in wanted if c}
    book.call_off(keep)
    if wanted and wanted[0]:
        book.primary(wanted[0], keep)
    book.backups([c for c in wanted[1:] if c and c != wanted[0]], keep, spared=wanted[1:].count(""))
    return Outcome(book.rows, tuple(book.changes))


def settle_numbers(
    rows: Sequence[Contact], numbers: Sequence[str], person_id: str, now: int, new_id: Callable[[], str]
) -> Outcome:
    """The same for phone numbers, in the form of `domain.people.phone.e164`; new ones always wait."""
    book = _Book(rows, person_id, now, new_id, False, "sms")
    wanted = [book.take(n) for n in dict.fromkeys(numbers)]
    keep = {c for c in wanted if c}
    book.call_off(keep)
    book.backups([c for c in wanted if c], keep, spared=wanted.count(""))
    return Outcome(book.rows, tuple(book.changes))


def take_place(new: Contact, old: Contact | None, now: int, *, alone: bool) -> tuple[Contact, Contact | None]:
    """Both after the wait is over.

    Args:
        alone: the person has no primary address any more.
    """
    alone = alone and new.channel == "mail"
    role = "primary" if alone or (old is not None and old.role == "primary") else new.role
    new = replace(new, role=role, replaces="")
    if old is None or old.state != "confirmed":
        return new, old
    if old.origin == "person" or old.replaces == new.id:  # theirs, not the file's to take away; or named as well
        return new, demoted(old, now)
    return new, _removed(old, now)


def demoted(c: Contact, now: int) -> Contact:
    """A primary address that goes on as a backup one. Only these age (`domain.people.ages`), and this one begins to:
    until now
    everything went there."""
    return replace(c, role="backup", replaces="", confirmed_at=now, reminded=0)


def _removed(c: Contact, now: int) -> Contact:
    return replace(c, state="removed", ended_at=now, ended_by="import", replaces="")


def _distinct(mails: Sequence[str]) -> list[str]:
    out: list[str] = []
    for m in mails:
        if not any(same_mailbox(m, o) for o in out):
            out.append(m)
    return out


class _Book:
    """The contacts of one person while a file is compared with them."""

    def __init__(
        self,
        rows: Sequence[Contact],
        person_id: str,
        now: int,
        new_id: Callable[[], str],
        at_once: bool,
        channel: ContactChannel = "mail",
    ) -> None:
        self.before = {c.id: c for c in rows}
        self.rows = dict(self.before)
        self.changes: list[AddressChange] = []
        self._came: set[str] = set()
        self._channel: ContactChannel = channel
        self._person, self._now, self._new_id, self._at_once = person_id, now, new_id, at_once

    def _put(self, c: Contact) -> str:
        self.rows[c.id] = c
        return c.id

    def _is_free(self, c: Contact) -> bool:
        return c.usable_from <= self._now

    def take(self, mail: str) -> str:
        """The contact of an address that the file names; empty where its owner refused it."""
        alike = [c for c in self.rows.values() if c.address == mail]
        alike += [c for c in self.rows.values() if same_mailbox(c.address, mail)]
        c = min(alike, key=lambda c: (c.state != "confirmed", c.address != mail), default=None)
        if c is not None and c.state == "removed" and (c.origin, c.ended_by) == ("import", "") and not self._at_once:
            self.changes.append(AddressChange("refused", c))
            return ""
        ready = self._now if self._at_once else self._now + COOLING_OFF
        if c is None or c.state != "confirmed" or c.role == "recovery":
            cid = c.id if c else self._new_id()
            self._came.add(cid)
            new = Contact(cid, self._person, self._channel, mail, "backup", added_at=self._now, usable_from=ready)
            return self._put(replace(new, confirmed_at=self._now))
        taken = any(o.address == mail and o.id != c.id for o in alike)
        c = replace(c, origin="import", address=c.address if taken else mail)
        return self._put(replace(c, usable_from=min(c.usable_from, ready)))

    def call_off(self, keep: set[str]) -> None:
        """What waited and is no longer named waits no more."""
        for c in list(self.rows.values()):
            if waits(c) and c.id not in keep:
                old = self.rows.get(c.replaces)
                self._put(_removed(c, self._now))
                if old is not None and old.id in keep:
                    self.changes.append(AddressChange("kept", c, old))

    def primary(self, cid: str, keep: set[str]) -> None:
        new = self.rows[cid]
        old = next((c for c in self.rows.values() if c.role == "primary" and c.state == "confirmed"), None)
        if old is not None and old.id == cid:
            self._put(replace(new, replaces=""))
        elif old is None or self._is_free(new):
            self._put(replace(new, role="primary", replaces=""))
            if old is not None:
                stays = old.id in keep or old.origin == "person"
                self._put(demoted(old, self._now) if stays else _removed(old, self._now))
            self.changes.append(AddressChange("moved" if old else "added", self.rows[cid], old))
        else:
            self._replace(cid, old)
            self._put(replace(old, replaces=cid if old.id in keep else ""))

    def backups(self, cids: Sequence[str], keep: set[str], spared: int) -> None:
        """Pairs what is new with what is no longer named; what is left of the latter is gone at once.

        Args:
            spared: how many new ones were refused: what they would have replaced stays.
        """
        gone = [
            c
            for c in sorted(self.rows.values(), key=lambda c: (c.added_at, c.id))
            if c.state == "confirmed" and c.role == "backup" and c.origin == "import" and c.id not in keep
        ]
        waiting = [self.rows[i] for i in cids if not self._is_free(self.rows[i])]
        for c in sorted(waiting, key=lambda c: not c.replaces):
            old = next((g for g in gone if g.id == c.replaces), gone[0] if gone else None)
            if old is not None:
                gone.remove(old)
                self._replace(c.id, old)
            else:
                self._put(replace(c, replaces=""))
        self.changes += [AddressChange("added", self.rows[i]) for i in cids if self._is_alone(i)]
        for old in gone[spared:]:
            self._put(_removed(old, self._now))
            self.changes.append(AddressChange("removed", old))

    def _is_alone(self, cid: str) -> bool:
        return cid in self._came and not self.rows[cid].replaces

    def _replace(self, cid: str, old: Contact) -> None:
        before = self.before.get(cid)
        new = self._put(replace(self.rows[cid], replaces=old.id))
        if before is None or before.replaces != old.id or cid in self._came:
            self.changes.append(AddressChange("moving", self.rows[new], old))
