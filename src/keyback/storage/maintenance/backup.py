"""Copies of a SQLite database, made while it is in use, and put back."""

from __future__ import annotations

import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path


class InUse(Exception):
    """Another process has the database open."""


class NoDatabase(Exception):
    """The file is no whole database of Keyback's, or could not be copied whole."""


def copy_to(source: Path, target: Path) -> None:
    """Writes a whole copy of one moment into a new file that only its owner can read. Writers go on meanwhile.

    Raises:
        FileExistsError: there is one already. `OSError`, NoDatabase: it could not be copied; nothing is left.
    """
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=30)) as db:
            db.execute("VACUUM INTO ?", (str(target),))
        _leave_keys_out(target)
        check(target)
        with target.open("rb") as f:
            os.fsync(f.fileno())
    except BaseException as e:
        target.unlink(missing_ok=True)
        if isinstance(e, sqlite3.Error):
            raise NoDatabase(str(e)) from None
        raise


def _leave_keys_out(copy: Path) -> None:
    """No copy has the keys of identity documents: what was destroyed stays so, and after a restore people send theirs
    again (H12)."""
    with closing(sqlite3.connect(copy)) as db:
        db.execute("PRAGMA secure_delete = ON")
        if db.execute("SELECT 1 FROM sqlite_master WHERE name = 'document_keys'").fetchone():
            db.execute("DELETE FROM document_keys")
            db.execute("UPDATE documents SET image = NULL, destroyed_at = sent_at WHERE image IS NOT NULL")
            db.commit()
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def check(path: Path) -> None:
    """Reads the whole file. Raises NoDatabase when it is damaged, cut off, or something else."""
    try:
        with closing(sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)) as db:
            found = db.execute("PRAGMA quick_check").fetchone()[0]
            db.execute("SELECT seq FROM audit_head").fetchone()
    except sqlite3.Error as e:
        raise NoDatabase(str(e)) from None
    if found != "ok":
        raise NoDatabase(str(found))


def put_back(copy: Path, target: Path, aside: Path) -> None:
    """Puts a copy in the database's place and the database aside.

    Raises:
        InUse: a process has it open; nothing was changed.
        NoDatabase: the copy cannot be used; nothing was changed.
    """
    check(copy)
    new = target.with_name(target.name + ".restoring")
    fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as out, copy.open("rb") as f:
        shutil.copyfileobj(f, out)
        out.flush()
        os.fsync(out.fileno())
    try:
        if target.exists():
            _let_go(target)
            os.replace(target, aside)
        for tail in ("-wal", "-shm"):  # of a damaged one; never to be read into the copy
            log = target.with_name(target.name + tail)
            if log.exists():
                os.replace(log, aside.with_name(aside.name + tail))
        os.replace(new, target)
    finally:
        new.unlink(missing_ok=True)


def _let_go(path: Path) -> None:
    """Folds the write-ahead log into the file, which only succeeds while nobody else has it open."""
    try:
        with closing(sqlite3.connect(path, timeout=1)) as db:
            if db.execute("PRAGMA journal_mode=DELETE").fetchone()[0] != "delete":
                raise InUse
    except sqlite3.OperationalError as e:
        raise InUse(str(e)) from None
    except sqlite3.DatabaseError:
        return  # damaged, which is why somebody restores
