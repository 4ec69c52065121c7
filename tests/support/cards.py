"""Invented identity cards of one kind, drawn: alike in all but the portrait and what is printed on them."""

from __future__ import annotations

import io
import random
from typing import Any

from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ "
LINES = ("Surname", "Given names", "Born", "Number", "Until")


def _shade(r: random.Random, low: int, high: int) -> tuple[int, int, int]:
    return r.randrange(low, high), r.randrange(low, high), r.randrange(low, high)


def portrait(r: random.Random, w: int = 280, h: int = 360) -> Any:
    image = Image.new("RGB", (w, h), _shade(r, 140, 230))
    d = ImageDraw.Draw(image)
    x, y = w * r.uniform(0.44, 0.56), h * r.uniform(0.38, 0.46)
    wide, high = w * r.uniform(0.22, 0.3), h * r.uniform(0.24, 0.32)
    d.rectangle((w * r.uniform(0.05, 0.2), h * r.uniform(0.68, 0.78), w * r.uniform(0.8, 0.95), h), _shade(r, 20, 200))
    d.ellipse((x - wide * 1.2, y - high * 1.25, x + wide * 1.2, y + high * r.uniform(0.2, 0.9)), _shade(r, 10, 120))
    skin = r.uniform(0.5, 1)
    d.ellipse((x - wide, y - high, x + wide, y + high), (int(235 * skin), int(200 * skin), int(170 * skin)))
    for side in (-1, 1):
        d.ellipse((x + side * wide * 0.4 - 6, y - high * 0.2 - 4, x + side * wide * 0.4 + 6, y - high * 0.2 + 4), 20)
    return image.filter(ImageFilter.GaussianBlur(1.5))


def card(seed: int, kind: int = 0) -> Any:
    """As a scanner gives it: edge to edge."""
    r, k = random.Random(seed), random.Random(kind)
    base = _shade(k, 190, 245)
    image = Image.new("RGB", (1000, 630), base)
    d = ImageDraw.Draw(image)
    for _ in range(40):
        x, y = k.randrange(1000), k.randrange(630)
        d.arc((x - 200, y - 200, x + 200, y + 200), 0, 360, tuple(c - 18 for c in base), 3)
    d.rectangle((0, 0, 1000, 80), _shade(k, 40, 150))
    d.text((40, 25), "IDENTITY CARD", "white", font_size=36)
    image.paste(portrait(r), (60, 140))
    for n, line in enumerate(LINES):
        d.text((390, 150 + n * 85), line, (90, 90, 110), font_size=20)
        printed = "".join(r.choice(LETTERS) for _ in range(r.randrange(5, 20)))
        d.text((390, 175 + n * 85), printed, (20, 20, 30), font_size=36)
    return image


def photo(seed: int, kind: int = 0) -> Any:
    """As a phone sees it: on a table, a little askew, in some light."""
    r = random.Random(1000 + seed)
    table = Image.new("RGB", (1400, 1000), _shade(r, 30, 200))
    d = ImageDraw.Draw(table)
    for _ in range(60):
        d.line((0, r.randrange(1000), 1400, r.randrange(1000)), _shade(r, 30, 200), 2)
    scale = r.uniform(0.85, 1.2)
    laid = card(seed, kind).resize((int(1000 * scale), int(630 * scale))).convert("RGBA")
    laid = laid.rotate(r.uniform(-5, 5), expand=True, resample=Image.Resampling.BICUBIC)
    table.paste(laid, (r.randrange(60, 150), r.randrange(60, 150)), laid)
    light = Image.linear_gradient("L").rotate(r.randrange(360)).resize(table.size)
    return Image.composite(table, ImageEnhance.Brightness(table).enhance(r.uniform(0.75, 0.95)), light)


def saved(image: Any, kind: str = "JPEG", quality: int = 90) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, quality=quality)
    return out.getvalue()


def cut(image: Any, left: float, above: float, right: float, below: float) -> Any:
    """Without so many hundredths of its sides."""
    w, h = image.size
    box = (w * left / 100, h * above / 100, w - w * right / 100, h - h * below / 100)
    return image.crop(tuple(map(round, box)))
