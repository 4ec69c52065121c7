"""A database that was put back from a backup: how it is noticed, and what ends so that nothing used works again (C-9).

What was used after the backup looks unused in it. That cannot be known from the database itself, so a node keeps a mark
outside of it: how far the audit log had come. Everything that is used up is in that log.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import func, select, update

from keyback.domain.challenges.challenge import EMAIL_LINK
from keyback.domain.recovery.events import Note
from keyback.storage.sql import schema as s
from keyback.storage.tx import SqlTx

STREAM, KIND = "restore", "restored"
NAME = "high-water"


@dataclass(frozen=True, slots=True)
class Mark:
    """The end of the audit log as it was seen: its last row, that row's hash (hex), and when (ms)."""

    seq: int
    hash: str
    at: int


class MarkFile:
    """The mark of one node, in a file of its own."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self) -> Mark | None:
        """What was kept last; None when there is none. Raises OSError; ValueError for one that was damaged."""
        try:
            raw = json.loads(self._path.read_text(encoding="ascii"))
            return Mark(int(raw["seq"]), str(raw["hash"]), int(raw["at"]))
        except FileNotFoundError:
            return None
        except (KeyError, TypeError) as e:
            raise ValueError("damaged") from e

    def write(self, mark: Mark) -> None:
        """Replaces the file as a whole. Raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        new = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        with new.open("w", encoding="ascii") as f:
            json.dump(asdict(mark), f)
            f.flush()
            os.fsync(f.fileno())
        os.replace(new, self._path)


def mark_of(tx: SqlTx) -> Mark:
    """Where the log ends now."""
    seq, last = tx.audit.head()
    return Mark(seq, last.hex(), tx.now)


def went_back(tx: SqlTx, mark: Mark) -> bool:
    """Whether this database lacks what was in it when the mark was made, and nobody has made it safe since."""
    found = tx.conn.execute(select(s.events.c.hash).where(s.events.c.seq == mark.seq)).scalar()
    if mark.seq == 0 or (found is not None and bytes(found).hex() == mark.hash):
        return False
    safe = select(func.max(s.events.c.at)).where((s.events.c.stream == STREAM) & (s.events.c.type == KIND))
    return (tx.conn.execute(safe).scalar() or 0) < mark.at


def make_safe(tx: SqlTx, before: Mark | None) -> dict[str, int]:
    """Ends all that may have been used since the backup was made; how many of each.

    Links, codes, questions, recoveries under way, sessions, known browsers, waiting mail and passwords, and saved
    recovery codes. Passwords, contacts and factors are what they were at the time of the backup.

    Args:
        before: the last mark, noted in the audit log.
    """
    ended = end_all(tx)
    head = tx.audit.head()[0]
    tx.audit.record(STREAM, [Note(KIND, {"at_row": head, "known_row": before.seq if before else 0, **ended})])
    return ended


def end_all(tx: SqlTx) -> dict[str, int]:
    """Ends links, codes, questions, recoveries under way, sessions, known browsers, waiting mail and passwords, and
    saved recovery codes; how many of each."""
    now, run = tx.now, tx.conn.execute
    live = s.challenges.c.ended.is_(None) & (s.challenges.c.expires_at > now)
    mailed = s.challenges.c.proof == EMAIL_LINK
    ended = {
        "links": run(update(s.challenges).where(live, mailed).values(expires_at=now)).rowcount,
        "questions": run(update(s.challenges).where(live, ~mailed).values(expires_at=now)).rowcount,
        "requests": run(update(s.intakes).where(s.intakes.c.expires_at > now).values(expires_at=now)).rowcount,
        "recoveries": run(update(s.cases).where(s.cases.c.open).values(expires_at=now)).rowcount,
        "sessions": run(s.sessions.delete()).rowcount,
        "browsers": run(s.devices.delete()).rowcount,
        "waiting": run(update(s.outbox).where(s.outbox.c.state == "ready").values(expires_at=now, due_at=now)).rowcount,
        "saved_codes": run(update(s.saved_codes).where(s.saved_codes.c.used_at.is_(None)).values(used_at=now)).rowcount,
    }
    run(update(s.wants).where(s.wants.c.expires_at > now).values(expires_at=now))
    return ended
