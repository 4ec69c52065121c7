"""Pages and emails drawn with a brand, each as one HTML file that needs nothing else."""

from __future__ import annotations

import email
import email.policy
import re
from base64 import b64encode
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from keyback.application.ports.channels import Message
from keyback.bootstrap import make_composer
from keyback.cli.brand.samples import BASE, NOW, contents, pages
from keyback.domain.units import HOUR
from keyback.locale import Locale
from keyback.registry import own_abouts
from keyback.settings import Settings
from keyback.web.ui.page import Shell
from keyback.web.ui.rendering import Renderer, StaticFile

PHONE: Final = (360, 1200)
DESK: Final = (1280, 900)
_STYLE: Final = re.compile(r'<link rel="(?:stylesheet|icon)" href="(/static/[^"]+)"[^>]*>')
_SOURCE: Final = re.compile(r'src="(/static/[^"]+)"')
_SCRIPT: Final = re.compile(r"<script\b[^>]*></script>")


@dataclass(frozen=True, slots=True)
class Sheet:
    """One file of the preview; `dark`: the device is."""

    name: str
    html: str
    width: int
    height: int
    dark: bool


def sheets(s: Settings, locales: Sequence[Locale]) -> Iterator[Sheet]:
    """Every page and email, on a phone in light and dark, and on a desk."""
    renderer = Renderer(time_zone=s.timezone, abouts=own_abouts(), face=s.brand.face())
    files = {f.url: f for f in renderer.static.values()}
    for locale in locales:
        for theme, (width, height) in (("light", PHONE), ("dark", PHONE), ("light", DESK)):
            end = f"{locale}-{width}-{theme}"
            for name, page in pages(s, locale):
                html = renderer.page(page, _shell(s, locale, "dark" if theme == "dark" else "light")).decode()
                yield Sheet(f"page-{name}-{end}", _alone(html, files), width, height, theme == "dark")
            for name, html in _mails(s, locale):
                yield Sheet(f"mail-{name}-{end}", html, width, height, theme == "dark")


def _shell(s: Settings, locale: Locale, theme: Literal["light", "dark"]) -> Shell:
    company, desk = s.company.of(locale), s.helpdesk.of(locale)
    return Shell(locale=locale, path="/", company=company, helpdesk=desk, sender=s.mail.sender, theme=theme)


def _alone(html: str, files: dict[str, StaticFile]) -> str:
    """The page with styles and pictures in it, and without scripts."""

    def style(found: re.Match[str]) -> str:
        file = files[found[1]]
        if file.media_type.startswith("text/css"):
            return f"<style>\n{file.body.decode()}</style>"
        return f'<link rel="icon" href="{_data(file.media_type, file.body)}">'

    html = _SCRIPT.sub("", _STYLE.sub(style, html))
    return _SOURCE.sub(lambda found: f'src="{_data(files[found[1]].media_type, files[found[1]].body)}"', html)


def _data(media_type: str, body: bytes) -> str:
    return f"data:{media_type.partition(';')[0]};base64,{b64encode(body).decode()}"


def _mails(s: Settings, locale: Locale) -> Iterator[tuple[str, str]]:
    composer = make_composer(s, BASE)
    for name, content in contents(s, locale):
        message = Message("preview", "maya.okafor@example.com", "Maya", locale, NOW, NOW + 24 * HOUR, content)
        read = email.message_from_bytes(composer.compose(message).data, policy=email.policy.default)
        html = ""
        pictures: dict[str, str] = {}
        for part in read.walk():
            if part.get_content_type() == "text/html":
                html = part.get_content()
            elif part.get_content_maintype() == "image":
                pictures[f"cid:{str(part['Content-ID'])[1:-1]}"] = _data(part.get_content_type(), part.get_content())
        for address, data in pictures.items():
            html = html.replace(address, data)
        yield name, html
