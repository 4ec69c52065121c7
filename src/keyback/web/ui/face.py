"""The company's face as pages have it: files of our own making, read by templates as `face`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from typing import Final

from keyback.domain.brand.colors import SURFACES, Palette
from keyback.domain.brand.face import Face
from keyback.domain.brand.pictures import Picture

MEDIA_TYPES: Final = {"svg": "image/svg+xml", "png": "image/png"}
LOGO_HEIGHT: Final = 40
LOGO_WIDTH: Final = 160


@dataclass(frozen=True, slots=True)
class Shown:
    """What templates read of a face.

    Args:
        logo, icon, style: names among the static files; empty where we show our own.
        width, height: of the logo on a page, in CSS pixels.
        theme: what browsers paint their own bars in, by mode.
    """

    logo: str
    logo_has_name: bool
    width: int
    height: int
    icon: str
    icon_type: str
    style: str
    theme: Mapping[str, str]
    phone: str
    phone_link: str


def shown(face: Face) -> Shown:
    """The face for templates."""
    width, height = _size(face.logo) if face.logo else (0, 0)
    theme = {"light": SURFACES["light"][1], "dark": SURFACES["dark"][1]}
    if face.light and face.dark:
        theme = {"light": face.light.accent, "dark": face.dark.accent_wash}
    return Shown(
        f"logo.{face.logo.kind}" if face.logo else "",
        face.logo_has_name,
        width,
        height,
        f"icon.{face.icon.kind}" if face.icon else "mark.svg",
        MEDIA_TYPES[face.icon.kind] if face.icon else MEDIA_TYPES["svg"],
        "brand.css" if face.light else "",
        theme,
        face.phone,
        face.phone_link,
    )


def files(face: Face) -> Iterator[tuple[str, str, bytes]]:
    """Name, media type and bytes of each file."""
    if face.light and face.dark:
        yield "brand.css", "text/css; charset=utf-8", style(face.light, face.dark).encode()
    for name, picture in (("logo", face.logo), ("icon", face.icon)):
        if picture is not None:
            yield f"{name}.{picture.kind}", MEDIA_TYPES[picture.kind], picture.body


def style(light: Palette, dark: Palette) -> str:
    """The rules that put colors of the company's own in place of ours; modes are told as in `tokens.css`."""
    rules = _rules(dark)
    return (
        f":root{{{_rules(light)}}}\n"
        f'@media (prefers-color-scheme:dark){{:root:not([data-theme="light"]){{{rules}}}}}\n'
        f':root[data-theme="dark"]{{{rules}}}\n'
    )


def _rules(palette: Palette) -> str:
    return "".join(f"--{f.name.replace('_', '-')}:{getattr(palette, f.name)};" for f in fields(palette))


def _size(picture: Picture) -> tuple[int, int]:
    scale = min(LOGO_HEIGHT / picture.height, LOGO_WIDTH / picture.width)
    return max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
