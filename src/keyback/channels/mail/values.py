"""The values of one mail."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from markupsafe import escape

from keyback.channels.sanitize import isolate


@dataclass(frozen=True, slots=True)
class Values:
    """The values of one mail, once for the plain part and once, escaped, for the HTML part."""

    locale: str
    words: Mapping[str, str]
    written_at: int
    text: dict[str, str] = field(default_factory=dict)
    html: dict[str, str] = field(default_factory=dict)

    def fixed(self, **values: str) -> None:
        """Values of our own making, such as a time."""
        self.text.update(values)
        self.html.update({name: str(escape(value)) for name, value in values.items()})

    def foreign(self, **values: str) -> None:
        """Cleaned values that somebody else chose: kept apart from the text around them by direction (UAX 9)."""
        self.text.update({name: isolate(value) for name, value in values.items()})
        self.html.update({name: f"<bdi>{escape(value)}</bdi>" for name, value in values.items()})
