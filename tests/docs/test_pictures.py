"""Pictures of the manual are those that browser tests took, in both languages and on a page of each."""

from __future__ import annotations

import re

from tests.e2e.pictures import ANEW, PICTURES, digest, recorded
from tests.support.house import ROOT

SHOWN = re.compile(r"!\[([^\]]*)\]\((?:\.\./)+pictures/(\w+/[\w-]+\.png)\)")


def test_every_picture_was_taken_by_the_browser_tests() -> None:
    there = {p.relative_to(PICTURES).as_posix(): digest(p.read_bytes()) for p in PICTURES.glob("*/*.png")}
    assert there == {path: known["picture"] for path, known in recorded().items()}, ANEW


def test_every_picture_is_shown_in_both_languages_with_words_for_who_cannot_see_it() -> None:
    names = [{p.stem for p in (PICTURES / lang).glob("*.png")} for lang in ("en", "zh")]
    assert names[0] == names[1]
    for lang in ("en", "zh"):
        shown = [x for p in sorted((ROOT / "docs" / lang).rglob("*.md")) for x in SHOWN.findall(p.read_text("utf-8"))]
        assert all(words for words, _ in shown)
        assert {path for _, path in shown} == {f"{lang}/{name}.png" for name in names[0]}
