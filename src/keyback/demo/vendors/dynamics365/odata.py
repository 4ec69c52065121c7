"""As much of OData as account recovery needs: `$filter`, `$select` and `$top`, and the errors for the rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]
Test = Callable[[Row], bool]
_TERM = re.compile(
    r"\s*(?:(?P<list>\w+)/any\((?P<var>\w+):\s*(?P=var)\s+eq\s+'(?P<item>(?:[^']|'')*)'\)"
    r"|(?P<among>\w+)\s+in\s+\((?P<these>'[^']*'(?:,\s*'[^']*')*)\)"
    r"|startswith\((?P<start>\w+),\s*'(?P<prefix>(?:[^']|'')*)'\)"
    r"|(?P<name>[\w/]+)\s+(?P<op>eq|ne|ge|le|gt|lt)\s+(?P<value>'(?:[^']|'')*'|[\w.:+-]+))\s*",
    re.I,
)
_JOINT = re.compile(r"(and|or)\s", re.I)


class BadQuery(Exception):
    """A query that is refused, with the reason in the service's words."""


def parse_filter(text: str, properties: Sequence[str]) -> Test:
    """What `$filter` asks for. Raises `BadQuery`."""
    if not text:
        return _all
    tests, joints, at = [], [], 0
    while True:
        m = _TERM.match(text, at)
        if m is None:
            raise BadQuery("Invalid filter clause")
        tests.append(_term(m, properties))
        at = m.end()
        if at == len(text):
            break
        j = _JOINT.match(text, at)
        if j is None:
            raise BadQuery("Invalid filter clause")
        joints.append(j[1].casefold())
        at = j.end()
    if len(set(joints)) > 1:
        raise BadQuery("Complex query on property is not supported.")
    return (lambda r: any(t(r) for t in tests)) if "or" in joints else (lambda r: all(t(r) for t in tests))


def _all(row: Row) -> bool:
    return True


def _term(m: re.Match[str], properties: Sequence[str]) -> Test:
    name = m["list"] or m["start"] or m["among"] or m["name"]
    if name not in properties:
        raise BadQuery(f"Could not find a property named '{name}'.")
    if m["list"]:
        wanted = m["item"].replace("''", "'").casefold()
        return lambda r: any(str(x).casefold() == wanted for x in r.get(name) or ())
    if m["among"]:
        these = {t.strip(" '").casefold() for t in m["these"].split(",")}
        if len(these) > 15:
            raise BadQuery("Too many child clauses specified in search filter expression")
        return lambda r: str(r.get(name)).casefold() in these
    if m["start"]:
        prefix = m["prefix"].replace("''", "'").casefold()
        return lambda r: str(r.get(name) or "").casefold().startswith(prefix)
    value, op = _literal(m["value"]), m["op"].casefold()

    def test(r: Row) -> bool:
        have = r.get(name)
        a, b = (x.casefold() if isinstance(x, str) else x for x in (have, value))
        if op in ("eq", "ne"):
            return (a == b) == (op == "eq")
        if a is None or b is None or type(a) is not type(b):
            return False
        return bool({"ge": a >= b, "le": a <= b, "gt": a > b, "lt": a < b}[op])

    return test


def _literal(text: str) -> Any:
    if text.startswith("'"):
        return text[1:-1].replace("''", "'")
    words: dict[str, Any] = {"true": True, "false": False, "null": None}
    if text in words:
        return words[text]
    return int(text) if re.fullmatch(r"-?\d+", text) else text


def picked(row: Row, select: str, properties: Sequence[str], default: Sequence[str]) -> dict[str, Any]:
    """The properties that `$select` names, or the default ones. Raises `BadQuery` for one that there is not."""
    names = [n.strip() for n in select.split(",")] if select else list(default)
    for name in names:
        if name not in properties:
            raise BadQuery(f"Could not find a property named '{name}'.")
    return {n: row[n] for n in dict.fromkeys([*(["id"] if "id" in row else []), *names]) if n in row}
