"""Says everything that is wrong with a recipe, each mistake with its line and what was probably meant."""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from keyback.connectors.http.contents import Contents, auth_templates
from keyback.connectors.http.lines import Located, locate
from keyback.connectors.http.options import MAX_RECIPE, HttpConnectorOptions
from keyback.connectors.http.recipe import Recipe
from keyback.connectors.http.templates import holes, names_used, strings
from keyback.connectors.http.wording import Mistake, Said, Wrong, in_order, meant, of_format, of_syntax, shown
from keyback.locale import N_


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
        return None, [Mistake(1, "", (Said(N_("a recipe has {most} bytes at most"), most=MAX_RECIPE),))]
    at = locate(text.removeprefix("\ufeff"))
    wrong = [Mistake(line, "", (of_syntax(words),)) for line, words in at.faults]
    try:
        recipe = Recipe.model_validate(at.document)
    except ValidationError as e:
        return None, in_order([*wrong, *_of_format(e, at)])
    except RecursionError:
        return None, [*wrong, Mistake(1, "", (Said(N_("nested too deeply")),))]
    wrong += Contents(recipe, at).all()
    return recipe, in_order(wrong)


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
    used = set().union(*everything, {h.name for t in auth_templates(recipe) for h in holes(t)})
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
        near = "".join(said("en") for said in meant(name, recipe.values))
        yield f"values.{name}: the recipe has no such value{near}"
    for name, default in recipe.values.items():
        if not default and not options.values.get(name):
            yield f"values.{name}: the recipe leaves this to you and has no default"
        elif name in _guarding(recipe) and not options.values.get(name, default).strip(", "):
            yield f"values.{name}: must not be empty, since it says who is privileged"


def _guarding(recipe: Recipe) -> set[str]:
    """Names of the values that say who is privileged."""
    said = [[c.wanted or [], c.unwanted or [], c.part or []] for c in recipe.account.privileged]
    return {h.name.removeprefix("values.") for t in strings(said) for h in holes(t)}


def _of_format(e: ValidationError, at: Located) -> Iterator[Mistake]:
    seen: set[tuple[int, str]] = set()
    for error in e.errors(include_url=False):
        if error["type"] == "missing" and at.faults:
            continue  # perhaps it is what could not be read
        path = [p for p in error["loc"] if not (isinstance(p, str) and p in {"str", "int", "bool", "[key]"})]
        raised = error.get("ctx", {}).get("error")
        if isinstance(raised, Wrong) and raised.name:  # of a table, one name is wrong
            path.append(raised.name)
        line, key = at.line(path), shown(".".join(map(str, at.known(path))))
        if (line, key) not in seen:  # a union says the same for each of its members
            seen.add((line, key))
            yield Mistake(line, key, of_format(error, _keys_at(error["loc"][:-1])))


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
