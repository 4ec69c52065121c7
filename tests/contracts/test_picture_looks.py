"""Copies of a picture are known whatever was done to the file; other cards of the same kind are not taken for it."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from itertools import combinations
from typing import Any

import pytest

from keyback.domain.operators.picture_looks import ALIKE, SIZE, alike, any_alike, distance, views_of
from keyback.outbound.images.decoder import Decoder

pytest.importorskip("PIL.Image", reason="the extra evidence")
from PIL import Image, ImageEnhance, ImageFilter

from tests.support.cards import card, cut, photo, saved

COPIES: dict[str, Callable[[Any], bytes]] = {
    "saved anew": lambda i: saved(i, quality=30),
    "saved badly": lambda i: saved(i, quality=10),
    "as a PNG": lambda i: saved(i, "PNG"),
    "half as large": lambda i: saved(i.resize((i.width // 2, i.height // 2)), quality=60),
    "a third, badly": lambda i: saved(i.resize((i.width * 2 // 5, i.height * 2 // 5)), quality=40),
    "larger": lambda i: saved(i.resize((i.width * 3 // 2, i.height * 3 // 2))),
    "brighter": lambda i: saved(ImageEnhance.Brightness(i).enhance(1.15)),
    "duller": lambda i: saved(ImageEnhance.Contrast(i).enhance(0.8)),
    "without colours": lambda i: saved(i.convert("L")),
    "blurred": lambda i: saved(i.filter(ImageFilter.GaussianBlur(2))),
    "narrower": lambda i: saved(i.resize((int(i.width * 0.9), i.height))),
    "cut by a little": lambda i: saved(cut(i, 2, 2, 2, 2), quality=70),
    "cut by more": lambda i: saved(cut(i, 4, 4, 4, 4), quality=70),
    "cut on the left": lambda i: saved(cut(i, 3, 0, 0, 0), quality=70),
    "cut below": lambda i: saved(cut(i, 0, 0, 0, 5), quality=70),
}


def looks(*pictures: bytes) -> list[bytes]:
    async def all_of_them() -> list[bytes]:
        decoder = Decoder()
        return [m.look for m in await asyncio.gather(*map(decoder.clean, pictures))]

    return asyncio.run(all_of_them())


@pytest.mark.slow
@pytest.mark.covers("H10")
@pytest.mark.parametrize("draw", [card, photo], ids=["scanned", "photographed"])
def test_copies_are_known_and_other_cards_of_the_kind_are_not(draw: Callable[[int], Any]) -> None:
    originals = [draw(n) for n in range(6)]
    kept = looks(*(saved(i) for i in originals))
    assert {len(x) for x in kept} == {SIZE}
    for one, other in combinations(kept, 2):
        assert not any_alike(one, [other])
        assert distance(views_of(one)[0], views_of(other)[0]) > ALIKE * 1.4
    for n in (0, 3):
        made = looks(*(copy(originals[n]) for copy in COPIES.values()))
        for what, look in zip(COPIES, made, strict=True):
            assert any_alike(look, [kept[n]]), what
            assert any_alike(kept[n], [look]), f"{what}, and the original comes later"
            others = [x for m, x in enumerate(kept) if m != n]
            assert not any_alike(look, others), what


def test_blank_sheets_and_nonsense_are_like_nothing() -> None:
    blank = Image.new("RGB", (600, 400), "white")
    sheets = looks(saved(blank), saved(Image.new("RGB", (800, 600), "black")))
    assert not any(any_alike(a, sheets) for a in sheets)
    for wrong in (b"", b"\0" * SIZE, b"x", os.urandom(SIZE - 1)):
        assert not any_alike(wrong, [wrong])
    assert alike(views_of(b"\xff" * SIZE), views_of(b"\xff" * SIZE))
