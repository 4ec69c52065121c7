"""Countries and regions with their calling codes, by the names that readers of each language know (`countries.tsv`,
from Unicode CLDR, with short names of our own)."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from keyback.locale.languages import language

FILE = Path(__file__).parent / "countries.tsv"


@dataclass(frozen=True, slots=True)
class Country:
    """One of a list to pick from: ISO 3166 code, calling code, and its name in the language of the list."""

    code: str
    calling: str
    name: str


@lru_cache(maxsize=16)
def countries(locale: str) -> tuple[Country, ...]:
    """All, by calling code, since that is what the list begins with."""
    chain = language(locale).chain
    with FILE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    found = [Country(r["code"], r["calling"], next(r[c] for c in chain if r.get(c))) for r in rows]
    return tuple(sorted(found, key=lambda c: (c.calling, c.name)))
