"""The company's face as mails have it: its colors, a logo inside of the mail, and its telephone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from keyback.channels.mail.mime import Enclosed
from keyback.domain.brand.colors import Palette
from keyback.domain.brand.face import Face

LIGHT: Final = Palette("#0d5a4b", "#084539", "#4f9483", "#e2efea", "#ffffff")
DARK: Final = Palette("#7ccfb8", "#9ddfcc", "#4e9484", "#14312a", "#06231c")
"""Our colors as in `tokens.css`."""
OURS: Final = Face()
HEIGHT: Final = 36
WIDTH: Final = 160


@dataclass(frozen=True, slots=True)
class MailFace:
    """What templates read of a face.

    Args:
        light, dark: colors.
        logo: address of the part that holds it; empty where the mail carries our mark in the company's color.
        logo_has_name: the logo shows the name, so that it is not written beside it.
        width, height: of the logo, in CSS pixels.
        phone, phone_link: the help desk's number; empty where there is none.
    """

    light: Palette
    dark: Palette
    logo: str
    logo_has_name: bool
    width: int
    height: int
    phone: str
    phone_link: str


def shown(face: Face, host: str) -> tuple[MailFace, Enclosed | None]:
    """The face for templates, and the part of the mail that its logo is. Mail readers show no SVG."""
    light, dark = face.light or LIGHT, face.dark or DARK
    logo = face.logo_in_mail
    if logo is None:
        return MailFace(light, dark, "", False, 0, 0, face.phone, face.phone_link), None
    scale = min(1.0, HEIGHT / logo.height, WIDTH / logo.width)
    width, height = (max(1, round(side * scale)) for side in (logo.width, logo.height))
    part = Enclosed(f"logo@{host}", "image/png", "logo.png", logo.body)
    shows = MailFace(light, dark, f"cid:{part.id}", face.logo_has_name, width, height, face.phone, face.phone_link)
    return shows, part
