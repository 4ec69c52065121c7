"""In which encoding a file of people is: found out by what it would say, never by whether it can be decoded alone.

Chinese is plausible in GB18030, and so is nearly everything else: a Russian or Japanese name comes out as Chinese
characters that nobody is called. What is neither UTF-8 nor surely Chinese is refused, with the readings that fit.
"""

from __future__ import annotations

import codecs
import hashlib
import re
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from keyback.application.people.csv_headings import HEADING_WORDS, plain
from keyback.application.people.csv_plausible import MEANT, OTHERS, PYTHON, hanzi

CHUNK: Final = 1 << 20
SAMPLE_LINES: Final = 5000
SURELY: Final = 12  # characters beyond ASCII without a fault in UTF-8 are no chance
CLEARLY: Final = 0.25  # by so much more it has to be Chinese than anything else
# Characters that GB18030 had no place for until 2022 and that Python still puts among those of private use.
_SINCE_2022: Final = str.maketrans({
    0xE816: 0x20087, 0xE817: 0x20089, 0xE818: 0x200CC, 0xE81E: 0x9FB4, 0xE826: 0x9FB5, 0xE82B: 0x9FB6, 0xE82C: 0x9FB7,
    0xE831: 0x215D7, 0xE832: 0x9FB8, 0xE83B: 0x2298F, 0xE843: 0x9FB9, 0xE854: 0x9FBA, 0xE855: 0x241FE, 0xE864: 0x9FBB,
    0xE7C7: 0x1E3F,
})  # fmt: skip
BAD_BYTE: Final = re.compile("[\udc80-\udcff]")
_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32"), (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"), (codecs.BOM_UTF8, "utf-8"), (b"\x84\x31\x95\x33", "gb18030"),
)  # fmt: skip


class Unreadable(ValueError):
    """A file that cannot be used at all; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """`encoding`: as Python calls it. `sha256`: of the bytes."""

    encoding: str
    sha256: str


@contextmanager
def seekable(path: Path) -> Iterator[Path]:
    """The file itself, or a private copy of what comes through a pipe, to be read more than once; `-` is standard
    input."""
    if str(path) != "-" and stat.S_ISREG(path.stat().st_mode):
        yield path
        return
    with tempfile.NamedTemporaryFile(prefix="keyback-people-") as copy:  # only its owner can read it
        with open(0 if str(path) == "-" else path, "rb", closefd=str(path) != "-") as source:
            while chunk := source.read(CHUNK):
                copy.write(chunk)
        copy.flush()
        yield Path(copy.name)


def lines_of(path: Path, encoding: str) -> Iterator[str]:
    """Physical lines with their ends: CR LF, LF or CR. Bytes that fit nothing are lone surrogates, or U+FFFD."""
    errors = "replace" if encoding.startswith(("utf-16", "utf-32")) else "surrogateescape"
    chinese = encoding == "gb18030"
    with path.open("r", encoding=encoding, errors=errors, newline="") as f:
        for n, line in enumerate(f):
            text = line.lstrip("\ufeff") if n == 0 else line
            yield text.translate(_SINCE_2022) if chinese else text


def find_encoding(path: Path, wanted: str = "") -> Encoded:
    """
    Args:
        wanted: what somebody said that it is; empty to find out.

    Raises:
        Unreadable: not text, or text of which nobody can tell what it says.
    """
    with path.open("rb") as f:
        head = f.read(1 << 16)
    _refuse_others(head)
    sha = hashlib.sha256()
    seen = _Seen()
    with path.open("rb") as f:
        while chunk := f.read(CHUNK):
            sha.update(chunk)
            seen.take(chunk)
    seen.end()
    if wanted:
        _refuse_other_encoding(named(wanted), head, seen)
    return Encoded(named(wanted) if wanted else _found(head, seen), sha.hexdigest())


def _refuse_other_encoding(name: str, head: bytes, seen: _Seen) -> None:
    """Raises Unreadable where a file is surely not in the encoding that somebody named."""
    mark = next((found for start, found in _MARKS if head.startswith(start)), "")
    is_wide = bool(mark.startswith(("utf-16", "utf-32")) or _without_mark(head))
    wants_wide = name.startswith(("utf-16", "utf-32"))
    really = mark or _without_mark(head) or ("utf-8" if not seen.bad else "")
    if wants_wide != is_wide:
        what = f"it reads as {really.upper()}" if really else "it has one byte for most characters"
        raise Unreadable(f"the file is not in {name.upper()}: {what}. Leave --encoding out, or name another one")
    if name not in ("utf-8", "ascii") and really == "utf-8" and seen.good >= SURELY and not wants_wide:
        raise Unreadable(f"the file is not in {name.upper()}: it reads as UTF-8. Leave --encoding out")


def named(text: str) -> str:
    """An encoding as Python calls it.

    Raises:
        Unreadable: unknown, or no encoding of text.
    """
    low = text.strip().lower().replace("-", "_")
    try:
        found = codecs.lookup(PYTHON.get(low, low))
        text_only = found._is_text_encoding and found.name not in ("idna", "punycode", "utf-7", "undefined")
        if not text_only or "escape" in found.name:
            raise LookupError
    except LookupError:
        raise Unreadable(
            f"--encoding {text} is not known; name one such as utf-8, gb18030, {', '.join(OTHERS)}"
        ) from None
    return {"utf-8-sig": "utf-8", "gbk": "gb18030", "gb2312": "gb18030"}.get(found.name, found.name)


def _refuse_others(head: bytes) -> None:
    """What is no CSV at all, whatever its name."""
    if head.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")):
        raise Unreadable("this is a workbook; save it as CSV (UTF-8) first")
    if re.match(rb"(?:\xef\xbb\xbf)?\s*<(?:!doctype|html|\?xml|table|meta)", head, re.IGNORECASE):
        raise Unreadable(
            "this is a web page or XML, whatever its name; open it in a spreadsheet and save it as CSV (UTF-8)"
        )
    if head.startswith((b"%PDF", b"\x1f\x8b", b"{\\rtf")):
        raise Unreadable("this is no CSV; save it as CSV (UTF-8) first")


class _Seen:
    """What reading as UTF-8 comes to, and the lines with bytes beyond ASCII."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self.good = self.bad = 0  # characters beyond ASCII; bytes that fit none
        self.first_bad: tuple[int, int] | None = None  # line, byte
        self._line, self._cr = 1, False
        self._rest = b""
        self.lines: list[tuple[int, bytes]] = []
        self._number = 1

    def take(self, chunk: bytes, final: bool = False) -> None:
        text = self._decoder.decode(chunk, final)
        if not text.isascii():
            found = BAD_BYTE.findall(text)
            if found and self.first_bad is None:
                bad = BAD_BYTE.search(text)
                assert bad
                before = text[: bad.start()]
                self.first_bad = self._line + _ends(before), ord(bad[0]) - 0xDC00
            self.bad += len(found)
            self.good += sum(not c.isascii() for c in text) - len(found)
        self._line += _ends(text)
        if len(self.lines) < SAMPLE_LINES:
            *whole, self._rest = re.split(rb"\r\n|\n|\r(?!\n)", self._rest + chunk)
            for raw in whole:
                self._keep(raw)

    def _keep(self, raw: bytes) -> None:
        if len(self.lines) < SAMPLE_LINES and not raw.isascii():
            self.lines.append((self._number, raw))
        self._number += 1

    def end(self) -> None:
        self.take(b"", final=True)
        self._keep(self._rest)


def _ends(text: str) -> int:
    return text.count("\n") + text.count("\r") - text.count("\r\n")


def _found(head: bytes, seen: _Seen) -> str:
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    if wide := _without_mark(head):
        return wide
    if not seen.bad or seen.good >= max(3, seen.bad) or seen.good > 2 * seen.bad:
        return "utf-8"  # with a few bad rows perhaps, which are named
    if _is_chinese(seen.lines):
        return "gb18030"
    raise Unreadable(_refusal(seen))


def _without_mark(head: bytes) -> str:
    """UTF-16 or UTF-32 that does not say so: every second byte of separators and line ends is zero."""
    if head.count(0) * 50 < len(head):
        return ""
    for name in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"):
        text = head.decode(name, "replace")
        if "\0" not in text and _headings_in(text.splitlines()[:40]):
            return name
    return ""


def _headings_in(lines: Sequence[str]) -> bool:
    return any(sum(plain(c) in HEADING_WORDS for c in re.split("[,;\t|，]", line)) >= 2 for line in lines)


def _text(lines: Sequence[tuple[int, bytes]], encoding: str) -> str:
    return "\n".join(raw.decode(PYTHON.get(encoding, encoding), "surrogateescape") for _, raw in lines)


def _is_chinese(lines: Sequence[tuple[int, bytes]]) -> bool:
    """Whether this is surely GB18030: headings that we know, or names as people are called, and nothing else fits."""
    text = _text(lines, "gb18030")
    share = hanzi(text)
    known = any(
        len(cell) > 1 and not cell.isascii() and plain(cell) in HEADING_WORDS
        for line in text.split("\n")[:40]
        for cell in re.split("[,;\t|]", line)
    )
    if known and share >= MEANT / 2:
        return True
    other = max(_others(lines).values(), default=0.0)
    return share >= MEANT and (other < MEANT or share - other >= CLEARLY)


def _others(lines: Sequence[tuple[int, bytes]]) -> dict[str, float]:
    return {name: found for name, fits in OTHERS.items() if (found := _fit(lines, name, fits)) > 0}


def _fit(lines: Sequence[tuple[int, bytes]], name: str, fits: object) -> float:
    text = _text(lines, name)
    bad = len(BAD_BYTE.findall(text))
    letters = sum(not c.isascii() for c in text)
    return float(fits(text)) * (1 - bad / max(1, letters))  # type: ignore[operator]


def _refusal(seen: _Seen) -> str:
    line, byte = seen.first_bad or (1, 0)
    raw = next((raw for n, raw in seen.lines if n == line), b"")
    where = f"line {line} is not UTF-8 (byte 0x{byte:02X}), and it is not surely Chinese in GB18030 either"
    fits = sorted(_others(seen.lines).items(), key=lambda x: -x[1])
    told = [f"--encoding {name} reads “{_shown(raw, name)}”" for name, share in fits if share >= MEANT][:3]
    if hanzi(_text(seen.lines, "gb18030")) >= MEANT / 2:
        told.append(f"--encoding gb18030 reads “{_shown(raw, 'gb18030')}”")
    how = f"say how it was written: {'; '.join(told)}" if told else "say how it was written by --encoding"
    return f"{where}. Save the file as CSV (UTF-8), or {how}"


def _shown(raw: bytes, encoding: str) -> str:
    """The first cell of a line that goes beyond ASCII."""
    text = raw.decode(PYTHON.get(encoding, encoding), "replace")
    cells = (c.strip(" \"'") for c in re.split("[,;\t|]", text))
    return next((c[:40] for c in cells if not c.isascii()), "")
