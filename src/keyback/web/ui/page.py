"""What every page is made of; the pages themselves live beside their routes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from keyback.application.passwords.suggestion import Suggestion
from keyback.locale import LOCALES, language
from keyback.locale.languages import Language


@dataclass(frozen=True, slots=True)
class Shell:
    """What surrounds every page.

    Args:
        locale: the language of this page.
        path: clean path of this page, without a query: target of the language links, so never a POST-only path.
        company: the host company's name in this language.
        helpdesk: how to reach the help desk in this language, such as "extension 8100, weekdays 8:30 to 18:00".
        sender: address that our mail comes from.
        step: 1 prove, 2 new password, 3 done; None where no recovery is under way.
        demo: whether to show the demo strip.
        signed_in_as: username of the session, for the sign-out button.
        form_token: what forms of this session carry; empty where there is none.
        theme: light or dark where this browser's owner chose one of the two; else the page is as the device is.
        of: names the mailed link that the page is about; its forms carry it (`links`).
    """

    locale: str
    path: str
    company: str
    helpdesk: str
    sender: str
    step: Literal[1, 2, 3] | None = None
    demo: bool = False
    signed_in_as: str | None = None
    form_token: str = field(default="", repr=False)
    of: str = ""
    phones: bool = False
    theme: Literal["", "light", "dark"] = ""

    @property
    def language(self) -> Language:
        """The language of this page: its tag, direction and marks."""
        return language(self.locale)

    @property
    def languages(self) -> tuple[Language, ...]:
        """All that people may choose from."""
        return tuple(language(code) for code in LOCALES)


@dataclass(frozen=True, slots=True)
class Page:
    """Base of all pages; `template` is its room and the file in the room's `templates/`."""

    template: ClassVar[str]


@dataclass(frozen=True, slots=True)
class PasswordRule:
    """One rule in the list, or one reason why the password was not taken, in the page's language already."""

    code: str
    text: str
    state: Literal["met", "unmet", "idle"] = "idle"
    fix: str = ""


@dataclass(frozen=True, slots=True)
class PasswordForm(Page):
    """What every page has that takes a new password (`new_password.html`). A typed one is never sent back.

    Args:
        min_length: the policy's minimum in code points, for the check in the browser.
        requirements: listed before typing.
        errors: everything that was wrong with the last try.
        mismatch: a form of the version before, which asks twice, held two.
        suggestion: a password to take as it is, if one fits all rules.
        plain: what is typed is shown; for browsers without JavaScript.
        busy: the server was too busy to hash; nothing was lost.
    """

    username: str
    min_length: int
    requirements: tuple[PasswordRule, ...]
    errors: tuple[PasswordRule, ...] = ()
    mismatch: bool = False
    suggestion: Suggestion | None = None
    plain: bool = False
    busy: bool = False


@dataclass(frozen=True, slots=True)
class ErrorPage(Page):
    """Any error status; those without words of their own read like 400 (4xx) or 500 (5xx).

    Args:
        status: 400, 403, 404, 405, 413, 414, 415, 422, 429, 500, 503 …
        retry_after: seconds, for 429 and 503; 0 says nothing.
        back: path to start again from.
        why: of a 503: `busy`, the database is `away`, or `unsure` whether it took the change.
    """

    template: ClassVar[str] = "ui/error.html"
    status: int
    retry_after: int = 0
    back: str = "/"
    why: Literal["busy", "away", "unsure"] = "busy"
