"""What `keyback check` finds of the company's face: whether it can be shown, and what people may misread."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from keyback.domain.brand.colors import hue_apart
from keyback.domain.brand.face import Face
from keyback.locale import LOCALES
from keyback.settings import Settings, Unsafe

STOP: Final = "#9d2a1b"  # of buttons that end something, as in tokens.css
ALIKE: Final = 25.0
HEAVY: Final = 16 * 1024  # bytes of a logo that travels in every mail


@dataclass(frozen=True, slots=True)
class Finding:
    """One part of the face: `status`, what was found, and what to do about it."""

    name: str
    status: Literal["ok", "warn", "bad"]
    detail: str
    next: str = ""


def look(s: Settings) -> Iterator[Finding]:
    """What is right with the face, then what is not; nothing where no part of it is set."""
    try:
        face = s.brand.face()
    except Unsafe as e:
        what, _, step = str(e).partition(". ")
        yield Finding("brand", "bad", what, step)
        return
    shown = [f"accent {face.light.accent}, {face.dark.accent} on dark pages"] if face.light and face.dark else []
    shown += [f"logo {face.logo.kind.upper()} of {face.logo.width} × {face.logo.height}"] if face.logo else []
    shown += [f"logo in emails of {face.mail_logo.width} × {face.mail_logo.height}"] if face.mail_logo else []
    shown += [f"help desk at {face.phone_link}"] if face.phone else []
    if shown:
        yield Finding("brand", "ok", "; ".join(shown))
    if face.light and hue_apart(face.light.accent, STOP) < ALIKE:
        words = f"accent {face.light.accent} is close to the red of buttons that cancel or lock"
        yield Finding("brand", "warn", words, "Take another color of the company's, so that people tell them apart.")
    yield from _in_mails(face)
    for name in ("intro", "help", "footer"):
        texts = getattr(face, name)
        missing = [locale for locale in LOCALES if locale not in texts]
        if texts and missing:
            words = f"brand.{name} has no text in {', '.join(missing)}, so pages in it show another language's"
            yield Finding("brand", "warn", words, f"Add brand.{name}.{missing[0]}.")


def _in_mails(face: Face) -> Iterator[Finding]:
    if face.logo and not face.logo_in_mail:
        words = "emails show our mark in place of the logo: it is an SVG, which mail programs don't show"
        yield Finding("brand", "warn", words, "Save it as a PNG 72 pixels high, and name it in brand.mail_logo.")
    if face.logo_in_mail and len(face.logo_in_mail.body) > HEAVY:
        words = f"the logo makes every email {len(face.logo_in_mail.body) * 4 // 3 // 1024} KiB larger"
        yield Finding("brand", "warn", words, "Save it smaller, 72 pixels high, and name it in brand.mail_logo.")
