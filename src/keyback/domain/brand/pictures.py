"""A company's logo: what may be served as one, and why another may not.

A PNG is read chunk by chunk and written again without what says nothing of the picture (PNG, third edition). An SVG is
taken as it is, if nothing in it acts, or fetches.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from xml.parsers import expat

MAX_BYTES: Final = 64 * 1024
MIN_SIDE: Final = 16
MAX_SIDE: Final = 2048
MAX_RATIO: Final = 10
PNG: Final = b"\x89PNG\r\n\x1a\n"
_KEPT: Final = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"sBIT"})
_MOVES: Final = frozenset({b"acTL", b"fcTL", b"fdAT"})
_SVG: Final = "http://www.w3.org/2000/svg"
_XHTML: Final = "http://www.w3.org/1999/xhtml"
_SHAPES: Final = frozenset(
    ("svg", "g", "path", "rect", "circle", "ellipse", "line", "polyline", "polygon", "text", "tspan")
)
_PAINTS: Final = frozenset(("defs", "linearGradient", "radialGradient", "stop", "clipPath", "mask", "pattern", "style"))
_OTHERS: Final = frozenset(("symbol", "use", "switch", "title", "desc", "metadata"))
_ELEMENTS: Final = _SHAPES | _PAINTS | _OTHERS
_FETCHES: Final = re.compile(r"url\(\s*+['\"]?+(?!#)|@import|javascript:|expression\(|image-set\(", re.IGNORECASE)
_LENGTH: Final = re.compile(r"\s*([0-9]*\.?[0-9]+)(px|pt|pc|mm|cm|in)?\s*")
_PX: Final = {"": 1.0, "px": 1.0, "pt": 4 / 3, "pc": 16.0, "mm": 96 / 25.4, "cm": 96 / 2.54, "in": 96.0}


class BadPicture(ValueError):
    """What is wrong with a picture, and what to do."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture as it is served.

    Args:
        kind: `svg` or `png`, the end of its name.
        width, height: in pixels, of an SVG as it says of itself.
    """

    kind: str
    body: bytes
    width: int
    height: int

    @property
    def square(self) -> bool:
        return 0.8 <= self.width / self.height <= 1.25


def read_picture(raw: bytes) -> Picture:
    """A PNG or an SVG that may be served.

    Raises:
        BadPicture: it is neither, too large, or does more than show.
    """
    if len(raw) > MAX_BYTES:
        raise BadPicture(f"has {len(raw) // 1024} KiB; {MAX_BYTES // 1024} KiB is the most. Save it smaller")
    if raw.startswith(PNG):
        return _sized("png", *_png(raw))
    if b"<svg" in raw[:4096] or b":svg" in raw[:4096]:
        return _sized("svg", raw, *_svg(raw))
    raise BadPicture("is neither SVG nor PNG. Save it as one of the two")


def _sized(kind: str, body: bytes, width: float, height: float) -> Picture:
    if kind == "png" and (min(width, height) < MIN_SIDE or max(width, height) > MAX_SIDE):
        raise BadPicture(f"is {width:.0f} × {height:.0f} pixels; each side has to be from {MIN_SIDE} to {MAX_SIDE}")
    if max(width, height) > MAX_RATIO * min(width, height):
        raise BadPicture(f"is more than {MAX_RATIO} times as long as it is wide. Cut it, or use the mark alone")
    scale = min(1.0, MAX_SIDE / max(width, height))
    return Picture(kind, body, max(1, round(width * scale)), max(1, round(height * scale)))


# ── PNG ─────────────────────────────────────────────────────────────────────


def _png(raw: bytes) -> tuple[bytes, float, float]:
    out, size = [PNG], (0, 0)
    names: list[bytes] = []
    for name, data, whole in _chunks(raw):
        if name in _MOVES:
            raise BadPicture("moves. Save one frame of it")
        if not names and (name != b"IHDR" or len(data) != 13):
            break
        if not names:
            size = int.from_bytes(data[:4], "big"), int.from_bytes(data[4:8], "big")
        names.append(name)
        if name in _KEPT:
            out.append(whole)
        if name == b"IEND":
            break
    if not names or names[-1] != b"IEND" or b"IDAT" not in names or 0 in size:
        raise BadPicture("is a damaged PNG. Save it again")
    return b"".join(out), *size


def _chunks(raw: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    at = len(PNG)
    while at + 12 <= len(raw):
        end = at + 12 + int.from_bytes(raw[at : at + 4], "big")
        whole = raw[at:end]
        if end > len(raw) or zlib.crc32(whole[4:-4]) != int.from_bytes(whole[-4:], "big"):
            raise BadPicture("is a damaged PNG. Save it again")
        yield whole[4:8], whole[8:-4], whole
        at = end


# ── SVG ─────────────────────────────────────────────────────────────────────


class _Reader:
    """Reads an SVG and stops at the first thing that acts or fetches."""

    def __init__(self) -> None:
        self.depth, self.inside, self.root = 0, "", dict[str, str]()
        self.style: list[str] = []
        parser = self.parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartDoctypeDeclHandler = lambda *_: _refuse("a document type, which can define anything")
        parser.ProcessingInstructionHandler = lambda *_: _refuse("an instruction for programs (<?…?>)")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        space, _, name = tag.rpartition(" ")
        if self.depth == 0:
            if (space, name) != (_SVG, "svg"):
                raise BadPicture("is no SVG: its first element is not svg of the SVG namespace. Save it again")
            self.root = attributes
        self.depth += 1
        self.inside = name if space == _SVG else ""
        if space == _XHTML or (space in (_SVG, "") and name not in _ELEMENTS):
            _refuse(f"<{name}>")
        for key, value in attributes.items():
            bare = key.rpartition(" ")[2].lower()
            if bare.startswith("on"):
                _refuse(f"{bare}, which runs a script")
            if bare in ("href", "src", "base") and not value.strip().startswith("#"):
                _refuse(f"{bare}, which leads out of the picture")
            _plain(value)

    def _end(self, tag: str) -> None:
        self.depth -= 1
        if tag == f"{_SVG} style":
            _plain("".join(self.style))
            self.style, self.inside = [], ""

    def _text(self, text: str) -> None:
        if self.inside == "style":
            self.style.append(text)


def _refuse(what: str) -> None:
    raise BadPicture(f"holds {what}. Save it as a plain SVG, or as a PNG")


def _plain(text: str) -> None:
    """Refuses what styles can fetch; a backslash could hide it."""
    if _FETCHES.search(text) or ("\\" in text and re.search(r"\\[0-9a-f]", text, re.IGNORECASE)):
        _refuse("a reference to something outside of the picture")


def _svg(raw: bytes) -> tuple[float, float]:
    reader = _Reader()
    try:
        reader.parser.Parse(raw, True)
    except expat.ExpatError as e:
        raise BadPicture(f"is no well-formed SVG (line {e.lineno}). Save it again") from None
    width, height = (_px(reader.root.get(side, "")) for side in ("width", "height"))
    if not (width and height):
        try:
            box = [float(x) for x in re.split(r"[\s,]+", reader.root.get("viewBox", "").strip())]
        except ValueError:
            box = []
        width, height = (box[2], box[3]) if len(box) == 4 else (0.0, 0.0)
    if not (0 < width < 1e6 and 0 < height < 1e6):
        raise BadPicture("does not say how large it is: it needs a viewBox, or width and height")
    return width, height


def _px(length: str) -> float:
    found = _LENGTH.fullmatch(length)
    return float(found[1]) * _PX[found[2] or ""] if found else 0.0
