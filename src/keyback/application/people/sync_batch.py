"""One transaction of a sync: whose each account is, and what is written of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from keyback.application.people import links
from keyback.application.people.saving import AddressLine, save_people
from keyback.application.people.sync_undone import Undone
from keyback.application.people.synced import Synced, account_part, can_link, key_of, own_part
from keyback.application.ports.imports import ImportedPart, ImportResult
from keyback.application.ports.storage import Match, Tx
from keyback.application.ports.syncs import KnownAccount, LinkReason, PersonLink
from keyback.domain.units import HOUR

NOT_MET = -1  # generation of an account that the list has, without access


@dataclass(frozen=True, slots=True)
class SyncRules:
    """What a sync may do by itself.

    Args:
        locale: of people whose language nobody knows.
        max_off_percent: the largest share of the accounts that may be switched off at once.
        max_accounts: a longer list is none.
        link_by_mail: an account may be given to the one person with its address (`can_link`).
        full_every_ms: the whole list is read again after so long, for whoever was deleted; in between, only what
            changed.
        country: of phone numbers without a country code; None: no numbers are taken.
        no_phones_from: systems whose numbers are not taken.
    """

    locale: str = "en"
    max_off_percent: int = 10
    max_accounts: int = 1_000_000
    link_by_mail: bool = False
    full_every_ms: int = 24 * HOUR
    country: str | None = None
    no_phones_from: frozenset[str] = frozenset()

    def country_for(self, system: str) -> str | None:
        return None if system in self.no_phones_from else self.country


@dataclass(frozen=True, slots=True)
class ThisRun:
    """The run that a batch is part of.

    Args:
        is_on: whether the list has named this ID, with access.
        shared: addresses that several accounts of the list have, of those that are looked at last.
        full: the whole list is read; else only what changed, so that who is not in it may be there all the same.
        undone: what the batches before would have left, in a dry run.
    """

    system: str
    title: str
    generation: int
    rules: SyncRules
    is_on: Callable[[str], bool]
    shared: frozenset[str] = frozenset()
    full: bool = True
    undone: Undone = field(default_factory=Undone)


@dataclass(slots=True)
class Done:
    """What a batch came to. `later`: accounts to be looked at again once the whole list was read. `off`: IDs of those
    that are on and have no access any more. `skipped`: reasons and IDs. `claims`: user names of those who were written,
    and their IDs. `met`, `released`: IDs of accounts that were met, and of those who gave up their user names."""

    results: list[ImportResult] = field(default_factory=list)
    lines: Sequence[AddressLine] = ()
    skipped: list[tuple[str, str]] = field(default_factory=list)
    later: list[Synced] = field(default_factory=list)
    off: list[str] = field(default_factory=list)
    linked: int = 0
    claims: list[tuple[str, str]] = field(default_factory=list)
    met: Sequence[str] = ()
    released: Sequence[str] = ()


def save_batch(tx: Tx, run: ThisRun, batch: Sequence[Synced], *, last: bool) -> Done:
    """Writes what the list says of these accounts.

    Args:
        last: the whole list was read, so that who has not been met is not in it; nothing is left for later.
    """
    return _Batch(tx, run, last).save(batch)


class _Batch:
    def __init__(self, tx: Tx, run: ThisRun, last: bool) -> None:
        self._tx, self._run, self._last = tx, run, last
        self._done = Done()
        self._parts: dict[str, ImportedPart] = {}
        self._met: list[str] = []
        self._without: list[str] = []  # no access, and no run has met them: from here on they are a sync's
        self._doubtful: list[PersonLink] = []
        self._managers: dict[str, str] = {}  # of accounts where it is another one now
        self._groups: dict[str, tuple[str, ...]] = {}  # of accounts whose system tells them
        self._names: dict[str, str] = {}  # user names of those who are written, by their IDs
        self._linked: list[tuple[Synced, str]] = []  # accounts that go to somebody by their address

    def save(self, batch: Sequence[Synced]) -> Done:
        tx, run, done = self._tx, self._run, self._done
        listed = tx.syncs.known(run.system, [s.external_id for s in batch])
        known = run.undone.known(listed)
        strangers = [s for s in batch if s.external_id not in known and self._is_new(s)]
        mine = [s for s in batch if s.external_id in known and self._is_due(s, known[s.external_id])]
        names = [s.canonical for s in (*mine, *strangers)]
        owners, past = run.undone.owners(names, self._named(names, listed), run.generation)
        links_now = tx.syncs.links_of(run.system, [s.external_id for s in strangers])
        settled = {s.external_id for s in mine}  # they are written here, so they give up the name that they have
        released: dict[str, KnownAccount] = {}
        for s in mine:
            if self._may_have(s, owners.get(s.canonical), settled, released):
                self._add(s, known[s.external_id])
            self._met.append(s.external_id)
        found = self._matches(strangers)
        for s in strangers:
            link = links_now.get(s.external_id)
            self._place(s, link, found.get(s.external_id, ()), owners.get(s.canonical), settled, released)
        tx.syncs.release_names([*released.values(), *past])
        done.met, done.released = self._met, [k.external_id for k in released.values()]
        self._write()
        tx.syncs.put_links(self._doubtful)
        tx.syncs.drop_links(run.system, [i for i in links_now if i in set(self._met)])
        return done

    def _named(self, names: Sequence[str], found: Mapping[str, KnownAccount]) -> Mapping[str, KnownAccount]:
        """Who has these user names now; nearly always those who were found by their ID, who need not be read again."""
        theirs = {k.canonical: k for k in found.values()}
        asked = [n for n in names if n not in theirs]
        return theirs | dict(self._tx.syncs.named(self._run.system, asked)) if asked else theirs

    # ── who is written ──────────────────────────────────────────────────────

    def _is_due(self, s: Synced, k: KnownAccount) -> bool:
        if self._run.full and k.generation == self._run.generation and s.active:  # met before this run broke off
            self._done.results.append("same")
            return False
        if s.fault:
            self._skip(s.fault, s)
            self._met.append(s.external_id)
            return False
        if s.bad_mail:
            self._skip("bad_mail", s)
        if not s.active and k.state == "disabled":
            self._done.results.append("same")
        elif not s.active:
            self._done.off.append(s.external_id)
            if k.generation == 0:
                self._without.append(s.external_id)
        return s.active  # who has no access is switched off at the end, like whoever is gone

    def _is_new(self, s: Synced) -> bool:
        why = s.fault or ("" if s.active else "off") or ("bad_mail" if s.bad_mail else "" if s.mail else "no_mail")
        if why:
            self._skip(why, s)
        return not why

    def _skip(self, why: str, s: Synced) -> None:
        self._done.skipped.append((why, s.external_id))

    def _may_have(
        self, s: Synced, owner: KnownAccount | None, settled: set[str], released: dict[str, KnownAccount]
    ) -> bool:
        """Whether an account may have its user name. Whoever has it, and has not been met, has another one by now, or
        is gone: the system itself says whose it is."""
        if owner is None or owner.external_id == s.external_id or owner.external_id in settled:
            return True
        if owner.generation == self._run.generation:
            self._skip("taken", s)
            return False
        released[owner.id] = owner
        return True

    # ── whose a new account is ──────────────────────────────────────────────

    def _matches(self, strangers: Sequence[Synced]) -> Mapping[str, Sequence[Match]]:
        """By ID, people who are there already with the account's address, but for those who have an account of their
        own in the list: one address, two people."""
        if not strangers:
            return {}
        hits = self._tx.people.match([s.mail_canonical for s in strangers])
        ids = sorted({m.person.id for found in hits.values() for m in found})
        theirs = self._tx.syncs.of_people(self._run.system, ids) if ids else ()
        apart = {a.person_id for a in theirs if self._run.is_on(a.external_id)}
        return {
            s.external_id: [m for m in hits.get(s.mail_canonical, ()) if m.person.id not in apart] for s in strangers
        }

    def _place(
        self,
        s: Synced,
        link: PersonLink | None,
        found: Sequence[Match],
        owner: KnownAccount | None,
        settled: set[str],
        released: dict[str, KnownAccount],
    ) -> None:
        if owner is not None and owner.external_id in settled:
            owner = None
        alone = not found and owner is None
        if alone or (link is not None and link.state == "rejected"):
            if self._may_have(s, owner, settled, released):
                self._add(s, None)
                self._met.append(s.external_id)
        elif not self._run.full:  # whose it is shows only beside all the others
            self._skip("waits", s)
        elif not self._last:
            self._done.later.append(s)
        elif owner is not None and self._run.is_on(owner.external_id):
            if self._may_have(s, owner, settled, released):
                self._add(s, None)
                self._met.append(s.external_id)
        elif owner is not None:
            self._doubt(s, "username", owner.person_id)
        elif self._can_link(s, found):
            self._linked.append((s, found[0].person.id))
        else:
            self._doubt(s, "mail", found[0].person.id if len(found) == 1 else "")

    def _can_link(self, s: Synced, found: Sequence[Match]) -> bool:
        return (
            self._run.rules.link_by_mail
            and len(found) == 1
            and s.mail_canonical not in self._run.shared
            and not any(a.system == self._run.system for a in found[0].accounts)
            and can_link(s, found[0], self._tx.now)
        )

    def _doubt(self, s: Synced, reason: LinkReason, person_id: str) -> None:
        self._skip("doubtful", s)
        a = s.account
        link = PersonLink(
            self._tx.new_id(), a.system, s.external_id, a.username, s.name, s.mail, a.privileged, a.provider,
            person_id, reason, "open", self._run.generation, self._tx.now,
        )  # fmt: skip
        self._doubtful.append(link)

    # ── writing ─────────────────────────────────────────────────────────────

    def _add(self, s: Synced, k: KnownAccount | None) -> None:
        self._names[s.external_id] = s.canonical
        if s.manager is not None and s.manager != (k.manager if k else ""):
            self._managers[s.external_id] = s.manager
        self._note_groups(s)
        own = k is None or k.key == key_of(self._run.system, s.external_id)
        if k is None or own:
            part = own_part(s, self._run.rules.locale)
            if s.bad_phone:
                self._skip("bad_phone", s)
        else:
            part = account_part(k.key, k.person_state, [s.account])
        there = self._parts.get(part.key)
        if there is not None:  # several accounts of one person: whoever brought them in speaks for them
            both = (*there.accounts, *part.accounts)
            part = replace(part if own else there, accounts=both)
        self._parts[part.key] = part

    def _note_groups(self, s: Synced) -> None:
        if s.groups is not None:
            self._groups[s.external_id] = s.groups
        if s.bad_group:
            self._skip("bad_group", s)

    def _write(self) -> None:
        tx, run = self._tx, self._run
        parts = list(self._parts.values())
        saved, self._done.lines = save_people(tx, parts, adopt=False, generation=run.generation)
        fresh = set[str]()  # written with their generation
        for part, result in zip(parts, saved.results, strict=True):
            if result == "username_taken":
                self._done.skipped += [("taken", a.external_id) for a in part.accounts]
            else:
                self._done.results.append(result)
                fresh |= {a.external_id for a in part.accounts} if result == "added" else set()
                self._done.claims += [(self._names[a.external_id], a.external_id) for a in part.accounts]
        tx.syncs.met(run.system, [i for i in self._met if i not in fresh], run.generation)
        tx.syncs.met(run.system, self._without, NOT_MET)
        for s, person_id in self._linked:
            links.connect(tx, s.account, person_id, run.generation, run.title, {"by": "mail"})
            self._note_groups(s)
        self._managers |= {s.external_id: s.manager for s, _ in self._linked if s.manager}
        tx.syncs.put_managers(run.system, self._managers)
        tx.groups.put_of_accounts(run.system, self._groups)
        self._done.linked = len(self._linked)
        self._done.claims += [(s.canonical, s.external_id) for s, _ in self._linked]
