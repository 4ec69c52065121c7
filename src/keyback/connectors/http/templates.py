"""Placeholders: `{name}`, or `{name|filter}`, in what a recipe sends. Values are encoded for where they go.

There are no expressions, no conditions and no loops, and nothing can be named but what a request has.
"""

from __future__ import annotations

import json
import re
import secrets
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import quote

from keyback.connectors.http.recipe import Recipe, Request, TransformPart
from keyback.connectors.http.transforms import Unfit, transform
from keyback.domain.secret import Secret
from keyback.locale import N_

Place = Literal["path", "query", "form", "json", "header", "text"]
TOKEN = re.compile(r"\{\{|\}\}|\{([a-z][a-z0-9_.]*)((?:\|[a-z][a-z0-9_]*)*)\}|[{}]")
SAFE = re.compile(r"[\w@.+-]{1,320}\Z")
FILTERS: Final = ("int", "safe", "lower", "upper", "base64", "md5", "sha1", "sha256", "sha512")
MAX_VALUE: Final = 8192


@dataclass(frozen=True, slots=True)
class Hole:
    """One placeholder."""

    name: str
    filters: tuple[str, ...] = ()


def parse(template: str) -> list[str | Hole]:
    """Texts and placeholders in turn. Raises `ValueError` for a brace that is no part of either."""
    out: list[str | Hole] = []
    at = 0
    for m in TOKEN.finditer(template):
        out.append(template[at : m.start()])
        at = m.end()
        if m[0] in {"{{", "}}"}:
            out.append(m[0][0])
        elif m[1]:
            out.append(Hole(m[1], tuple(m[2].split("|")[1:])))
        else:
            raise ValueError(N_("a brace that is no placeholder; write {{ or }} for the character itself"))
    out.append(template[at:])
    return [p for p in out if p != ""]


def holes(template: str) -> list[Hole]:
    """The placeholders of a template; none of one that cannot be parsed."""
    try:
        return [p for p in parse(template) if isinstance(p, Hole)]
    except ValueError:
        return []


@dataclass(slots=True)
class Context:
    """What the placeholders of one request stand for. `hide` grows by all that was made of secrets."""

    recipe: Recipe
    values: Mapping[str, Secret | str | int | bool | None]
    hide: list[Secret] = field(default_factory=list)
    salt: str = field(default_factory=lambda: secrets.token_hex(8))

    def with_(self, **more: Secret | str | int | bool | None) -> Context:
        return Context(self.recipe, {**self.values, **more}, self.hide, self.salt)

    def over(self, **more: Secret | str | int | bool | None) -> Context:
        """With these where the context has nothing of that name."""
        return Context(self.recipe, {**more, **self.values}, self.hide, self.salt)

    def raw(self, hole: Hole) -> str | int | bool | None:
        """The value, filters applied. Raises `Unfit`."""
        value = self.salt if hole.name == "salt" else self.values.get(hole.name)
        secret = isinstance(value, Secret)
        out: str | int | bool | None = value.reveal() if isinstance(value, Secret) else value
        if secret:
            self.hide.append(Secret(str(out)))
        for name in hole.filters:
            if out is None:
                raise Unfit(f"{hole.name} is not known")
            out = self._filtered(name, out)
            if secret:
                self.hide.append(Secret(str(out)))
        return out

    def _filtered(self, name: str, value: str | int | bool) -> str | int | bool:
        text = _text(value)
        if name in self.recipe.transforms:
            return self._transformed(self.recipe.transforms[name], text)
        match name:
            case "int":
                if not (text.isascii() and text.removeprefix("-").isdecimal() and len(text) < 20):
                    raise Unfit("not a number")
                return int(text)
            case "safe":
                if not SAFE.match(text):
                    raise Unfit("has characters that this system's queries might take for their own")
                return text
            case "lower":
                return text.lower()
            case "upper":
                return text.upper()
            case "base64" | "md5" | "sha1" | "sha256" | "sha512":
                return transform(name, text)
            case _:
                raise Unfit(f"there is no filter {name}")

    def _transformed(self, t: TransformPart, text: str) -> str:
        if t.first:
            text = str(self._filtered(t.first, text))
        before, after, key = (self.text(part, "text") for part in (t.before, t.after, t.key))
        return transform(t.kind, text, before=before, after=after, output=t.output, rounds=t.rounds, key=key)

    def text(self, template: str, place: Place) -> str:
        """A template as text for this place. Raises `Unfit` for a value that cannot go there."""
        return "".join(
            part if isinstance(part, str) else ENCODE[place](_text(self.raw(part))) for part in parse(template)
        )

    def path(self, template: str) -> str:
        """A path, segment by segment: no value can add one, leave one out or climb."""
        out = []
        for segment in template.strip("/").split("/"):
            made = self.text(segment, "path")
            if ".." in made or made == "." or (made == "" and segment):
                raise Unfit("cannot be part of a path")
            out.append(made)
        return "/".join(out)

    def json(self, value: Any) -> Any:
        """A structure with its texts filled in. A placeholder that is a whole text keeps its type."""
        if isinstance(value, str):
            parts = parse(value)
            if len(parts) == 1 and isinstance(parts[0], Hole):
                return self.raw(parts[0])
            return self.text(value, "json")
        if isinstance(value, dict):
            return {k: self.json(v) for k, v in value.items()}
        if isinstance(value, list):
            return [self.json(v) for v in value]
        return value

    def query(self, template: Any) -> str:
        """A value of the query; a structure becomes JSON in it."""
        if isinstance(template, str):
            return self.text(template, "query")
        if isinstance(template, bool | int | float):
            return _text(template)
        return json.dumps(self.json(template), ensure_ascii=False, separators=(",", ":"))


def _text(value: object) -> str:
    if value is None:
        return ""
    out = ("true" if value else "false") if isinstance(value, bool) else str(value)
    if len(out) > MAX_VALUE:
        raise Unfit("too long")
    return out


def _segment(text: str) -> str:
    return quote(text, safe="")


def _header(text: str) -> str:
    if not text.isascii() or not text.isprintable():
        raise Unfit("a header takes printable ASCII only")
    return text


def _plain(text: str) -> str:
    # Lone surrogates have no UTF-8; NUL ends texts in some systems.
    if "\x00" in text or any(unicodedata.category(c) == "Cs" for c in text):
        raise Unfit("has characters that cannot be sent")
    return text


ENCODE: Final[Mapping[Place, Callable[[str], str]]] = {
    "path": lambda t: _segment(_plain(t)),
    "query": _plain,  # encoded as a whole by the client
    "form": _plain,
    "json": _plain,
    "header": _header,
    "text": _plain,
}


def strings(value: Any) -> list[str]:
    """Every text in a structure."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [t for v in value.values() for t in strings(v)]
    if isinstance(value, list):
        return [t for v in value for t in strings(v)]
    return []


def names_used(request: Request) -> set[str]:
    """Names of the placeholders of a request."""
    whole = [request.path, request.query, request.headers, request.cookies, request.body, request.form or {}]
    return {hole.name for template in strings(whole) for hole in holes(template)}
