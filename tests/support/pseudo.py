"""Languages that nobody speaks, made of English: one whose words are long, as in German, and one from right to left.

Each is a folder, as any language is, so a page that holds them holds a real one.
"""

from __future__ import annotations

import re
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

from keyback.locale import languages
from keyback.locale.languages import Language, read
from tests.support.house import ROOT

SRC = ROOT / "src/keyback"
UMLAUTS = str.maketrans("aouAOU", "äöüÄÖÜ")
TAIL = "heitungsgemeinschaftswesen"
HEBREW = dict(zip(map(ord, "abcdefghijklmnopqrstuvwxyz"), "אבגדהוזחטיכלמנסעפצקרשתאבגד", strict=True))
TOML = """name = "{name}"
tag = "{tag}"
direction = "{direction}"
asked = ["{tag}"]

[marks]
gap = " "
comma = ", "
colon = ": "
semicolon = "; "
or = " or "
and = " and "
aside = " ({{}})"

[dates]
day = "d. MMMM y"
long = "d. MMMM, HH:mm"
short = "d. MMM, HH:mm"
"""


def german(text: str) -> str:
    """Words grow by two fifths and more, those that are long already the most: `Wiederherstellungscode`."""

    def word(m: re.Match[str]) -> str:
        x = m[0]
        return x.translate(UMLAUTS) + TAIL[: max(1, round(len(x) * 0.7))] if len(x) > 3 else x.translate(UMLAUTS)

    return _words(word, text)


def hebrew(text: str) -> str:
    return _words(lambda m: m[0].lower().translate(HEBREW), text)


def _words(change: object, text: str) -> str:
    # Places and tags stay.
    parts = re.split(r"(\{[^}]*\}|<[^>]*>|%\w)", text)
    return "".join(x if i % 2 else re.sub(r"[A-Za-z]+", change, x) for i, x in enumerate(parts))  # type: ignore[call-overload]


def english() -> set[str]:
    """Every text that languages have."""
    out: set[str] = set()
    for path in [*(SRC / "locale/zh_CN").glob("*.po"), *SRC.glob("*/*/zh_CN.po")]:
        with path.open("rb") as f:
            out |= {str(m.id) for m in read_po(f) if m.id}
    return out


def make(folder: Path) -> dict[str, Language]:
    """Both, beside those that there are."""
    for code, direction, change in (("de", "ltr", german), ("he", "rtl", hebrew)):
        at = folder / code
        at.mkdir()
        (at / "language.toml").write_text(TOML.format(name=change("Pseudo"), tag=code, direction=direction), "utf-8")
        catalog = Catalog(locale=code, charset="utf-8")
        for text in sorted(english()):
            catalog.add(text, change(text))
        with (at / "texts.po").open("wb") as f:
            write_po(f, catalog)
    return {**languages.LANGUAGES, **{code: read(folder / code) for code in ("de", "he")}}
