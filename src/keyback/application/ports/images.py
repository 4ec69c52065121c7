"""What use cases ask of whatever decodes pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol


class BadImage(Exception):
    """A picture that is not taken. `code`: `not_image`, `too_large`, `too_small` or `unreadable`."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class CleanImage:
    """A picture drawn again from its pixels.

    Args:
        digest: of the pixels before anything was drawn over them.
        look: by which copies are known (`domain.operators.picture_looks`), likewise.
    """

    jpeg: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    width: int
    height: int
    look: bytes = field(default=b"", repr=False)


class Images(Protocol):
    async def clean(self, data: bytes, watermark: str = "", cells: Sequence[int] = (), side: int = 0) -> CleanImage:
        """A JPEG of what a JPEG, PNG or HEIC shows: nothing else of the file is left.

        Args:
            watermark: written over the whole picture.
            cells: of a grid of six by six, row by row from 0, that are covered.
            side: pixels of the longer side at most; 0 for as many as a document keeps.

        Raises:
            BadImage: it cannot be taken, whatever the reason.
        """
        ...
