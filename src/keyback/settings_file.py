"""The settings file as editors write it, and what is wrong with it, in words that say what to do."""

from __future__ import annotations

import codecs
import re
import tomllib
from pathlib import Path
from typing import Any, Final


class Unsafe(Exception):
    """A configuration that Keyback refuses to start on; the text names the cause and the way out."""


_AT: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")
_CURLY: Final = "\u201c\u201d\u201e\u201f\u2018\u2019\u201a\u00ab\u00bb\uff02\uff07"
_WIDE: Final = {"\uff1d": "=", "\uff3b": "[", "\uff3d": "]", "\uff0c": ",", "\uff03": "#", "\u3010": "[", "\u3011": "]"}
_KEY: Final = re.compile(r"\s*([A-Za-z0-9_.\"'-]+)\s*[=:]")


def text_of(path: Path) -> str:
    """The file's text, whatever an editor put before its first line and at the ends of its lines.

    Raises:
        Unsafe: neither UTF-8 nor UTF-16 with a mark, or it cannot be read.
    """
    try:
        raw = path.read_bytes()
    except OSError as e:
        next_ = "Run this as the user that Keyback runs as" if isinstance(e, PermissionError) else "Check the path"
        raise Unsafe(f"{path} cannot be read: {e.strerror}. {next_}.") from None
    utf16 = raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    try:
        text = raw.decode("utf-16" if utf16 else "utf-8-sig")
    except UnicodeDecodeError as e:
        line = raw.count(b"\n", 0, e.start) + 1
        words = f"{path} is not UTF-8: see line {line}. Open it in an editor and save it as UTF-8."
        raise Unsafe(words) from None
    return text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")


def read_toml(path: Path) -> dict[str, Any]:
    """The settings of a file.

    Raises:
        Unsafe: it is no TOML; the text names the line, never what stands there.
    """
    text = text_of(path)
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as e:
        raise Unsafe(f"{path} cannot be read. {_words(text, str(e))}") from None
    except RecursionError:
        raise Unsafe(f"{path} cannot be read: its lists or tables are nested too deep. Take some levels out.") from None


def _words(text: str, error: str) -> str:
    """What is wrong, and what to do, for an error of `tomllib`."""
    lines = text.split("\n")
    where = _AT.search(error)
    number = int(where[1]) if where and where[1] else len(lines)
    line = lines[min(number, len(lines)) - 1]
    if "\n" not in text[:1] and error.startswith(("Illegal character '\\n'", "Unterminated")) and not line.strip():
        number, line = number - 1, lines[max(number - 2, 0)]
    named = _KEY.match(line)
    what = f"Line {number}" + (f" ({named[1]})" if named else "")
    bare = error[: where.start()] if where else error
    odd = next((c for c in line if c in _CURLY), "")
    wide = next((c for c in line if c in _WIDE), "")
    if "\0" in line or (bare.startswith("Illegal character") and "\\n" not in bare):
        return f"{what} has a control character, as damaged files have. Delete the line and type it again."
    if "Cannot overwrite" in bare or "defined" in bare:
        return f"{what} sets the same key a second time. Keep one of the two."
    if "Cannot declare" in bare or "Cannot mutate" in bare or "redefine" in bare:
        return f"{what} begins a section that is there already. Put its keys under the first one."
    if odd:
        return f'{what} has typographic quotation marks ({odd}). Type straight ones: "…".'
    if wide:
        return f"{what} has the full-width sign {wide}. Type {_WIDE[wide]} instead."
    if "Unescaped" in bare or "escape" in bare or "Invalid hex" in bare:
        return f"{what} has a backslash in double quotation marks. Use single ones: 'C:\\keyback'."
    if (
        "Illegal character '\\n'" in bare
        or "Unterminated" in bare
        or 'Expected "\'"' in bare
        or "Expected '\"'" in bare
    ):
        return f"{what} opens a quotation mark that is never closed. Close it on the same line."
    if "Expected '='" in bare or "Invalid initial" in bare or "Invalid statement" in bare:
        return f'{what} is not of the form: key = "value". Comments begin with #, sections look like [mail].'
    if "Invalid value" in bare:
        return f'{what} has a value that is none. Put text in quotation marks ("…"); write true and false small.'
    if "Unclosed array" in bare or "Expected ']'" in bare:
        return f"{what}: a list or a section name is not closed. Add the missing ]."
    if "inline table" in bare or "Expected '}'" in bare:
        return f"{what}: a table in braces is not closed, or goes over several lines. Write it as a section: [name]."
    if "Expected newline" in bare:
        return f"{what} has more than one value. Put text in quotation marks, one key to a line; comments begin with #."
    return f"{what} is not TOML ({bare}). Compare it with docs/settings.md."
