"""Reading the audit log: is the chain whole, and what stands in it (P5, ASVS 5.0 16.4.2).

The verifier walks the log in short read transactions, each a snapshot of rows and head together, so it may run beside
a working Keyback. A signed head that was kept elsewhere tells when the log was cut off or rewritten together with its
recorded end.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar, cast

from keyback.application.ports.storage import Database, Seals, Tx
from keyback.domain import digests

T = TypeVar("T")
Row = Mapping[str, Any]
RowHash = Callable[[bytes, bytes, int, int, str, str, str], bytes]
Progress = Callable[[int, int], None]  # (done, of)
Kind = Literal["missing", "edited", "exchanged", "replaced", "cut_off", "extra", "head_changed", "forked"]
PURPOSE, HEAD_PURPOSE = "audit", "audit-head"
GENESIS = bytes(32)
BATCH = 1000


class AuditLog(Protocol):
    """What storage offers for reading beyond `storage.Audit`."""

    def head(self) -> tuple[int, bytes]: ...
    def rows(self, after: int = 0, limit: int = 1000) -> Sequence[Row]: ...
    def of_stream(self, stream: str) -> Iterator[Row]: ...


def log_of(tx: Tx) -> AuditLog:
    """The reading side of a transaction's audit log."""
    return cast(AuditLog, tx.audit)


class NotAHead(ValueError):
    """The text is no signed head, or was signed with another keyring; the text of the error says which."""


@dataclass(frozen=True, slots=True)
class SignedHead:
    """The chain's end at one moment, signed. `at`: ms, when it was signed. `hash` and `mac` are hex."""

    seq: int
    hash: str
    at: int
    mac: str

    def line(self) -> str:
        return json.dumps({"seq": self.seq, "hash": self.hash, "at": self.at, "mac": self.mac})


@dataclass(frozen=True, slots=True)
class Finding:
    """The first row that is not as it was written. `until`: last row of a gap, or the row it was exchanged with."""

    kind: Kind
    seq: int
    until: int = 0

    def words(self) -> str:
        span = f"Row {self.seq} is" if self.until in (0, self.seq) else f"Rows {self.seq} to {self.until} are"
        match self.kind:
            case "missing":
                return f"{span} missing: deleted."
            case "edited":
                return f"Row {self.seq} was edited: its content is not what was recorded."
            case "exchanged":
                return f"Row {self.seq} was exchanged with row {self.until}."
            case "replaced":
                return f"Row {self.seq} was not written by this Keyback: from here on the log was replaced or forked."
            case "cut_off":
                return f"{span} missing: the end of the log was cut off."
            case "extra":
                return f"{span} behind the recorded end of the log: the end was set back, or rows were added by hand."
            case "head_changed":
                return f"The recorded end of the log does not match row {self.seq}: it was changed."
            case "forked":
                return f"Row {self.seq} differs from the signed head: the log was rewritten or forked at or before it."


@dataclass(frozen=True, slots=True)
class ChainVerdict:
    """What a walk came to: `rows` that were checked, the chain's end, and the first thing that is wrong."""

    rows: int
    seq: int
    hash: str
    finding: Finding | None = None


def sign_head(seals: Seals, seq: int, last: bytes, at: int) -> SignedHead:
    """Signs the end of the chain (HMAC-SHA256 under a key that is not in the database)."""
    return SignedHead(seq, last.hex(), at, _mac(seals, seals.chain, seq, last.hex(), at))


def read_head(seals: Seals, text: str) -> SignedHead:
    """The signed head in the last line of an export.

    Raises:
        NotAHead: not one, or not signed with any key of this keyring.
    """
    lines = text.strip().splitlines()
    try:
        raw = json.loads(lines[-1])
        head = SignedHead(raw["seq"], raw["hash"], raw["at"], raw["mac"])
        fits = (type(head.seq), type(head.hash), type(head.at), type(head.mac)) == (int, str, int, str)
    except (IndexError, KeyError, TypeError, ValueError):
        fits = False
    if not fits:
        raise NotAHead("its last line is no signed head; give a complete file that `keyback audit export` wrote")
    wanted = (_mac(seals, kid, head.seq, head.hash, head.at) for kid in dict.fromkeys((seals.chain, *seals.ids)))
    if not any(hmac.compare_digest(w.encode(), head.mac.encode()) for w in wanted):
        raise NotAHead("its head was signed with another keyring, or changed afterwards")
    return head


def _mac(seals: Seals, kid: str, seq: int, last: str, at: int) -> str:
    body = f"keyback-audit-head\0{seq}\0{last}\0{at}".encode()
    return digests.mac(seals.derive(HEAD_PURPOSE, kid), body).hex()


class Chain:
    """The state of a walk: rows go in by `take`, the first fault stays in `finding`."""

    def __init__(self, seals: Seals, row_hash: RowHash, *, seq: int = 0, last: bytes = GENESIS) -> None:
        self._key = seals.derive(PURPOSE, seals.chain)
        self._row_hash = row_hash
        self.seq, self.last, self.rows = seq, last, 0
        self.finding: Finding | None = None
        self.bad: Row | None = None

    def hash_at(self, before: bytes, seq: int, row: Row) -> bytes:
        return self._row_hash(self._key, before, seq, row["at"], row["stream"], row["type"], row["data"])

    def take(self, row: Row) -> bool:
        """Checks one row against those before it; False at the first that does not fit."""
        if row["seq"] != self.seq + 1:
            self.finding = Finding("missing", self.seq + 1, row["seq"] - 1)
            return False
        if not hmac.compare_digest(self.hash_at(self.last, row["seq"], row), row["hash"]):
            self.finding, self.bad = Finding("replaced", row["seq"]), row
            return False
        self.seq, self.last = row["seq"], row["hash"]
        self.rows += 1
        return True

    def end(self, head: tuple[int, bytes]) -> None:
        """Compares with the recorded end of the log, seen in the same snapshot as the last row."""
        seq, last = head
        if self.seq < seq:
            self.finding = Finding("cut_off", self.seq + 1, seq)
        elif self.seq > seq:
            self.finding = Finding("extra", seq + 1, self.seq)
        elif self.last != last:
            self.finding = Finding("head_changed", seq)


async def verify(
    db: Database, seals: Seals, row_hash: RowHash, *, signed: SignedHead | None = None, progress: Progress | None = None
) -> ChainVerdict:
    """Walks the whole chain.

    Args:
        row_hash: storage's hash of one row.
        signed: head of an earlier export, which has to be part of this chain.
        progress: told (rows done, rows in all) now and then.

    Raises:
        StorageDown: the log could not be read.
    """
    chain = Chain(seals, row_hash)
    while chain.finding is None:
        head, rows = await db.read(lambda tx: _look(tx, chain.seq))
        for row in rows:
            if not chain.take(row):
                break
            if signed and row["seq"] == signed.seq and row["hash"].hex() != signed.hash:
                chain.finding = Finding("forked", row["seq"])
                break
        if progress:
            progress(chain.seq, head[0])
        if not rows:
            chain.end(head)
            break
    finding = chain.finding
    if finding and chain.bad:
        finding = await _name(db, chain, chain.bad)
    if finding is None and signed and chain.seq < signed.seq:
        finding = Finding("cut_off", chain.seq + 1, signed.seq)
    return ChainVerdict(chain.rows, chain.seq, chain.last.hex(), finding)


def _look(tx: Tx, after: int) -> tuple[tuple[int, bytes], Sequence[Row]]:
    log = log_of(tx)
    return log.head(), log.rows(after, BATCH)


async def _name(db: Database, chain: Chain, bad: Row) -> Finding:
    """What happened to a row whose hash is wrong: looks for the row that belongs here among the later ones."""
    seq, after = bad["seq"], bad["seq"]
    follows = False
    while True:
        _, rows = await db.read(lambda tx, after=after: _look(tx, after))  # type: ignore[misc]
        if not rows:
            return Finding("edited" if follows else "replaced", seq)
        for row in rows:
            if hmac.compare_digest(chain.hash_at(chain.last, seq, row), row["hash"]):
                return Finding("exchanged", seq, row["seq"])
            if row["seq"] == seq + 1:
                # The next row still builds on the hash that stands here, so only the content was touched.
                follows = hmac.compare_digest(chain.hash_at(bad["hash"], row["seq"], row), row["hash"])
        after = rows[-1]["seq"]


@dataclass(frozen=True, slots=True)
class Exported:
    """`head` is None when the chain does not hold: what is wrong is not signed."""

    rows: int
    head: SignedHead | None
    finding: Finding | None


async def export(
    db: Database,
    seals: Seals,
    row_hash: RowHash,
    write: Callable[[Row], None],
    *,
    after: int = 0,
    progress: Progress | None = None,
) -> Exported:
    """Gives every row behind `after` to `write`, oldest first, checking the chain on the way.

    Raises:
        StorageDown: the log could not be read.
    """
    before = await db.read(lambda tx: log_of(tx).rows(after - 1, 1)) if after > 0 else []
    known = bool(before) and before[0]["seq"] == after
    chain = Chain(seals, row_hash, seq=after, last=before[0]["hash"] if known else GENESIS)
    if after > 0 and not known:
        chain.finding = Finding("missing", after)
    seq, count = after, 0
    while True:
        head, rows, now = await db.read(lambda tx: (*_look(tx, seq), tx.now))  # noqa: B023 - awaited at once
        for row in rows:
            write(row)
            seq, count = row["seq"], count + 1
            if chain.finding is None:
                chain.take(row)
        if progress:
            progress(seq, head[0])
        if not rows:
            break
    if chain.finding is None:
        chain.end(head)
    signed = None if chain.finding else sign_head(seals, chain.seq, chain.last, now)
    return Exported(count, signed, chain.finding)


def as_json(row: Row) -> str:
    """One row as one line. `data` is an object; it stays a text when it is not what Keyback would have written."""
    data: Any = row["data"]
    try:
        parsed = json.loads(data)
        if json.dumps(parsed, ensure_ascii=True, separators=(",", ":"), sort_keys=True) == data:
            data = parsed
    except ValueError:
        pass
    whole = {k: row[k] for k in ("seq", "at", "stream", "type")} | {"data": data, "hash": row["hash"].hex()}
    return json.dumps(whole, ensure_ascii=True, separators=(",", ":"))


COLUMNS = ("seq", "at", "stream", "type", "data", "hash")


def as_cells(row: Row) -> list[str]:
    """One row for a spreadsheet; no cell is a formula (ASVS 5.0 1.2.10)."""
    return [
        str(row["seq"]),
        str(row["at"]),
        *(plain_cell(row[k]) for k in ("stream", "type", "data")),
        row["hash"].hex(),
    ]


def plain_cell(text: str) -> str:
    """A text that no spreadsheet takes for a formula, on one line (ASVS 5.0 1.2.10, P6)."""
    flat = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    return f"'{flat}" if flat.startswith(("=", "+", "-", "@", "＝", "＋", "－", "＠", "\\x09", "\\x0d")) else flat
