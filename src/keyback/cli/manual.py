"""The manual pages keyback(1) and keyback.toml(5) in roff, from the same generated pages as the manual on the web."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator

from keyback import __version__

PAGES = ("keyback", "keyback.toml")
ABOUT = {
    "keyback": (1, "account recovery for people who live in a CRM", "cli_page"),
    "keyback.toml": (5, "the settings of Keyback", "settings_page"),
}
SEE = {"keyback": r"\fBkeyback.toml\fR(5)", "keyback.toml": r"\fBkeyback\fR(1)"}
TOKEN = re.compile(r"`([^`]+)`|\[([^\]]+)\]\([^)]*\)|\*\*([^*]+)\*\*")


def manual(page: str) -> str:
    """A page as `man` reads it."""
    section, about, source = ABOUT[page]
    text = getattr(importlib.import_module("keyback.cli.docs"), source)()
    lines = [
        f'.TH "{page.upper()}" "{section}" "" "Keyback {__version__}" "Keyback"',
        ".ad l",  # long names would leave wide gaps, and break at a hyphen that is not theirs
        ".nh",
        ".SH NAME",
        f"{page} \\- {about}",
    ]
    lines += [".SH SYNOPSIS", r"\fBkeyback\fR [\fIcommand\fR …] [\fIoption\fR …]"] if section == 1 else []
    lines += [".SH DESCRIPTION", *_body(text.splitlines())]
    return "\n".join([*lines, ".SH SEE ALSO", SEE[page], ""])


def _body(lines: list[str]) -> Iterator[str]:
    """Markdown as our generated pages have it: headings, paragraphs, fences, tables."""
    table: list[str] = []
    fenced, gap = False, False
    for line in lines:
        if line.startswith(("# ", "Made by `python")):
            continue
        if line.startswith("```"):
            fenced = not fenced
            yield ".EX" if fenced else ".EE"
        elif fenced:
            yield _plain(line)
        elif line.startswith("## "):
            yield f'.SH "{_plain(line[3:])}"'
        elif line.startswith("|"):
            cells = [c.replace("\\|", "|").strip() for c in re.split(r"(?<!\\)\|", line)[1:-1]]
            if set(line) <= set("|-"):
                continue
            if not table:
                table = cells  # its head
            else:
                yield from _entry(table, cells)
        elif line:
            table = []
            if gap:
                yield ".PP"
            yield _words(line)
        else:
            table = []
        gap = not line


def _entry(head: list[str], cells: list[str]) -> Iterator[str]:
    """A row: its first cell as the term, its last one as the text, those between by their heads."""
    yield ".TP"
    yield _words(cells[0])
    yield _words(cells[-1]) if cells[-1] else r"\&"
    between = [f"{h}: {c}" for h, c in zip(head[1:-1], cells[1:-1], strict=True) if c]
    if between:
        yield ".br"
        yield _words("; ".join(between))


def _words(text: str) -> str:
    """A line with what is code in bold; links are their text."""
    out, at = [], 0
    for m in TOKEN.finditer(text):
        out += [_plain(text[at : m.start()]), rf"\fB{_plain(m[1] or m[3] or '')}\fR" if m[1] or m[3] else _plain(m[2])]
        at = m.end()
    line = "".join([*out, _plain(text[at:])])
    return rf"\&{line}" if line.startswith((".", "'")) else line


def _plain(text: str) -> str:
    return text.replace("\\", "\\e").replace("-", "\\-")
