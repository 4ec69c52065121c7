"""Refusals of the domain: each has a stable code that pages translate and the API returns."""

from __future__ import annotations


class Refusal(Exception):
    """A command that cannot be done now. `code` is stable and safe to show.

    Codes: `not_found`, `wrong_state`, `not_enough_evidence`, `already_chosen`, `conflict`, `expired`, `no_accounts`.
    """

    def __init__(self, code: str, **values: object) -> None:
        super().__init__(code)
        self.code = code
        self.values = values


class BadInput(ValueError):
    """What was typed cannot be read. `code` is stable; the text never echoes the input (ASVS 5.0 16.2.5).

    Codes: `empty`, `too_long`, `not_text`, `phone_not_understood`, `phone_without_messages`.
    """

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code
