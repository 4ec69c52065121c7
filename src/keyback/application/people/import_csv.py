"""Importing people from a CSV file as companies have them: read as a stream, so that memory stays small.

The first pass finds the encoding, the second what columns mean and where each person's last row is; the third checks
every row and writes people as soon as they are complete, a thousand a transaction. Who wants a user name that somebody
else still has comes last, all at once: what counts is the state after the file. What a file does not say is left as it
is: a file without a column for backup mail takes no backup mail away, and one about one system switches nothing off in
another.
"""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

from keyback.application.people.csv_encoding import seekable
from keyback.application.people.csv_file import Table, Unreadable
from keyback.application.people.csv_people import Part, Reader, survey
from keyback.application.people.csv_rows import BadRow, Reason, Row
from keyback.application.people.import_report import Report, Systems
from keyback.application.people.known_keys import refuse_without_keys, second_selves
from keyback.application.people.saving import BATCH, MAX_LINES, Saved, save_people, write
from keyback.application.ports.storage import Database, Imported, ImportResult, Tx
from keyback.domain.people.groups import group_name
from keyback.domain.people.person import canonicalize, needs_utf8
from keyback.domain.recovery.events import Note

Progress = Callable[[int, int], None]
__all__ = ["BadRow", "Report", "Systems", "Unreadable", "import_people"]


async def import_people(
    db: Database,
    path: Path,
    systems: Systems,
    *,
    on_bad: Callable[[BadRow], None],
    dry_run: bool = False,
    moved: bool = False,
    progress: Progress | None = None,
    encoding: str = "",
    ignore: Sequence[str] = (),
) -> Report:
    """Imports a CSV file; a second time it changes nothing.

    Args:
        on_bad: told every row that was left out, roughly in the order of the file.
        dry_run: does all the work, undoes every transaction and records nothing.
        moved: the company moved its addresses: those that changed count at once. Everybody is told all the same.
        progress: told (rows done, rows in all).
        path: a file, a pipe, or `-` for standard input.
        encoding: what somebody said that the file is in; empty to find out.
        ignore: headings of columns to leave out.

    Raises:
        Unreadable: the file as a whole cannot be used; its text says why. Nothing was written.
        StorageDown: the database did not take a batch; earlier batches stay, and running it again goes on from there.
    """
    with seekable(path) as file:
        now = await db.read(lambda tx: tx.now)
        table = Table.of(file, encoding, datetime.datetime.fromtimestamp(now / 1000, datetime.UTC).date())
        table.ignore(ignore)
        _fits(table, systems)
        report = Report(sha256=table.sha256, encoding=table.encoding, dry_run=dry_run)
        last, scope = survey(table, systems, report)
        if "key" not in table.columns:
            await refuse_without_keys(db, table, systems)
        column = table.columns.get("group", [])
        silent = table.columns.get("phone", ()) if systems.phone_country is None else ()
        unused = [c.heading for c in (*table.unused, *silent) if c.heading]
        report.unused, report.warnings, report.notes = tuple(unused), tuple(table.warnings), tuple(table.notes)
        reader = Reader(table, systems, last, scope, report, on_bad)
        run = _Run(db, reader, report, dry_run=dry_run, moved=moved)
        if not dry_run:
            facts = {"file": table.sha256, "rows": table.records, **({"addresses_moved": True} if moved else {})}
            await db.write(lambda tx: tx.audit.record("import", [Note("people_import_started", facts)]))
        people = reader.people()
        while batch := list(islice(people, BATCH)):
            await run.save(batch)
            if progress:
                progress(report.rows, table.records)
        await run.finish()
        if progress:
            progress(table.records, table.records)
        if column:
            report.empty_groups = tuple(g for g in systems.tiers if group_name(g) not in reader.groups)
    if not dry_run:
        counts = {k: getattr(report, k) for k in ("added", "changed", "same", "bad")}
        counts |= {k: n for k in ("addresses", "refused", "switched_off") if (n := getattr(report, k))}
        await db.write(
            lambda tx: tx.audit.record("import", [Note("people_imported", {"file": table.sha256, **counts})])
        )
    return report


class _Run:
    """Writes batches, and at the end whoever had to wait for a user name."""

    def __init__(self, db: Database, reader: Reader, report: Report, *, dry_run: bool, moved: bool) -> None:
        self._db, self._reader, self._report = db, reader, report
        self._dry_run, self._moved = dry_run, moved
        self._waiting: dict[str, Part] = {}
        self._owners: set[str] = set()

    async def save(self, batch: Sequence[Part]) -> None:
        if self._reader.keyed:
            batch = await self._without_second_selves(batch)
        done, lines = await _save(self._db, [p for p, _ in batch], dry_run=self._dry_run, moved=self._moved)
        self._report.count_addresses(lines)
        beyond = [p.name or p.key for p, _ in batch if any(needs_utf8(m) for m in p.mails)]
        self._report.beyond_ascii += beyond[: MAX_LINES - len(self._report.beyond_ascii)]
        for (part, rows), result in zip(batch, done.results, strict=True):
            if result == "username_taken":
                self._waiting[part.key] = part, rows
                self._owners |= set(done.owners[part.key])
            else:
                self._counted(result, rows)

    async def _without_second_selves(self, batch: Sequence[Part]) -> Sequence[Part]:
        mails = {canonicalize(p.mails[0]) for p, _ in batch}
        owners = await self._db.read(lambda tx: tx.people.main_address_owners(mails))
        twice = second_selves((p for p, _ in batch), owners, self._reader.names)
        for part, rows in batch:
            if owner := twice.get(part.key):
                reason: Reason = "other_key" if owner.has_key else "no_key_yet"
                for row in rows:
                    known = (owner.key,)
                    self._reader.reject(BadRow(row.line, reason, "email", 0, row.record, known, off=row.off != ""))
        return [(p, rows) for p, rows in batch if p.key not in twice]

    async def finish(self) -> None:
        """All who waited, in one transaction with those whose names they want: two may swap theirs."""
        if self._waiting:
            await self._move()
        off = self._reader.off
        if off:
            self._report.switched_off = await _switch_off(self._db, off, dry_run=self._dry_run)

    async def _move(self) -> None:
        asked: set[str] = set()
        others: dict[str, Part] = {}
        while True:
            # Those who give names up are needed again: a dry run has undone them, and others hold what they had before.
            missing = self._owners - asked - self._waiting.keys() - {""}
            if missing:
                asked |= missing
                others |= {p.key: (p, rows) for p, rows in self._reader.again(missing)}
            parts = [*others.values(), *self._waiting.values()]
            done, lines = await _save(
                self._db, [p for p, _ in parts], dry_run=self._dry_run, moved=self._moved, undo=bool(missing)
            )
            if not missing:
                break
            self._owners |= {k for keys in done.owners.values() for k in keys}
        self._report.count_addresses([x for x in lines if x not in self._report.lines])
        for (part, rows), result in zip(parts, done.results, strict=True):
            if part.key in others:
                continue
            if result != "username_taken":
                self._counted(result, rows)
                continue
            for row in rows:
                self._reader.reject(BadRow(row.line, "taken", "username", record=row.record, off=row.off != ""))

    def _counted(self, result: ImportResult, rows: Sequence[Row]) -> None:
        r = self._report
        setattr(r, result, getattr(r, result) + 1)
        if off := next((row.off for row in rows if row.off), ""):
            r.off[off] = r.off.get(off, 0) + 1
        if language := rows[0].language:
            r.languages[language] = r.languages.get(language, 0) + 1


class _Counted(Exception):
    def __init__(self, count: int) -> None:
        self.count = count


async def _save(db: Database, people: Sequence[Imported], *, dry_run: bool, moved: bool, undo: bool = False) -> Saved:
    return await write(db, lambda tx: save_people(tx, people, moved=moved), undo=dry_run or undo)


async def _switch_off(db: Database, keys: Sequence[str], *, dry_run: bool) -> int:
    def fn(tx: Tx) -> int:
        done = tx.people.switch_off(keys)
        if dry_run:
            raise _Counted(done)
        return done

    try:
        return await db.write(fn)
    except _Counted as undone:
        return undone.count


def _fits(table: Table, systems: Systems) -> None:
    if "system" in table.columns:
        return
    if systems.default_system not in systems.titles:
        names = ", ".join(systems.titles)
        raise Unreadable(
            "there is no column for the system, and no system is called builtin; add a column `system`, or give "
            f"--system with one of: {names}"
        )
    if systems.default_system in systems.ids and "external_id" not in table.columns:
        raise Unreadable(f"{systems.default_system} needs its own number of each account; add a column `external_id`")
