"""The section `[brand]` of `keyback.toml`: the company's face. Its name is in `[company]`."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, field_validator, model_validator

from keyback.domain.brand.colors import EASY, Mode, Palette, Unreadable, nearest, palette, read_color
from keyback.domain.brand.face import Face, tel
from keyback.domain.brand.pictures import BadPicture, Picture, read_picture
from keyback.settings_file import Unsafe
from keyback.settings_sections import Part
from keyback.settings_texts import OwnTexts


class Brand(Part):
    """The company's face on pages and in emails. Its name is in `[company]`."""

    logo: Path | None = Field(None, description="SVG or PNG file, 64 KiB at most, shown at the top of each page.")
    mail_logo: Path | None = Field(
        None,
        description="PNG file of the logo for emails. Default: the logo, if it is a PNG; mail programs show no SVG.",
    )
    logo_has_name: bool = Field(False, description="The logo shows the company's name, so it isn't written beside it.")
    favicon: Path | None = Field(
        None, description="SVG or PNG file for the browser tab. Default: the logo if it is about square, else our mark."
    )
    accent: str = Field("", description="Color of buttons and links, such as `#1a5fb4`. Empty: ours.")
    accent_dark: str = Field("", description="The same on dark pages. Empty: the nearest to `accent` that can be read.")
    helpdesk_tel: str = Field("", description="The help desk's phone number, which pages link to.")
    intro: OwnTexts = OwnTexts()
    help: OwnTexts = OwnTexts()
    footer: OwnTexts = OwnTexts()

    @field_validator("accent", "accent_dark")
    @classmethod
    def _a_color(cls, value: str) -> str:
        return read_color(value) if value.strip() else ""

    @field_validator("helpdesk_tel")
    @classmethod
    def _a_number(cls, value: str) -> str:
        if value.strip():
            tel(value)
        return value.strip()

    @model_validator(mode="after")
    def _readable(self) -> Brand:
        if self.accent_dark and not self.accent:
            raise ValueError("accent_dark: set accent, too")
        if self.accent:
            _palette("accent", self.accent, "light")
        if self.accent_dark:
            _palette("accent_dark", self.accent_dark, "dark")
        return self

    def face(self) -> Face:
        """The checked face.

        Raises:
            Unsafe: a file cannot be read or served; names the setting and the way out.
        """
        logo, icon = _picture("logo", self.logo), _picture("favicon", self.favicon)
        if icon is not None and not icon.square:
            raise Unsafe(f"brand.favicon: {self.favicon} is not square. Cut it to a square.")
        in_mail = _picture("mail_logo", self.mail_logo)
        if in_mail is not None and in_mail.kind != "png":
            raise Unsafe(
                f"brand.mail_logo: {self.mail_logo} is no PNG, and mail programs show nothing else. Export a PNG."
            )
        light = palette(self.accent, "light") if self.accent else None
        dark = palette(self.accent_dark or nearest(self.accent, "dark", EASY), "dark") if self.accent else None
        texts = (self.intro.read(), self.help.read(), self.footer.read())
        icon = icon or (logo if logo is not None and logo.square else None)
        return Face(light, dark, logo, self.logo_has_name, icon, self.helpdesk_tel, *texts, in_mail)


def _palette(name: str, color: str, mode: Mode) -> Palette:
    try:
        return palette(color, mode)
    except Unreadable as e:
        raise ValueError(
            f"{name}: {color} has a contrast of {e.ratio:.1f} on {mode} pages, and text needs 4.5. "
            f"The nearest that can be read is {e.nearest}"
        ) from None


def _picture(name: str, path: Path | None) -> Picture | None:
    if path is None:
        return None
    try:
        return read_picture(path.read_bytes())
    except OSError as e:
        raise Unsafe(f"brand.{name}: {path} cannot be read: {e.strerror}. Check the path.") from None
    except BadPicture as e:
        raise Unsafe(f"brand.{name}: {path} {e}.") from None
