"""Texts of a company's own: paragraphs, emphasis and links, and nothing else. What is not that is shown as typed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape
from typing import Final
from urllib.parse import urlsplit

MAX_CHARACTERS: Final = 2000
_INLINE: Final = re.compile(
    r"\\(?P<plain>[\\*\[\]()])"
    r"|\*\*(?P<strong>[^*\n]+)\*\*"
    r"|\*(?P<em>[^*\n]+)\*"
    r"|\[(?P<name>[^\[\]\n]+)\]\((?P<url>[^()\s]+)\)"
)
_TEL: Final = re.compile(r"tel:\+?[0-9][0-9.-]{1,24}(;ext=[0-9]{1,8})?")
_MAIL: Final = re.compile(r"mailto:[^\s@<>\"'?&%]{1,64}@[A-Za-z0-9.-]{1,253}")


@dataclass(frozen=True, slots=True)
class Prose:
    """A text in both forms: `html` holds only p, br, strong, em and a; `text` is for mails that show none of them."""

    html: str
    text: str


def read_prose(source: str) -> Prose:
    """A text as it is shown.

    Raises:
        ValueError: it is too long, or a link leads to something else than https, tel or mailto.
    """
    if len(source) > MAX_CHARACTERS:
        raise ValueError(f"must have {MAX_CHARACTERS} characters at most. Shorten it")
    paragraphs = [p.strip("\n") for p in re.split(r"\n[ \t]*\n", source.replace("\r\n", "\n").strip()) if p.strip()]
    html = "".join(f"<p>{'<br>'.join(_inline(line.strip()) for line in p.split(chr(10)))}</p>" for p in paragraphs)
    return Prose(html, "\n\n".join(_bare(p) for p in paragraphs))


def safe_link(url: str) -> str:
    """A link that leads to a site, a phone or a mailbox.

    Raises:
        ValueError: it is none of the three.
    """
    if _TEL.fullmatch(url) or _MAIL.fullmatch(url):
        return url
    try:
        parts = urlsplit(url)
        good = parts.scheme == "https" and parts.hostname and "@" not in parts.netloc and parts.port != 0
    except ValueError:
        good = False
    if not good or not url.isprintable() or re.search(r"[\"'<>\\`\s]", url):
        raise ValueError(f"has a link to {url[:60]}; links are https://…, tel:+… or mailto:…")
    return url


def _inline(line: str) -> str:
    out, at = [], 0
    for found in _INLINE.finditer(line):
        out.append(escape(line[at : found.start()]))
        at = found.end()
        if found["plain"]:
            out.append(escape(found["plain"]))
        elif found["strong"]:
            out.append(f"<strong>{_inline(found['strong'])}</strong>")
        elif found["em"]:
            out.append(f"<em>{_inline(found['em'])}</em>")
        else:
            link = escape(safe_link(found["url"]))
            out.append(f'<a href="{link}" rel="noreferrer">{escape(found["name"])}</a>')
    return "".join([*out, escape(line[at:])])


def _bare(paragraph: str) -> str:
    def plain(found: re.Match[str]) -> str:
        inner = found["plain"] or found["strong"] or found["em"]
        return inner or f"{found['name']} ({found['url'].removeprefix('mailto:').removeprefix('tel:')})"

    return "\n".join(_INLINE.sub(plain, line.strip()) for line in paragraph.split("\n"))
