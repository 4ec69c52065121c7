"""What is wrong with a value of the settings, and what to write instead; never the value, which may be secret."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import BaseModel, ValidationError

_NUMBER: Final = "must be a number without quotation marks, such as 587"
_WORDS: Final[Mapping[str, str]] = {
    "int_type": _NUMBER, "int_parsing": _NUMBER, "int_from_float": "must be a whole number, such as 587",
    "int_parsing_size": _NUMBER, "float_type": _NUMBER, "float_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "bool_type": "must be true or false, without quotation marks",
    "bool_parsing": "must be true or false, without quotation marks",
    "string_type": 'must be text in quotation marks ("…")',
    "string_sub_type": 'must be text in quotation marks ("…")',
    "path_type": 'must be a path in quotation marks, such as "/etc/keyback/password"',
    "list_type": 'must be a list in brackets, such as ["one", "two"]',
    "dict_type": "must be a section of its own: [{name}]",
    "model_type": "must be a section of its own: [{name}]",
    "model_attributes_type": "must be a section of its own: [{name}]",
    "string_too_short": "must not be empty. Write its text, or take the line out",
    "ip_any_network": "must be a network, such as 10.0.0.0/8 or 2001:db8::/32",
    "url_parsing": "must be an address, such as https://crm.example.com",
}  # fmt: skip
_SECTION: Final = frozenset(("dict_type", "model_type", "model_attributes_type"))


def faults_of(e: ValidationError, model: type[BaseModel] | None = None) -> list[str]:
    """One sentence for each fault, which names the setting.

    Args:
        model: what was read, by which a name that is none can be told what it may mean. None finds it by its name.
    """
    model = model or _named(e.title)
    faults = e.errors(include_url=False, include_input=False)
    missing: dict[tuple[str, ...], list[str]] = {}
    for f in faults:
        if f["type"] == "missing":
            *parents, name = map(str, f["loc"])
            missing.setdefault(tuple(parents), []).append(name)
    out = [_missing(".".join(parents), names) for parents, names in missing.items()]
    return list(dict.fromkeys([*out, *(_fault(f, model) for f in faults if f["type"] != "missing")]))


def _missing(section: str, names: Sequence[str]) -> str:
    one = len(names) == 1
    told = names[0] if one else f"{', '.join(names[:-1])} and {names[-1]}"
    where = f"{section}.{told}" if one and section else f"{section}: {told}" if section else told
    return f"{where}{':' if one else ''} {'is missing. Add it' if one else 'are missing. Add them'}"


def _fault(fault: Mapping[str, Any], model: type[BaseModel] | None) -> str:
    loc = tuple(map(str, fault["loc"]))
    name = ".".join(loc) or "settings"
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "extra_forbidden":
        return f"{name}: there is no such setting. {_instead(loc, model)}"
    if kind == "literal_error":
        return f"{name}: must be one of {context['expected']}"
    if kind in _WORDS:
        return f"{name}: {_WORDS[kind].format(name=name)}"
    limits = {"greater_than_equal": "ge", "less_than_equal": "le", "greater_than": "gt", "less_than": "lt"}
    if kind in limits:
        limit = context[limits[kind]]
        least = "at least" if kind == "greater_than_equal" else "at most" if kind == "less_than_equal" else ""
        return f"{name}: must be {least or kind.replace('_', ' ')} {limit}"
    if kind == "string_too_long":
        return f"{name}: must have {context['max_length']} characters at most. Shorten it"
    return f"{name}: {fault['msg'].removeprefix('Value error, ')}"


def _instead(loc: Sequence[str], model: type[BaseModel] | None) -> str:
    """What somebody who wrote a name that is none may have meant."""
    name, parent = loc[-1], _model_at(model, loc[:-1])
    fields = list(parent.model_fields) if parent else []
    if close := difflib.get_close_matches(name.casefold().replace("-", "_"), fields, 1, 0.6):
        return f"Did you mean {'.'.join((*loc[:-1], close[0]))}?"
    if model is not None:
        homes = [path for path in _homes(model, name) if path != tuple(loc)]
        if homes and len(homes[0]) == 1:
            return f"It belongs above the first section, such as [{next(iter(loc))}]."
        if homes:
            return f"It belongs in the section [{'.'.join(homes[0][:-1])}]."
    known = f" Known are {', '.join(fields)}." if 0 < len(fields) <= 20 else ""
    return f"Take it out, or correct its name.{known}"


def _homes(model: type[BaseModel], name: str) -> Iterator[tuple[str, ...]]:
    if name in model.model_fields:
        yield (name,)
    for section, field in model.model_fields.items():
        part = _model_in(field.annotation)
        if part is not None and name in part.model_fields and typing.get_origin(field.annotation) is not dict:
            yield section, name


def _model_at(model: type[BaseModel] | None, loc: Sequence[str]) -> type[BaseModel] | None:
    names = iter(loc)
    for name in names:
        field = model.model_fields.get(name) if model else None
        if field is None:
            return None
        model = _model_in(field.annotation)
        if typing.get_origin(field.annotation) is dict:
            next(names, None)
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation speaks of: itself, or among the parts of a union or a dict."""
    if isinstance(annotation, type) and not isinstance(annotation, types.GenericAlias):
        return annotation if issubclass(annotation, BaseModel) else None
    return next((m for a in typing.get_args(annotation) if (m := _model_in(a))), None)


def _named(title: str) -> type[BaseModel] | None:
    """The one model of this name; None where there are several."""
    found: set[type[BaseModel]] = set()
    waiting: list[type[BaseModel]] = [BaseModel]
    while waiting:
        for model in waiting.pop().__subclasses__():
            waiting.append(model)
            if model.__name__ == title:
                found.add(model)
    return found.pop() if len(found) == 1 else None


def unknown_variables(environment: Mapping[str, str], model: type[BaseModel]) -> Iterator[tuple[str, str]]:
    """Variables `KEYBACK_…` that set nothing: what each is, and what to do."""
    for name in sorted(environment):
        low = name.lower()
        if not low.startswith("keyback_") or low in ("keyback_config", "keyback_"):
            continue
        section = low.removeprefix("keyback_").split("__")[0]
        if section in model.model_fields:
            continue
        close = difflib.get_close_matches(section, model.model_fields, 1, 0.6)
        parts = [p for p, f in model.model_fields.items() if _model_in(f.annotation) and section.startswith(f"{p}_")]
        rest = name[len("keyback_") + len(section) :]
        if parts:
            right = f"{parts[0]}__{section.removeprefix(f'{parts[0]}_')}".upper()
            step = f"Between a section and its key belong two underscores: KEYBACK_{right}"
        elif close:
            step = f"Did you mean KEYBACK_{close[0].upper()}{rest}?"
        else:
            step = "Take it out, or correct its name."
        yield f"{name} is set, and there is no such setting", step
