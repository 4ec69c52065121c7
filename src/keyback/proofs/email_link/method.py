"""The mailed link and code. They start every recovery, so what they do is in `application.recovery.mailed_link`."""

from __future__ import annotations

from pathlib import Path

from keyback.application.ports.proofs import N_, About, Given


class EmailLink:
    """What people read of it; no page asks for it by itself."""

    name = "email_link"
    about = About(
        Path(__file__).parent,
        title=N_("A link to your email"),
        note=N_("To your registered address"),
        noun=N_("an email to the primary address"),
        by=N_("by email link"),
        page="",
    )

    @classmethod
    def make(cls, given: Given) -> None:
        return None
