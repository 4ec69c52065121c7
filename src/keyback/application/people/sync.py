"""People from a system: every account it lists, by the ID that never changes (ADR 41).

An account is known by its ID alone. Whoever is new becomes a person of their own, unless an address or a user name
points to somebody who is there already: then an operator looks. Who is no longer listed, or listed without access, is
switched off at the end, once the whole list was read, and only if they are not too many.

A run has a generation, and accounts carry that of the run that met them; so one that broke off goes on, and a second
one changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial

from keyback.application.people.saving import BATCH, write
from keyback.application.people.sync_batch import Done, SyncRules, ThisRun, save_batch
from keyback.application.people.sync_report import SyncReport
from keyback.application.people.sync_undone import Undone
from keyback.application.people.synced import Synced, key_of, read_account
from keyback.application.ports.connectors import Connector, FoundAccount, Unavailable
from keyback.application.ports.storage import Database, StorageDown, Tx
from keyback.application.ports.syncs import KnownAccount, RunState, SyncLost, SyncRun
from keyback.domain.recovery.events import Note
from keyback.domain.units import HOUR, MINUTE

LEASE = 2 * MINUTE  # how long a run that was killed keeps others out
RESUME = 24 * HOUR  # how long a run that broke off is gone on with
MAX_LATER = 20_000  # accounts kept until the list has ended, since they look like somebody's
MAX_PAGES_OF_OLD = 3  # pages in a row with nobody new: the list goes round
Progress = Callable[[int, int], None]


class BadListing(Exception):
    """The system was asked, and what it lists cannot be all of its accounts; `code` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


async def sync_people(
    db: Database,
    connector: Connector,
    owner: str,
    rules: SyncRules,
    *,
    dry_run: bool = False,
    any_off: bool = False,
    full: bool = True,
    batch_size: int = BATCH,
    progress: Progress | None = None,
) -> SyncReport:
    """Brings people in and up to date as a system lists them; a second time it changes nothing.

    Args:
        owner: who runs it, 22 characters at most, another one each time.
        dry_run: does all the work, undoes every transaction and records nothing.
        any_off: switches off however many are missing.
        full: reads the whole list; else only what changed, where the last whole one ended less than
            `SyncRules.full_every_ms` ago and the system can say so.
        batch_size: accounts in one transaction.
        progress: told (accounts done, accounts expected).

    Raises:
        Unavailable: the system cannot be asked, or stopped answering. What was read until then stays, nobody was
            switched off, and the next run goes on.
        BadListing: likewise, for what the system answered.
        SyncBusy: somebody else syncs this system.
        SyncLost: somebody else took the run up, since nothing was heard of this one for too long.
        StorageDown: the database did not take a batch; the next run goes on from there.
    """
    run = _Sync(db, connector, owner, rules, batch_size, dry_run=dry_run, full=full)
    await run.begin()
    try:
        await run.read(progress)
    except (Unavailable, BadListing) as e:
        await run.end("broken", e.code)
        raise
    except (StorageDown, SyncLost):
        raise
    except BaseException as e:  # the process ends, or the connector has a fault
        with contextlib.suppress(StorageDown, SyncLost):
            await run.end("broken", "stopped" if isinstance(e, asyncio.CancelledError) else "failed")
        raise
    await run.finish(any_off)
    return run.report


class _Sync:
    def __init__(
        self,
        db: Database,
        connector: Connector,
        owner: str,
        rules: SyncRules,
        batch_size: int,
        *,
        dry_run: bool,
        full: bool,
    ) -> None:
        self._db, self._connector, self._owner, self._rules = db, connector, owner, rules
        self._size = batch_size
        self._system, self._dry_run, self._full = connector.name, dry_run, full
        self.report = SyncReport(system=connector.name, dry_run=dry_run)
        self._generation = 0
        self._met: set[int] = set()  # 8 bytes of each ID: a list of any length stays small
        self._on: set[int] = set()  # those of them with access
        self._off: list[str] = []  # known to be on, and listed without access
        self._since = ""  # only what changed since this mark is asked for
        self._later: list[Synced] = []
        self._shared: frozenset[str] = frozenset()
        self._undone = Undone()

    async def begin(self) -> None:
        def fn(tx: Tx) -> SyncRun | None:
            if self._dry_run:
                self.report.live = tx.syncs.live(self._system)
                return self._decide(tx.now, tx.syncs.run(self._system))
            run = tx.syncs.begin(self._system, self._owner, LEASE, RESUME)
            self._decide(tx.now, run)
            facts = {"system": self._system, "generation": run.generation, "resumed": run.resumed}
            tx.audit.record("import", [Note("people_sync_started", {**facts, "full": self.report.full})])
            return run

        run = await (self._db.read(fn) if self._dry_run else self._db.write(fn))
        if self._dry_run:
            self._generation = (run.generation if run else 0) + 1
        elif run:
            self._generation, self.report.resumed, self.report.live = run.generation, run.resumed, run.live

    def _decide(self, now: int, run: SyncRun | None) -> SyncRun | None:
        """Whether the whole list is read."""
        due = run is None or not run.cursor or now - run.full_at >= self._rules.full_every_ms
        self.report.full = self._full or due
        self._since = "" if self.report.full or run is None else run.cursor
        return run

    async def _mark(self) -> None:
        """Noted before the list is read, so that what changes meanwhile is read once more."""
        mark = None if self._dry_run else await self._connector.mark()
        if mark:
            await self._db.write(lambda tx: tx.syncs.put_mark(self._system, mark))

    # ── reading the list ────────────────────────────────────────────────────

    async def read(self, progress: Progress | None) -> None:
        batch: list[Synced] = []
        stale = 0
        await self._mark()
        pages = self._connector.list_changed(self._since) if self._since else self._connector.list_accounts()
        try:
            async for page in pages:
                new = self._new(page)
                stale = 0 if new or not page else stale + 1
                if stale >= MAX_PAGES_OF_OLD:
                    raise BadListing("endless")
                batch += new
                while len(batch) >= self._size:
                    await self._save(batch[: self._size])
                    del batch[: self._size]
                if progress:
                    expected = self.report.live if self.report.full else 0
                    progress(self.report.listed, max(expected, self.report.listed))
        except (Unavailable, BadListing):
            await self._save(batch)  # what was read is true, and the next run need not do it again
            raise
        await self._save(batch)
        later, self._later = self._later, []
        mails = Counter(s.mail_canonical for s in later)
        self._shared = frozenset(m for m, n in mails.items() if n > 1)
        for n in range(0, len(later), self._size):
            await self._save(later[n : n + self._size], last=True)

    def _new(self, page: Sequence[FoundAccount]) -> list[Synced]:
        """Those of a page that are there for the first time, and can be read."""
        out = []
        for a in page:
            self.report.listed += 1
            if self.report.listed > self._rules.max_accounts:
                raise BadListing("too_many")
            which = hash(a.external_id)
            if which in self._met:
                self.report.skip("twice", a.external_id)
                continue
            self._met.add(which)
            s = read_account(self._system, a, self._rules.country_for(self._system))
            if s.fault == "bad_id":
                self.report.skip(s.fault, repr(a.external_id))
                continue
            if s.active:
                self._on.add(which)
            out.append(s)
        return out

    async def _save(self, batch: Sequence[Synced], *, last: bool = False) -> None:
        if not batch:
            return
        done = await write(self._db, lambda tx: self._batch(tx, batch, last), undo=self._dry_run)
        r = self.report
        for result in done.results:
            setattr(r, result, getattr(r, result) + 1)
        r.count_addresses(done.lines)
        r.linked += done.linked
        for why, external_id in done.skipped:
            r.skip(why, external_id)
        if self._dry_run:
            self._undone.note(done.claims, done.met, done.released)
        self._later += done.later
        self._off += done.off

    def _batch(self, tx: Tx, batch: Sequence[Synced], last: bool) -> Done:
        """One transaction: the same for the same rows, however often the database has it run."""
        if not self._dry_run:
            tx.syncs.renew(self._system, self._owner, LEASE)
        title, full = self._connector.title, self.report.full
        this = ThisRun(
            self._system, title, self._generation, self._rules, self._is_on, self._shared, full, self._undone
        )
        return save_batch(tx, this, batch, last=last or len(self._later) > MAX_LATER)

    def _is_on(self, external_id: str) -> bool:
        return hash(external_id) in self._on

    # ── the end ─────────────────────────────────────────────────────────────

    async def finish(self, any_off: bool) -> None:
        if not self.report.full:
            missing = len(self._off)
        elif self._dry_run:
            missing = await self._missing_dry()
        else:
            missing = await self._db.read(lambda tx: tx.syncs.count_missing(self._system, self._generation))
        if missing and not any_off and self._too_many(missing):
            self.report.held = missing
            await self.end("held")
            return
        self.report.off = missing
        while missing and not self._dry_run:
            gone = await self._db.write(self._switch_off)
            del self._off[: self._size]
            if not (gone if self.report.full else self._off):
                break
        await self.end("done")

    def _too_many(self, missing: int) -> bool:
        """One may always go, but never the last one: an empty list is none."""
        allowed = max(1, self.report.live * self._rules.max_off_percent // 100)
        return missing > allowed or missing >= self.report.live

    def _switch_off(self, tx: Tx) -> int:
        tx.syncs.renew(self._system, self._owner, LEASE)
        if self.report.full:
            gone = tx.syncs.missing(self._system, self._generation, self._size)
        else:
            listed = tx.syncs.known(self._system, self._off[: self._size])
            gone = [a for a in listed.values() if a.state != "disabled"]
        own = [a.person_id for a in gone if a.key == key_of(self._system, a.external_id)]
        tx.syncs.switch_off(gone, own)
        for a in gone:
            tx.audit.record(a.person_id, [Note("account_off", {"account": a.id, "system": self._system})])
        return len(gone)

    async def _missing_dry(self) -> int:
        """How many would be switched off: a dry run leaves no marks, so all are looked at."""
        count, after = 0, ""
        while page := await self._db.read(partial(_live_after, self._system, after)):
            synced = [a for a in page if a.generation or hash(a.external_id) in self._met]
            there = self._undone.met | self._undone.parked
            count += sum(hash(a.external_id) not in there for a in synced)
            after = page[-1].id
        return count

    async def end(self, state: RunState, code: str = "") -> None:
        if self._dry_run:
            return
        counts = self.report.counts()

        def fn(tx: Tx) -> None:
            tx.syncs.renew(self._system, self._owner, LEASE)
            if state != "broken" and self.report.full:
                tx.syncs.drop_old_links(self._system, self._generation)
            tx.syncs.end(self._system, self._owner, state, code, counts, full=self.report.full)
            facts = {"system": self._system, "generation": self._generation, "state": state, **counts}
            tx.audit.record("import", [Note("people_synced", facts)])

        await self._db.write(fn)


def _live_after(system: str, after: str, tx: Tx) -> Sequence[KnownAccount]:
    return tx.syncs.live_accounts(system, after, BATCH)
