"""The breach file: leaked passwords on disk, looked up in place, nothing of it read into memory.

    header   112 bytes, see `_HEADER`; its last eight are the start of its own SHA-256
    kept     count × width bytes: what is kept of each entry, bucket after bucket, in order
    starts   (buckets + 1) × 2 bytes: where each bucket begins, counted from its group's beginning
    groups   (buckets // 256 + 1) × 4 bytes: where each group of 256 buckets begins

All numbers have their little end first. A look-up reads one group, two starts, and one bucket.
"""

from __future__ import annotations

import hashlib
import mmap
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from keyback.domain.passwords.breach_filter import MAX_ENTRIES, WIDTHS, Shape, prefix_of
from keyback.storage.breach.sources import Told

# A first byte outside ASCII, and both kinds of line end, so that a transfer "as text" is noticed (as in PNG).
MAGIC: Final = b"\x89KBL\r\n\x1a\n"
VERSION: Final = 1
GROUP: Final = 256
_HEADER: Final = struct.Struct("<8sHHIQQdQ32s24x8s")  # magic version width group buckets count fp built_at body own
HEADER_BYTES: Final = _HEADER.size
_CHUNK: Final = 1 << 22


def untold(done: int, of: int) -> None:
    """For who does not want to know how far it is."""


class BadBreachFile(ValueError):
    """A file that is not, or no longer, a breach file. The text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Header:
    """What a breach file says of itself.

    Args:
        count: entries kept.
        fp: the share of false positives that was asked for.
        built_at: ms.
        body: SHA-256 of everything behind the header.
    """

    shape: Shape
    count: int
    fp: float
    built_at: int
    body: bytes

    @property
    def starts_at(self) -> int:
        return HEADER_BYTES + self.count * self.shape.width

    @property
    def groups_at(self) -> int:
        return self.starts_at + 2 * (self.shape.buckets + 1)

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        return self.groups_at + 4 * (self.shape.buckets // GROUP + 1)

    def pack(self) -> bytes:
        s = self.shape
        raw = _HEADER.pack(
            MAGIC, VERSION, s.width, GROUP, s.buckets, self.count, self.fp, self.built_at, self.body, bytes(8)
        )
        return raw[:-8] + hashlib.sha256(raw[:-8]).digest()[:8]


def read_header(raw: bytes, size: int) -> Header:
    """The header of a file of `size` bytes.

    Raises:
        BadBreachFile: foreign, of a newer version, damaged, or not of the size that it must have.
    """
    if len(raw) < HEADER_BYTES or raw[:8] != MAGIC:
        raise BadBreachFile("is not a breach file. Make one with: keyback breach build")
    _, version, width, group, buckets, count, fp, built_at, body, own = _HEADER.unpack(raw[:HEADER_BYTES])
    if version != VERSION:
        raise BadBreachFile(f"has version {version}; this Keyback reads {VERSION}. Build it again.")
    if own != hashlib.sha256(raw[: HEADER_BYTES - 8]).digest()[:8] or group != GROUP or width not in WIDTHS:
        raise BadBreachFile("is damaged at its beginning. Build or copy it again.")
    header = Header(Shape(buckets, width), count, fp, built_at, body)
    if not 0 < count <= MAX_ENTRIES or buckets < 1 or header.size != size:
        raise BadBreachFile(f"has {size} bytes and should have {header.size}: it was cut off. Copy it again.")
    return header


class BreachFile:
    """Leaked passwords: `password in file`. Safe to use from several threads; a look-up takes microseconds.

    Replace a file by renaming a new one over it (as `breach build` does), never by writing into it.

    Args:
        path: made by `keyback breach build`.

    Raises:
        BadBreachFile: see `read_header`.
        OSError: it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        with path.open("rb") as f:
            size = f.seek(0, 2)
            f.seek(0)
            self.header = read_header(f.read(HEADER_BYTES), size)
            self._map = mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)
        if hasattr(mmap, "MADV_RANDOM"):
            self._map.madvise(mmap.MADV_RANDOM)
        if self._start(self.header.shape.buckets) != self.header.count:
            self._map.close()
            raise BadBreachFile("is damaged at its end. Build or copy it again.")

    def __len__(self) -> int:
        return self.header.count

    def __repr__(self) -> str:
        return f"BreachFile({len(self)} entries)"

    def __contains__(self, password: object) -> bool:
        return isinstance(password, str) and self.holds(prefix_of(password))

    def holds(self, prefix: int) -> bool:
        """Whether an entry begins with these 64 bits of SHA-1 (or seems to, as often as `false_positives` says)."""
        h = self.header
        bucket, kept = h.shape.split(h.shape.place(prefix))
        width = h.shape.width
        data = self._map[HEADER_BYTES + self._start(bucket) * width : HEADER_BYTES + self._start(bucket + 1) * width]
        found = data.find(kept)
        while found > 0 and found % width:  # across two entries
            found = data.find(kept, found + 1)
        return found >= 0

    def _start(self, bucket: int) -> int:
        h = self.header
        group: int = struct.unpack_from("<I", self._map, h.groups_at + 4 * (bucket // GROUP))[0]
        start: int = struct.unpack_from("<H", self._map, h.starts_at + 2 * bucket)[0]
        return group + start

    @property
    def false_positives(self) -> float:
        """How often a password that was never leaked is taken for leaked."""
        return self.header.shape.false_positives(self.header.count)

    def verify(self, tell: Told = untold) -> bool:
        """Reads the whole file and compares its checksum. `tell` gets bytes done and bytes in all."""
        total = hashlib.sha256()
        view = memoryview(self._map)
        try:
            for at in range(HEADER_BYTES, len(view), _CHUNK):
                total.update(view[at : at + _CHUNK])
                tell(min(at + _CHUNK, len(view)), len(view))
        finally:
            view.release()
        return total.digest() == self.header.body

    def close(self) -> None:
        self._map.close()
