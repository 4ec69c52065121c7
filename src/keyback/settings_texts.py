"""Texts of the company's own, a field for each language that there is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field, create_model, field_validator

from keyback.domain.brand.prose import MAX_CHARACTERS, Prose, read_prose
from keyback.locale import LANGUAGES, LOCALES, told, with_all
from keyback.locale.languages import SOURCE, Language
from keyback.settings_sections import Part, Text

OwnText = Annotated[str, Field(max_length=MAX_CHARACTERS)]
OptionalText = Annotated[str, Field(max_length=200)]


def _instead(x: Language) -> str:
    return f"The same in {x.name}. Empty: the text in {' or '.join(f'`{code}`' for code in x.chain[1:])}."


class _InLanguages(Part):
    def given(self) -> dict[str, str]:
        """Those that are set, by language."""
        return {code: text for code in LANGUAGES if (text := getattr(self, code).strip())}

    def of(self, locale: str) -> str:
        """The one for a language, else for what it falls back to; empty where none is set."""
        given = self.given()
        return told(given, locale) if given else ""

    def texts(self) -> Mapping[str, str]:
        """One for every language that is offered."""
        return with_all(self.given())


class _OwnTexts(_InLanguages):
    @field_validator("*")
    @classmethod
    def _safe(cls, value: str) -> str:
        read_prose(value)
        return value

    def read(self) -> Mapping[str, Prose]:
        return {locale: read_prose(text) for locale, text in self.given().items()}


if TYPE_CHECKING:
    AnyLocale = str

    class InLanguages(_InLanguages):
        def __init__(self, **texts: str) -> None: ...

    class OwnTexts(_OwnTexts):
        def __init__(self, **texts: str) -> None: ...

else:
    AnyLocale = Literal[LOCALES]
    _fields: dict[str, Any] = {
        code: (Text, Field(description="As shown in English pages and emails."))
        if code == SOURCE
        else (OptionalText, Field("", description=_instead(x)))
        for code, x in LANGUAGES.items()
    }
    InLanguages = create_model(
        "InLanguages", __base__=_InLanguages, __doc__="A text of the company's own, by language.", **_fields
    )
    _prose: dict[str, Any] = {
        code: (OwnText, Field("", description="In English. Blank lines divide paragraphs; see the brand page."))
        if code == SOURCE
        else (OwnText, Field("", description=f"The same in {x.name}. A language without a text shows another's."))
        for code, x in LANGUAGES.items()
    }
    OwnTexts = create_model(
        "OwnTexts", __base__=_OwnTexts, __doc__="A text of the company's own, where it has one.", **_prose
    )
