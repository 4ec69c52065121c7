"""A text that must never be printed, logged or stored in clear."""

from __future__ import annotations


class Secret:
    """Wraps a secret text so that `repr`, `str` and formatting never show it (ASVS 5.0 16.2.5).

    Args:
        text: the secret; `reveal` gives it back to the one place that needs it.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(("Secret", self._text))
