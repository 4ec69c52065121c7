"""Odoo's search domains: lists of conditions in Polish notation, as `search_read` takes them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


class BadDomain(ValueError):
    """A domain that Odoo would not take."""


def fits(row: Row, domain: Sequence[Any]) -> bool:
    """Whether a row fits the domain. Raises `BadDomain` for an operator or a field that there is not."""
    terms = list(domain)
    result = True
    while terms:
        value = _term(row, terms)
        result = result and value
    return result


def fields_of(domain: Sequence[Any]) -> set[str]:
    """The fields that conditions of it name."""
    return {str(t[0]) for t in domain if isinstance(t, list | tuple)}


def _term(row: Row, terms: list[Any]) -> bool:
    if not terms:
        raise BadDomain("a domain ends too early")
    head = terms.pop(0)
    if head in ("|", "&"):
        one, two = _term(row, terms), _term(row, terms)
        return one or two if head == "|" else one and two
    if head == "!":
        return not _term(row, terms)
    if not isinstance(head, list | tuple) or len(head) != 3:
        raise BadDomain(f"{head!r} is no condition")
    name, operator, wanted = head
    if name not in row or operator not in _OPERATORS:
        raise BadDomain(f"Invalid field or operator in {name!r} {operator!r}")
    have = row[name]
    if isinstance(have, list) and operator in ("in", "not in"):
        return bool(set(have) & set(wanted)) is (operator == "in")
    return _OPERATORS[operator](have, wanted)


def _like(have: object, pattern: object) -> bool:
    """SQL's `ILIKE` with its own escapes."""
    parts = re.findall(r"\\.|%|_|[^\\%_]+", str(pattern))
    ours = {"%": ".*", "_": "."}
    regex = "".join(ours.get(p) or re.escape(p[1:] if p.startswith("\\") else p) for p in parts)
    return isinstance(have, str) and re.fullmatch(regex, have, re.IGNORECASE | re.DOTALL) is not None


_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda have, wanted: bool(have == wanted),
    "!=": lambda have, wanted: bool(have != wanted),
    ">": lambda have, wanted: bool(have > wanted),
    "in": lambda have, wanted: have in wanted,
    "not in": lambda have, wanted: have not in wanted,
    "=ilike": _like,
    "ilike": lambda have, wanted: _like(have, f"%{wanted}%"),
}
