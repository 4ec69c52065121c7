"""All that a company shows of itself, once it is checked."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from keyback.domain.brand.colors import Palette
from keyback.domain.brand.pictures import Picture
from keyback.domain.brand.prose import Prose

_PHONE: Final = re.compile(r"(\+?[0-9(][0-9 ().-]{1,28}?)(?:\s*(?:;ext=|ext\.?|x|转|轉|,)\s*([0-9]{1,8}))?")


@dataclass(frozen=True, slots=True)
class Face:
    """Args:
    light, dark: colors instead of ours.
    logo_has_name: the logo shows the company's name, so that it is not written beside it.
    icon: what browsers show on a tab.
    phone: the help desk's, as people read it; empty where there is none.
    intro, help, footer: texts by language.
    mail_logo: the logo for mails, where `logo` is no PNG.
    """

    light: Palette | None = None
    dark: Palette | None = None
    logo: Picture | None = None
    logo_has_name: bool = False
    icon: Picture | None = None
    phone: str = ""
    intro: Mapping[str, Prose] = field(default_factory=dict)
    help: Mapping[str, Prose] = field(default_factory=dict)
    footer: Mapping[str, Prose] = field(default_factory=dict)
    mail_logo: Picture | None = None

    @property
    def phone_link(self) -> str:
        return tel(self.phone) if self.phone else ""

    @property
    def logo_in_mail(self) -> Picture | None:
        """A PNG, since mail readers show no SVG."""
        found = self.mail_logo or self.logo
        return found if found is not None and found.kind == "png" else None


def tel(phone: str) -> str:
    """`tel:` with a number as people write it, and its extension (RFC 3966).

    Raises:
        ValueError: it is no phone number.
    """
    found = _PHONE.fullmatch(phone.strip())
    digits = re.sub(r"[^0-9+]", "", found[1]) if found else ""
    if not found or not 2 <= len(digits.removeprefix("+")) <= 15:
        raise ValueError("must be a phone number such as +86 755 8888 0000, or +44 20 7946 0100 ext. 4357")
    return f"tel:{digits}" + (f";ext={found[2]}" if found[2] else "")
