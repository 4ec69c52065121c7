"""Reads the texts of a recipe: what a placeholder may be there, where it goes, and what it could do."""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any, Final

from keyback.connectors.http.lines import Located
from keyback.connectors.http.recipe import Condition, Recipe, Request
from keyback.connectors.http.templates import FILTERS, Hole, Place, holes, names_used, parse, strings
from keyback.connectors.http.transforms import Unfit, public_key
from keyback.connectors.http.wording import Mistake, Said, meant, shown
from keyback.locale import N_

MAX_DEPTH: Final = 20
ABOUT_A_PERSON: Final = frozenset({"identifier", "id", "username", "mail", "session"})
HEADER = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}\Z")
OURS: Final = frozenset(
    {"host", "content-length", "content-type", "transfer-encoding", "connection", "cookie", "expect", "te", "trailer",
     "upgrade", "keep-alive", "proxy-authorization", "proxy-connection"}
)  # fmt: skip
WITH_PASSWORD: Final = frozenset({"requests.set", "requests.verify"})
SIGNING_IN: Final = ("auth.before", "auth.request", "auth.after")
HOLE: Final = re.compile(r"\{[a-z][a-z0-9_.]*(?:\|[a-z0-9_]*)*\}")
WIDE: Final = re.compile(r"｛\s*[a-z][a-z0-9_.|]*\s*｝|\{[a-z0-9_.|]+｝|｛[a-z0-9_.|]+\}")
# What a reader takes for another host, though it would only be a part of the path.
ADDRESS: Final = re.compile(r"//|/?(?:[a-z][a-z0-9+.-]*:(?:/|\[)|[^/]*@|:\d|\[)", re.I)
NO_FILTER: Final = N_("there is no filter {name}")


def auth_templates(recipe: Recipe) -> list[str]:
    return strings([recipe.auth.headers, recipe.auth.query, *(t.model_dump() for t in recipe.transforms.values())])


class Contents:
    """What a recipe of the right format says that cannot be meant, or would do harm."""

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
        if r.auth.kind in {"basic", "bearer"}:
            for k in r.auth.headers:
                if k.lower() == "authorization":
                    self._say(f"auth.headers.{k}", N_("kind {kind} sends this header itself"), kind=r.auth.kind)
        for name, t in r.transforms.items():
            everything = {*self._known("requests.set"), *self._reads(*SIGNING_IN), "login"} - {"password"}
            for key in ("before", "after", "key"):
                self._template(f"transforms.{name}.{key}", getattr(t, key), "text", everything)
            if t.first and t.first not in self._filters:
                self._say(f"transforms.{name}.first", NO_FILTER, *meant(t.first, self._filters), name=t.first)
            if name in FILTERS:
                self._say(
                    f"transforms.{name}", N_("{name} is a filter of Keyback's own; choose another name"), name=name
                )
            if self._circles(name):
                self._say(f"transforms.{name}.first", N_("leads back to itself"))
            if t.kind.startswith("rsa_") and "{" not in t.key:
                try:
                    public_key(t.key)
                except Unfit as e:
                    self._say(f"transforms.{name}.key", str(e))
        for name, value in r.values.items():
            if HOLE.search(value):
                self._say(f"values.{name}", N_("values have no placeholders; this would be sent as it is"))
        for n, rule in enumerate(r.errors):
            if any(HOLE.search(text) for text in strings([rule.code or [], rule.text or []])):
                self._say(f"errors.{n}", N_("rules for errors have no placeholders"))
        for key in ("disabled", "locked", "sso_only", "privileged"):
            self._conditions(f"account.{key}", getattr(r.account, key))
        self._whole()
        return self._wrong

    def _whole(self) -> None:
        r = self._recipe
        if r.requests.roles and not any(c.at.startswith("/roles/") for c in r.account.privileged):
            self._say(
                "requests.roles",
                N_("what it reads is added to the user as /roles, and privileged looks at nothing there"),
            )
        rules = r.password_rules
        if rules and rules.max_length is not None and rules.max_length < rules.min_length:
            self._say("password_rules.max_length", N_("no password can have so few characters and min_length as well"))
        if r.read_found and not r.requests.read:
            self._say("read_found", N_("needs requests.read"))
        if r.find_in_list and not r.requests.everybody:
            self._say("find_in_list", N_("needs requests.list"))
        if "password" not in names_used(r.requests.change):
            self._say("requests.set", N_("sends no {password}"))
        if r.requests.change.remembers_job and "job" not in names_used(r.requests.change):
            self._say("requests.set.remembers_job", N_("the system can't remember a {job} that isn't sent"))
        if r.requests.read and not {"id", "username"} & names_used(r.requests.read):
            self._say("requests.read", N_("names nobody: {id} is missing"))
        for name in ("find", "list"):
            for key, request in r.by_name().items():
                paged = {"page", "offset", "cursor"} & names_used(request)
                if key.startswith(f"requests.{name}") and r.paging and name == "list" and not paged:
                    self._say(key, N_("there is paging, but the request says not which page"))
        if r.paging and r.paging.kind == "cursor" and r.requests.everybody and not r.requests.everybody.next:
            self._say("requests.list", N_('paging by cursor needs next = "/…", where the answer has the next one'))

    def _values(self) -> set[str]:
        return {f"values.{name}" for name in self._recipe.values}

    def _reads(self, *names: str) -> set[str]:
        found = self._recipe.by_name()
        return {read for name in names if name in found for read in found[name].reads()}

    def _known(self, name: str) -> set[str]:
        """What the placeholders of a request may be."""
        out = {"login", *self._values()}
        if name in SIGNING_IN:
            earlier = SIGNING_IN[: SIGNING_IN.index(name)]
            return {*out, "secret", *({"token"} if name == "auth.after" else ()), *self._reads(*earlier)}
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
        if request.auth and name not in SIGNING_IN:
            sent = self._signs_with()
            for header in request.headers:
                if header.lower() in sent:
                    self._say(
                        f"{name}.headers.{header}", N_("signing in sends this header; auth = false leaves that out")
                    )

    def _signs_with(self) -> set[str]:
        """Names of the headers by which requests are signed in, in small letters."""
        auth = self._recipe.auth
        own = {"authorization"} if auth.kind in {"basic", "bearer"} else set[str]()
        own |= {"authorization"} if auth.kind == "token" and not (auth.headers or auth.query) else set()
        return own | {k.lower() for k in auth.headers}

    def _path(self, key: str, path: str) -> None:
        bare = re.sub(r"\{[^{}]*\}", "x", path)
        if "://" in path or ADDRESS.match(bare):
            self._say(key, N_("a recipe names no address; the section's url is the only one"))
        elif re.search(r"[?#\\\s]|[\x00-\x1f\x7f]", bare):
            self._say(key, N_("has ?, #, a backslash or a space; parameters go into query"))
        elif not bare.isprintable() or any(unicodedata.category(c) == "Cf" for c in bare):
            self._say(key, N_("has a character that can't be seen"))
        elif any(step in {".", ".."} for step in bare.split("/")) or ".." in bare or "%" in bare:
            self._say(key, N_("must not have .. or %"))

    def _header_names(self, key: str, headers: Mapping[str, str]) -> None:
        seen = set[str]()
        for name in headers:
            if name.lower() in seen:
                self._say(f"{key}.{name}", N_("this header is there already; capital and small letters are alike"))
            seen.add(name.lower())
            if not HEADER.match(name):
                self._say(f"{key}.{name}", N_("is no name of a header"))
            elif name.lower() in OURS:
                self._say(f"{key}.{name}", N_("this header is Keyback's own to set"))

    def _structure(self, key: str, value: Any, place: Place, known: set[str], name: str, depth: int = 0) -> None:
        if depth > MAX_DEPTH:
            self._say(key, N_("nested too deeply"))
        elif isinstance(value, str):
            self._template(key, value, place, known, name=name)
        elif isinstance(value, dict):
            for k, v in value.items():
                if HOLE.search(k):
                    self._say(f"{key}.{k}", N_("only values have placeholders; this name would be sent as it is"))
                self._structure(f"{key}.{k}", v, place, known, name, depth + 1)
        elif isinstance(value, list):
            for n, v in enumerate(value):
                self._structure(f"{key}.{n}", v, place, known, name, depth + 1)
        elif isinstance(value, float) and not math.isfinite(value):
            self._say(key, N_("JSON has no nan and no inf"))
        elif value is not None and not isinstance(value, bool | int | float):
            self._say(key, N_("dates are written as texts"))

    def _template(
        self, key: str, template: str, place: Place, known: set[str], *, name: str = "", credentials: bool = False
    ) -> None:
        try:
            parts = parse(template)
        except ValueError as e:
            self._say(key, str(e))  # the text of a brace that is none
            return
        for part in parts:
            if isinstance(part, Hole):
                self._hole(key, part, place, known, name, alone=len(parts) == 1)
            elif WIDE.search(part):
                self._say(key, N_("has ｛ or ｝ of Chinese input; placeholders have plain braces"))
            elif place == "header" and not (part.isascii() and part.isprintable()):
                self._say(key, N_("a header takes printable ASCII only"))
            elif ".cookies." in key and re.search(r'[;,\s"\\]', part):
                self._say(key, N_("has a character that no cookie has"))

    def _hole(self, key: str, hole: Hole, place: Place, known: set[str], name: str, *, alone: bool) -> None:
        named = f"{{{hole.name}}}"
        if hole.name not in known:
            self._say(
                key, N_("{hole} is not known here"), *self._where(hole.name), *meant(hole.name, known), hole=named
            )
        for f in hole.filters:
            if f not in self._filters:
                self._say(key, NO_FILTER, *meant(f, self._filters), name=f)
        filtered = bool(set(hole.filters) - {"lower", "upper"})
        if hole.name in {"password", "secret"} and place in {"path", "query"} and name:
            self._say(key, N_("{hole} in an address ends up in logs; send it in json or form"), hole=named)
        if hole.name == "password" and place == "header" and not filtered:
            self._say(key, N_("a header takes ASCII only, and passwords have more; send it in json or form"))
        personal = hole.name in ABOUT_A_PERSON or hole.name.startswith("account.")
        if personal and place in {"path", "query", "form", "json"} and not alone and not filtered:
            text = N_("{hole} inside a longer text could change what it says; write {safe}")
            self._say(key, text, hole=named, safe=f"{{{hole.name}|safe}}")

    def _where(self, name: str) -> tuple[Said, ...]:
        told = {
            "secret": N_("; only signing in may send the secret: see auth"),
            "password": N_("; only set and verify may send the password"),
            "token": N_("; auth of kind token brings one"),
        }
        text = told.get(name, N_("; name it in [values]") if name.startswith("values.") else "")
        return (Said(text),) if text else ()

    def _conditions(self, key: str, conditions: Iterable[Condition]) -> None:
        for n, condition in enumerate(conditions):
            for template in strings([condition.wanted or [], condition.unwanted or [], condition.part or []]):
                self._template(f"{key}.{n}", template, "text", self._values())

    def _circles(self, name: str) -> bool:
        """Whether a transform leads back to itself, by `first` or by a placeholder in what is put around."""
        ahead, seen = [name], set[str]()
        while ahead:
            at = ahead.pop()
            if (t := self._recipe.transforms.get(at)) is None:
                continue
            below = {f for part in (t.before, t.after, t.key) for h in holes(part) for f in h.filters}
            below |= {t.first} if t.first else set()
            if name in below:
                return True
            ahead += below - seen
            seen |= below
        return False

    def _say(self, key: str, text: str, *more: Said, **values: object) -> None:
        path = [int(p) if p.isdecimal() else p for p in key.split(".")]
        name = shown(".".join(map(str, self._at.known(path))))
        self._wrong.append(Mistake(self._at.line(path), name, (Said(text, **values), *more)))
