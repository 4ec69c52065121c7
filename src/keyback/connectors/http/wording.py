"""What a mistake of a recipe is called, in both languages: our own words, whoever found it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from keyback.locale import N_, Locale, gettext_of, language

HERE: Final = Path(__file__).parent
MAX_SHOWN: Final = 80  # characters of what a file says that is repeated in a message


class Said:
    """A sentence that is looked up in the reader's language, and what its `{…}` stand for. Braces that name none of
    these are themselves."""

    __slots__ = ("text", "values")

    def __init__(self, text: str, **values: object) -> None:
        self.text, self.values = text, {k: shown(v) for k, v in values.items()}

    def __call__(self, locale: Locale) -> str:
        out = gettext_of(HERE, locale, self.text)
        return re.sub(r"\{(\w+)\}", lambda m: self.values.get(m[1], m[0]), out)


@dataclass(frozen=True, slots=True, eq=False)
class Mistake:
    """One mistake. `line` counts from 1; `key` is empty for what is no TOML."""

    line: int
    key: str
    said: tuple[Said, ...]

    @property
    def text(self) -> str:
        return self.words("en")

    def words(self, locale: Locale) -> str:
        """What is wrong, without its place."""
        return "".join(s(locale) for s in self.said)

    def whole(self, locale: Locale) -> str:
        """The mistake with its line."""
        at = gettext_of(HERE, locale, N_("line {line}: ")).replace("{line}", str(self.line))
        joint = language(locale).colon
        return at + (f"{self.key}{joint}" if self.key else "") + self.words(locale)

    def __str__(self) -> str:
        return self.whole("en")


def in_order(found: Iterable[Mistake]) -> list[Mistake]:
    """By line, each once."""
    once = {(m.line, m.key, m.text): m for m in found}
    return [once[k] for k in sorted(once)]


def shown(value: object) -> str:
    """A name or a value of the file, short and on one line."""
    text = "".join(c if c.isprintable() else "·" for c in str(value))
    return text if len(text) <= MAX_SHOWN else text[:MAX_SHOWN] + "…"


class Wrong(ValueError):
    """What a validator raises. `name` is the one of a table's names that is wrong, if it is one."""

    def __init__(self, said: Said) -> None:
        super().__init__(said("en"))
        self.said, self.name = said, said.values.get("name", "")


def wrong(text: str, **values: object) -> Wrong:
    """The error that a validator raises for `N_(text)`."""
    return Wrong(Said(text, **values))


def meant(name: str, known: Iterable[str]) -> tuple[Said, ...]:
    """What was probably meant, if anything is near."""
    near = difflib.get_close_matches(name[:200], list(known), 1, 0.6)
    return (Said(N_("; did you mean {near}?"), near=near[0]),) if near else ()


_SYNTAX: Final = tuple(
    (re.compile(pattern), text)
    for pattern, text in (
        ("Expected newline", N_("something follows where the line should end")),
        ("Invalid statement", N_("this is neither key = value nor a [table]")),
        (r"Found invalid character '\\r'", N_("lines end with CR alone; save the file with LF or CRLF")),
        (r"(?:Found invalid|Illegal) character (?P<what>.+)", N_("the character {what} must not be here")),
        (r"Cannot declare \((?P<what>.*?),?\) twice", N_("the table {what} is there already")),
        ("Cannot (?:overwrite|mutate)", N_("this key or table is there already")),
        ("Duplicate inline table key (?P<what>.+)", N_("the key {what} is there already")),
        (r"Expected '\]", N_("the name of a table ends with ], of a list of tables with ]]")),
        ("Expected '='", N_("after a key come = and its value")),
        (
            "Invalid initial character for a key part",
            N_("a key is missing here; an inline table { … } stays on one line, and no comma follows its last value"),
        ),
        ("Unclosed array", N_("a list is never closed by ]")),
        ("Unclosed inline table", N_("an inline table is never closed by }; it stays on one line")),
        ("Unterminated string", N_("a text is never closed by its quotation mark")),
        ("Unescaped|Escaped|Invalid hex", N_("a backslash in a text is written \\\\")),
        ("Invalid value", N_("this is no value; texts stand in straight quotation marks")),
        ("Invalid date", N_("this is no date; write it as a text")),
        ("Nested too deeply|maximum recursion", N_("nested too deeply")),
        ("A number has too many digits|Exceeds the limit", N_("a number has too many digits")),
    )
)


def of_syntax(words: str) -> Said:
    """What `tomllib` says, in our words."""
    for pattern, text in _SYNTAX:
        if m := pattern.match(words):
            what = (m.groupdict().get("what") or "").replace("', '", ".").strip("'")
            return Said(text, what=what) if "{what}" in text else Said(text)
    return Said(N_("this is no TOML"))


_OF_TYPE: Final[Mapping[str, str]] = {
    "string_type": N_("a text is needed, in quotation marks"),
    "int_type": N_("a whole number is needed"),
    "int_parsing": N_("a whole number is needed"),
    "int_parsing_size": N_("a whole number is needed"),
    "int_from_float": N_("a whole number is needed"),
    "bool_type": N_("true or false is needed, without quotation marks"),
    "bool_parsing": N_("true or false is needed, without quotation marks"),
    "model_type": N_("a table is needed here"),
    "model_attributes_type": N_("a table is needed here"),
    "dict_type": N_("a table is needed here"),
    "list_type": N_("a list is needed: […]"),
    "frozen_set_type": N_("a list is needed: […]"),
    "string_pattern_mismatch": N_("has a character that can't be in such a name"),
    "too_short": N_("something has to be listed here"),
}
_OF_BOUND: Final[Mapping[str, tuple[str, str]]] = {
    "greater_than_equal": ("ge", N_("has to be {bound} or more")),
    "less_than_equal": ("le", N_("has to be {bound} or less")),
    "string_too_long": ("max_length", N_("has {bound} characters at most")),
    "string_too_short": ("min_length", N_("has {bound} characters at least")),
    "too_long": ("max_length", N_("has {bound} of them at most")),
}


def of_format(error: Mapping[str, Any], keys: Iterable[str]) -> tuple[Said, ...]:
    """What the format says of a value, in our words.

    Args:
        keys: that the format has where the error is.
    """
    last = error["loc"][-1] if error["loc"] else ""
    context = error.get("ctx", {})
    kind = error["type"]
    if kind == "extra_forbidden":
        return Said(N_("there is no key {name} here"), name=last), *meant(str(last), keys)
    if kind == "missing":
        return (Said(N_("{name} is missing"), name=last),)
    if kind == "literal_error":
        known = re.findall(r"'([^']*)'|(\d+)", str(context.get("expected", "")))
        names = [a or b for a, b in known]
        given = str(error["input"])
        told = Said(N_("{given} is not one of {names}"), given=repr(error["input"]))
        told.values["names"] = ", ".join(names)
        return told, *(meant(given, names) if given not in names else ())
    if isinstance(raised := context.get("error"), Wrong):
        return (raised.said,)
    if {"str", "int", "bool"} & {p for p in error["loc"] if isinstance(p, str)} and kind.endswith("_type"):
        return (Said(N_("a text, a whole number, true or false is needed")),)
    if kind in _OF_BOUND:
        name, text = _OF_BOUND[kind]
        return (Said(text, bound=context.get(name, "?")),)
    return (Said(_OF_TYPE.get(kind, N_("this can't be a value here"))),)
