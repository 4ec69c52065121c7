"""Whether two pictures are one, though their files differ: saved again, made smaller, brightened, or cut a little.

A picture's look is how bright its parts are beside each other, not what they show: for each of 32 by 32 cells whether
the next one to the right, and below, is clearly brighter, clearly darker, or about the same. It is taken of the whole
picture and of what is left when its edges are cut off, so that a cut copy meets its original. 64 bits would be too few:
two cards of one kind differ by little but a portrait and some lines.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

CELLS: Final = 32
BITS: Final = 2 * CELLS * CELLS
VIEW: Final = 2 * BITS // 8  # bytes of one: brighter, and darker
VIEWS: Final = 13  # the whole, and twelve ways to cut it
SIZE: Final = VIEW * VIEWS
CLEAR: Final = 160  # places where something is to be seen; a blank sheet looks like every other
ALIKE: Final = 0.22  # copies come to at most 0.2, other cards of the same kind to 0.3 and more (measured)
NOT_NEAR: Final = 0.85  # whole pictures that differ so much are no cuts of each other either
Views = list[tuple[int, int]]


def views_of(look: bytes) -> Views:
    """As `alike` compares them; empty for what is no look, or of a picture with nothing to be seen."""
    if len(look) != SIZE:
        return []
    half = VIEW // 2
    views = [
        (int.from_bytes(look[n : n + half], "big"), int.from_bytes(look[n + half : n + VIEW], "big"))
        for n in range(0, SIZE, VIEW)
    ]
    return views if (views[0][0] | views[0][1]).bit_count() >= CLEAR else []


def distance(one: tuple[int, int], other: tuple[int, int]) -> float:
    """0 for the same, 1 for nothing in common, and up to 2 where all is the other way round."""
    shown = (one[0] | one[1] | other[0] | other[1]).bit_count()
    if shown < CLEAR:
        return 1.0
    return ((one[0] ^ other[0]).bit_count() + (one[1] ^ other[1]).bit_count()) / shown


def alike(mine: Views, theirs: Views) -> bool:
    """Whether one is the other, or a part of it without its edges."""
    if not mine or not theirs:
        return False
    whole = distance(mine[0], theirs[0])
    if whole <= ALIKE:
        return True
    if whole > NOT_NEAR:
        return False
    return any(distance(v, w) <= ALIKE for v in mine for w in theirs)


def any_alike(look: bytes, others: Iterable[bytes]) -> bool:
    """Whether it is one of these."""
    mine = views_of(look)
    return bool(mine) and any(alike(mine, views_of(other)) for other in others)
