"""Where a leaked password stands in a breach file: the arithmetic, without the file. Pure.

A file keeps, for each leaked password, the `width` bytes that follow the bucket which its SHA-1 falls into, in order.
SHA-1 spreads evenly, so buckets are even too. A password that was never leaked meets a kept value by chance with the
probability `count / (buckets · 256 ** width)`; one that was leaked is always found.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from typing import Final

from keyback.domain.characters import normalized

MAX_ENTRIES: Final = 2**32 - 1
LEAST_FP, MAX_FP = 1e-6, 1e-2
WIDTHS: Final = (1, 2, 3, 4)
_START_BITS: Final = 16  # what a bucket's own place costs


@dataclass(frozen=True, slots=True)
class Shape:
    """How many buckets there are, and how many bytes are kept of each entry."""

    buckets: int
    width: int

    def place(self, prefix: int) -> int:
        """Bucket and kept value as one number that grows with `prefix`, the first 64 bits of a SHA-1."""
        return (prefix * self.buckets) >> (64 - 8 * self.width)

    def split(self, place: int) -> tuple[int, bytes]:
        """The bucket of a place, and its kept value as the file holds it (little end first)."""
        bits = 8 * self.width
        return place >> bits, (place & ((1 << bits) - 1)).to_bytes(self.width, "little")

    def false_positives(self, count: int) -> float:
        """How often a password that was never leaked is taken for leaked, with `count` entries."""
        return count / (self.buckets << (8 * self.width))


def shape_for(count: int, fp: float) -> Shape:
    """The smallest shape that keeps the share of false positives.

    Args:
        count: entries, 1 to `MAX_ENTRIES`.
        fp: share, `LEAST_FP` to `MAX_FP`.

    Raises:
        ValueError: either is out of range.
    """
    if not 1 <= count <= MAX_ENTRIES:
        raise ValueError(f"a breach file takes 1 to {MAX_ENTRIES} entries")
    if not LEAST_FP <= fp <= MAX_FP:
        raise ValueError(f"false positives must be between {LEAST_FP} and {MAX_FP}")

    def bits(width: int) -> float:
        return 8 * width + _START_BITS / (fp * 256.0**width)

    width = min(WIDTHS, key=bits)
    return Shape(max(1, math.ceil(count / (fp * 256**width))), width)


def prefix_of(password: str) -> int:
    """The first 64 bits of the SHA-1 of a password in NFC and UTF-8: the form that public leaks are listed in."""
    text = normalized("NFC", password).encode("utf-8", "surrogatepass")
    # No secret rests on SHA-1 here; it is how the published lists name their entries.
    return int.from_bytes(hashlib.sha1(text, usedforsecurity=False).digest()[:8], "big")
