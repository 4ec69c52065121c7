"""A company's accent color: whether it can be read on our surfaces, and the colors that follow from it.

Ratios are those of WCAG 2.2; lightness moves in Oklab, where equal steps look equal and the hue stays.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

Mode = Literal["light", "dark"]
Rgb = tuple[float, float, float]
SURFACES: Final[Mapping[Mode, tuple[str, ...]]] = MappingProxyType(
    {"light": ("#ffffff", "#ecf0ee", "#f5f8f6"), "dark": ("#151b19", "#0d1211", "#111715")}
)
"""Sheet, paper and sunken of `tokens.css`."""
TEXT: Final = 4.5
MARK: Final = 3.0
EASY: Final = 7.0
_HEX: Final = re.compile(r"#[0-9a-f]{6}")
_STEP: Final = 0.004


class Unreadable(ValueError):
    """A color that cannot be read on our surfaces.

    Args:
        nearest: the nearest of its hue that can.
        ratio: its lowest contrast there.
    """

    def __init__(self, nearest: str, ratio: float) -> None:
        super().__init__(nearest, ratio)
        self.nearest, self.ratio = nearest, ratio


@dataclass(frozen=True, slots=True)
class Palette:
    """The accent of one mode, and what goes with it; the names are those of `tokens.css`."""

    accent: str
    accent_deep: str
    accent_mid: str
    accent_wash: str
    on_accent: str


def read_color(text: str) -> str:
    """A color as `#1a5fb4`.

    Raises:
        ValueError: it is none.
    """
    value = text.strip().lower()
    if re.fullmatch(r"#[0-9a-f]{3}", value):
        value = "#" + "".join(c * 2 for c in value[1:])
    if not _HEX.fullmatch(value):
        raise ValueError("must be a color such as #1a5fb4")
    return value


def contrast(one: str, other: str) -> float:
    """The ratio of two colors, from 1 to 21."""
    a, b = sorted((_luminance(one), _luminance(other)))
    return (b + 0.05) / (a + 0.05)


def palette(accent: str, mode: Mode) -> Palette:
    """What follows from an accent.

    Raises:
        Unreadable: text in it would be below 4.5 on one of our surfaces.
    """
    light, chroma, hue = _lch(accent)
    wash = _wash(chroma, hue, mode)
    ratio = min(contrast(accent, surface) for surface in (*SURFACES[mode], wash))
    if ratio < TEXT:
        raise Unreadable(nearest(accent, mode), ratio)
    deep = _hex(light - 0.07 if mode == "light" else min(light + 0.06, 0.97), chroma, hue)
    on = "#ffffff" if mode == "light" else _hex(0.24, min(chroma, 0.04), hue)
    if contrast(accent, on) < TEXT:
        on = "#000000"
    return Palette(accent, deep, _mid(light, chroma, hue, mode), wash, on)


def nearest(color: str, mode: Mode, least: float = TEXT) -> str:
    """The color of the same hue, nearest in lightness, whose contrast is at least so high."""
    light, chroma, hue = _lch(color)
    wash = _wash(chroma, hue, mode)
    for candidate in _lighter_and_darker(light, chroma, hue):
        if all(contrast(candidate, surface) >= least for surface in (*SURFACES[mode], wash)):
            return candidate
    return "#000000" if mode == "light" else "#ffffff"


def hue_apart(one: str, other: str) -> float:
    """How far two hues are apart, in degrees; 180 where one of them is grey."""
    (_, c1, h1), (_, c2, h2) = _lch(one), _lch(other)
    if min(c1, c2) < 0.04:
        return 180.0
    d = abs(math.degrees(h1 - h2)) % 360
    return min(d, 360 - d)


def _wash(chroma: float, hue: float, mode: Mode) -> str:
    return _hex(0.945, min(chroma, 0.02), hue) if mode == "light" else _hex(0.29, min(chroma, 0.04), hue)


def _mid(light: float, chroma: float, hue: float, mode: Mode) -> str:
    """As far from the accent as marks and charts may go."""
    step = 0.01 if mode == "light" else -0.01
    found = _hex(light, chroma, hue)
    while 0 < light + step < 1:
        light += step
        candidate = _hex(light, chroma, hue)
        if min(contrast(candidate, surface) for surface in SURFACES[mode]) < MARK + 0.1:
            break
        found = candidate
    return found


def _lighter_and_darker(light: float, chroma: float, hue: float) -> Iterator[str]:
    for i in range(int(1 / _STEP) + 1):
        for to in (light - i * _STEP, light + i * _STEP):
            if 0 <= to <= 1:
                yield _hex(to, chroma, hue)


def _luminance(color: str) -> float:
    r, g, b = (_linear(x) for x in _rgb(color))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def _rgb(color: str) -> Rgb:
    return int(color[1:3], 16) / 255, int(color[3:5], 16) / 255, int(color[5:7], 16) / 255


def _linear(x: float) -> float:
    return x / 12.92 if x <= 0.04045 else ((x + 0.055) / 1.055) ** 2.4


def _encoded(x: float) -> float:
    return 12.92 * x if x <= 0.0031308 else 1.055 * x ** (1 / 2.4) - 0.055


def _lch(color: str) -> Rgb:
    """Lightness, chroma and hue in Oklab (Ottosson 2020)."""
    r, g, b = (_linear(x) for x in _rgb(color))
    x = math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b)
    y = math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b)
    z = math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b)
    light = 0.2104542553 * x + 0.7936177850 * y - 0.0040720468 * z
    a = 1.9779984951 * x - 2.4285922050 * y + 0.4505937099 * z
    bb = 0.0259040371 * x + 0.7827717662 * y - 0.8086757660 * z
    return light, math.hypot(a, bb), math.atan2(bb, a)


def _hex(light: float, chroma: float, hue: float) -> str:
    """The color; where the screen has none so strong, a paler one of the same lightness."""
    for i in range(51):
        found = _rgb_of(light, chroma * (1 - i / 50), hue)
        if all(-0.0005 <= x <= 1.0005 for x in found):
            break
    return "#" + "".join(f"{round(_encoded(min(max(x, 0), 1)) * 255):02x}" for x in found)


def _rgb_of(light: float, chroma: float, hue: float) -> Rgb:
    a, b = chroma * math.cos(hue), chroma * math.sin(hue)
    x = (light + 0.3963377774 * a + 0.2158037573 * b) ** 3
    y = (light - 0.1055613458 * a - 0.0638541728 * b) ** 3
    z = (light - 0.0894841775 * a - 1.2914855480 * b) ** 3
    return (
        4.0767416621 * x - 3.3077115913 * y + 0.2309699292 * z,
        -1.2684380046 * x + 2.6097574011 * y - 0.3413193965 * z,
        -0.0041960863 * x - 0.7034186147 * y + 1.7076147010 * z,
    )
