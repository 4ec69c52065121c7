"""Says everything that is wrong with a recipe, each mistake with its line and what was probably meant."""

from __future__ import annotations

import difflib
import re
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from keyback.connectors.http.lines import Located, locate
from keyback.connectors.http.options import MAX_RECIPE, HttpConnectorOptions
from keyback.connectors.http.recipe import Condition, Recipe, Request
from keyback.connectors.http.templates import FILTERS, Hole, Place, holes, names_used, parse, strings

MAX_DEPTH: Final = 20
ABOUT_A_PERSON: Final = frozenset({"identifier", "id", "username", "mail", "session"})
HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}\Z")
OURS: Final = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "cookie", "expect", "te", "trailer",
     "upgrade", "keep-alive", "proxy-authorization", "proxy-connection"}
)  # fmt: skip
WITH_PASSWORD: Final = frozenset({"requests.set", "requests.verify"})
SIGNING_IN: Final = frozenset({"auth.before", "auth.request"})


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One mistake. `line` counts from 1; `key` is empty for what is no TOML."""

    line: int
    key: str
    text: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.key}: {self.text}" if self.key else f"line {self.line}: {self.text}"


def mistakes(text: str) -> list[Mistake]:
    """Everything that is wrong with a recipe, in the order of its lines."""
    return _read(text)[1]


def checked(text: str, options: HttpConnectorOptions) -> Recipe:
    """A recipe without mistakes, that the section gives all it asks for. Raises `ValueError` with every mistake."""
    recipe, wrong = _read(text)
    if recipe is None or wrong:
        raise ValueError(f"recipe {options.recipe}: " + "; ".join(map(str, wrong)))
    if lacking := list(_lacking(recipe, options)):
        raise ValueError("; ".join(lacking))
    return recipe


def _read(text: str) -> tuple[Recipe | None, list[Mistake]]:
    if len(text.encode(errors="replace")) > MAX_RECIPE:
        return None, [Mistake(1, "", f"a recipe has {MAX_RECIPE} bytes at most")]
    at = locate(text)
    wrong = [Mistake(line, "", words) for line, words in at.faults]
    try:
        recipe = Recipe.model_validate(at.document)
    except ValidationError as e:
        return None, sorted({*wrong, *_of_format(e, at)})
    except RecursionError:
        return None, [*wrong, Mistake(1, "", "nested too deeply")]
    wrong += _Check(recipe, at).all()
    return recipe, sorted(set(wrong))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a recipe leaves to the section. `values` are defaults by name, empty where there is none."""

    secret: bool
    login: bool
    values: Mapping[str, str]


def wanted(text: str) -> Wanted:
    """What a recipe leaves to the section. Raises `ValueError` with every mistake in it."""
    recipe, wrong = _read(text)
    if recipe is None or wrong:
        raise ValueError("; ".join(map(str, wrong)))
    return _wanted(recipe)


def _wanted(recipe: Recipe) -> Wanted:
    everything = [*(names_used(r) for r in recipe.by_name().values())]
    used = set().union(*everything, {h.name for t in _auth_templates(recipe) for h in holes(t)})
    secret = recipe.auth.kind in {"basic", "bearer"} or "secret" in used
    return Wanted(secret, recipe.auth.kind == "basic" or "login" in used, recipe.values)


def _lacking(recipe: Recipe, options: HttpConnectorOptions) -> Iterator[str]:
    """What the section has to give and does not, and what it gives that nothing takes."""
    wants = _wanted(recipe)
    if wants.secret and options.secret_or_none() is None:
        yield "secret_file: the recipe signs in with a secret, so the section needs secret_file or secret"
    if wants.login and not options.login:
        yield "login: the recipe signs in as a user, so the section needs login"
    for name in sorted(set(options.values) - set(recipe.values)):
        yield f"values.{name}: the recipe has no such value{_meant(name, recipe.values)}"
    for name, default in recipe.values.items():
        if not default and not options.values.get(name):
            yield f"values.{name}: the recipe leaves this to you and has no default"


# ── the format ──


def _of_format(e: ValidationError, at: Located) -> Iterator[Mistake]:
    seen: set[tuple[int, str]] = set()
    for error in e.errors(include_url=False):
        if error["type"] == "missing" and at.faults:
            continue  # perhaps it is what could not be read
        path = [p for p in error["loc"] if not (isinstance(p, str) and p in {"str", "int", "bool"})]
        line, key = at.line(path), ".".join(map(str, path))
        if (line, key) not in seen:  # a union says the same for each of its members
            seen.add((line, key))
            yield Mistake(line, key, _words(error))


def _words(error: Mapping[str, Any]) -> str:
    last = error["loc"][-1] if error["loc"] else ""
    context = error.get("ctx", {})
    match error["type"]:
        case "extra_forbidden":
            keys = _keys_at(error["loc"][:-1])
            return f"there is no key {last} here{_meant(str(last), keys)}"
        case "missing":
            return f"{last} is missing"
        case "literal_error":
            known = re.findall(r"'([^']*)'|(\d+)", str(context.get("expected", "")))
            names = [a or b for a, b in known]
            return f"{error['input']!r} is not one of {', '.join(names)}{_meant(str(error['input']), names)}"
        case "model_type":
            return "a table is needed here"
        case _:
            return str(error["msg"]).removeprefix("Value error, ").removeprefix("Input should be ")


def _keys_at(path: Iterable[str | int]) -> list[str]:
    """The keys that the format has at a place, for the nearest of them to be offered."""
    here: list[Any] = [Recipe]
    for step in path:
        below: list[Any] = []
        for model in here:
            if isinstance(step, int):
                below.append(model)
                continue
            for name, info in model.model_fields.items():
                if step == (info.alias or name):
                    below += _models(info.annotation)
            if step in {"transforms"}:
                continue
        here = below or here
    return [i.alias or n for m in here for n, i in m.model_fields.items()]


def _models(annotation: Any) -> list[Any]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    if get_origin(annotation) in {Union, types.UnionType, list, dict, Annotated}:
        return [m for a in get_args(annotation) for m in _models(a)]
    return []


def _meant(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), 1, 0.6)
    return f"; did you mean {near[0]}?" if near else ""


# ── placeholders ──


def _auth_templates(recipe: Recipe) -> list[str]:
    return strings([recipe.auth.headers, recipe.auth.query, *(t.model_dump() for t in recipe.transforms.values())])


class _Check:
    def __init__(self, recipe: Recipe, at: Located) -> None:
        self._recipe, self._at, self._wrong = recipe, at, list[Mistake]()
        self._filters = [*FILTERS, *recipe.transforms]

    def all(self) -> list[Mistake]:
        r = self._recipe
        for name, request in r.by_name().items():
            self._request(name, request, self._known(name))
        auth = {"login", "secret", "token", *self._values(), *self._reads(*SIGNING_IN)}
        for place, table in (("header", r.auth.headers), ("query", r.auth.query)):
            key = "headers" if place == "header" else "query"
            for k, v in table.items():
                self._template(f"auth.{key}.{k}", v, place, auth, credentials=True)  # type: ignore[arg-type]
        self._header_names("auth.headers", r.auth.headers)
        for name, t in r.transforms.items():
            everything = {*self._known("requests.set"), *self._reads(*SIGNING_IN), "login"} - {"password"}
            for key in ("before", "after", "key"):
                self._template(f"transforms.{name}.{key}", getattr(t, key), "text", everything)
            if t.first and t.first not in self._filters:
                self._say(f"transforms.{name}.first", f"there is no filter {t.first}{_meant(t.first, self._filters)}")
            if name in FILTERS:
                self._say(f"transforms.{name}", f"{name} is a filter of Keyback's own; choose another name")
            if self._circles(name):
                self._say(f"transforms.{name}.first", "leads back to itself")
        for key in ("disabled", "locked", "sso_only", "privileged"):
            self._conditions(f"account.{key}", getattr(r.account, key))
        self._whole()
        return self._wrong

    def _whole(self) -> None:
        r = self._recipe
        if r.requests.roles and not any(c.at.startswith("/roles/") for c in r.account.privileged):
            self._say(
                "requests.roles", "what it reads is added to the user as /roles, and privileged looks at nothing there"
            )
        if r.read_found and not r.requests.read:
            self._say("read_found", "needs requests.read")
        if r.find_in_list and not r.requests.everybody:
            self._say("find_in_list", "needs requests.list")
        if "password" not in names_used(r.requests.change):
            self._say("requests.set", "sends no {password}")
        if r.requests.change.remembers_job and "job" not in names_used(r.requests.change):
            self._say("requests.set.remembers_job", "the system can't remember a {job} that isn't sent")
        if r.requests.read and not {"id", "username"} & names_used(r.requests.read):
            self._say("requests.read", "names nobody: {id} is missing")
        for name in ("find", "list"):
            for key, request in r.by_name().items():
                paged = {"page", "offset", "cursor"} & names_used(request)
                if key.startswith(f"requests.{name}") and r.paging and name == "list" and not paged:
                    self._say(key, "there is paging, but the request says not which page")
        if r.paging and r.paging.kind == "cursor" and r.requests.everybody and not r.requests.everybody.next:
            self._say("requests.list", 'paging by cursor needs next = "/…", where the answer has the next one')

    def _values(self) -> set[str]:
        return {f"values.{name}" for name in self._recipe.values}

    def _reads(self, *names: str) -> set[str]:
        found = self._recipe.by_name()
        return {read for name in names if name in found for read in found[name].reads()}

    def _known(self, name: str) -> set[str]:
        """What the placeholders of a request may be."""
        out = {"login", *self._values()}
        if name in SIGNING_IN:
            return {*out, "secret", *(self._reads("auth.before") if name == "auth.request" else ())}
        out |= {"token", *self._reads(*SIGNING_IN)}
        if name.startswith(("requests.find", "requests.list")):
            out |= {"page", "offset", "size", "cursor"}
        if name.startswith("requests.find"):
            return out | {"identifier"}
        user = {"id", "username", "mail", *(f"account.{k}" for k in self._recipe.account.extra)}
        match name.removeprefix("requests."):
            case "read" | "roles":
                return out | {"id", "username"}
            case "set":
                return out | user | {"password", "job", "must_change", "salt"} | self._reads("requests.key")
            case "verify":
                return out | {"username", "password", "salt"} | self._reads("requests.key")
            case "sign_out":
                return out | {"username"} | self._reads("requests.key", "requests.verify")
            case "key":
                return out | {"username"}
            case "unlock" | "must_change" | "sessions":
                return out | user | {"job"}
            case "revoke":
                return out | user | {"job"} | ({"session"} if self._recipe.requests.sessions else set())
            case _:
                return out

    def _request(self, name: str, request: Request, known: set[str]) -> None:
        self._path(f"{name}.path", request.path)
        for segment in request.path.strip("/").split("/"):
            self._template(f"{name}.path", segment, "path", known, name=name)
        places: tuple[tuple[str, Place, Any], ...] = (
            ("query", "query", request.query),
            ("headers", "header", request.headers),
            ("cookies", "header", request.cookies),
            ("form", "form", request.form),
            ("json", "json", request.body),
        )
        for key, place, value in places:
            self._structure(f"{name}.{key}", value, place, known, name)
        self._header_names(f"{name}.headers", request.headers)
        if request.auth and name in SIGNING_IN:
            known = known - {"token"}

    def _path(self, key: str, path: str) -> None:
        bare = re.sub(r"\{[^{}]*\}", "x", path)
        if "://" in path or bare.startswith("//"):
            self._say(key, "a recipe names no address; the section's url is the only one")
        elif re.search(r"[?#\\\s]|[\x00-\x1f\x7f]", bare):
            self._say(key, "has ?, #, a backslash or a space; parameters go into query")
        elif any(step in {".", ".."} for step in bare.split("/")) or ".." in bare or "%" in bare:
            self._say(key, "must not have .. or %")

    def _header_names(self, key: str, headers: Mapping[str, str]) -> None:
        for name in headers:
            if not HEADER.match(name):
                self._say(f"{key}.{name}", "is no name of a header")
            elif name.lower() in OURS:
                self._say(f"{key}.{name}", "this header is Keyback's own to set")

    def _structure(self, key: str, value: Any, place: Place, known: set[str], name: str, depth: int = 0) -> None:
        if depth > MAX_DEPTH:
            self._say(key, "nested too deeply")
        elif isinstance(value, str):
            self._template(key, value, place, known, name=name)
        elif isinstance(value, dict):
            for k, v in value.items():
                self._structure(f"{key}.{k}", v, place, known, name, depth + 1)
        elif isinstance(value, list):
            for n, v in enumerate(value):
                self._structure(f"{key}.{n}", v, place, known, name, depth + 1)
        elif value is not None and not isinstance(value, bool | int | float):
            self._say(key, "dates are written as texts")

    def _template(
        self, key: str, template: str, place: Place, known: set[str], *, name: str = "", credentials: bool = False
    ) -> None:
        try:
            parts = parse(template)
        except ValueError as e:
            self._say(key, str(e))
            return
        for part in parts:
            if isinstance(part, Hole):
                self._hole(key, part, place, known, name, alone=len(parts) == 1)

    def _hole(self, key: str, hole: Hole, place: Place, known: set[str], name: str, *, alone: bool) -> None:
        shown = f"{{{hole.name}}}"
        if hole.name not in known:
            self._say(key, f"{shown} is not known here{self._where(hole.name)}{_meant(hole.name, known)}")
        for f in hole.filters:
            if f not in self._filters:
                self._say(key, f"there is no filter {f}{_meant(f, self._filters)}")
        filtered = bool(set(hole.filters) - {"lower", "upper"})
        if hole.name in {"password", "secret"} and place in {"path", "query"} and name:
            self._say(key, f"{shown} in an address ends up in logs; send it in json or form")
        if hole.name == "password" and place == "header" and not filtered:
            self._say(key, "a header takes ASCII only, and passwords have more; send it in json or form")
        personal = hole.name in ABOUT_A_PERSON or hole.name.startswith("account.")
        if personal and place in {"path", "query", "form", "json"} and not alone and not filtered:
            self._say(key, f"{shown} inside a longer text could change what it says; write {{{hole.name}|safe}}")

    def _where(self, name: str) -> str:
        told = {
            "secret": "; only signing in may send the secret: see auth",
            "password": "; only set and verify may send the password",
            "token": "; auth of kind token brings one",
        }
        return told.get(name, "; name it in [values]" if name.startswith("values.") else "")

    def _conditions(self, key: str, conditions: Iterable[Condition]) -> None:
        for n, condition in enumerate(conditions):
            for template in strings([condition.wanted or [], condition.unwanted or [], condition.part or []]):
                self._template(f"{key}.{n}", template, "text", self._values())

    def _circles(self, name: str) -> bool:
        seen = set[str]()
        at: str | None = name
        while at in self._recipe.transforms:
            if at in seen:
                return True
            seen.add(at)
            at = self._recipe.transforms[at].first
        return False

    def _say(self, key: str, text: str) -> None:
        path = [int(p) if p.isdecimal() else p for p in key.split(".")]
        self._wrong.append(Mistake(self._at.line(path), key, text))
