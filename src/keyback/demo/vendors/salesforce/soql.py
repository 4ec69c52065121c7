"""As much of SOQL as account recovery needs, with Salesforce's own errors for the rest."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Row = Mapping[str, Any]
Test = Callable[[Row], bool]
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<when>\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:?\d\d))|(?P<number>-?\d+(?:\.\d+)?)"
    r"|(?P<name>[A-Za-z_][\w.]*)|(?P<op>!=|<>|<=|>=|[=<>(),]))"
)
_ESCAPES = {"\\n": "\n", "\\r": "\r", "\\t": "\t"}


class BadQuery(Exception):
    """A query that is refused: `code` as Salesforce names it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code, self.message = code, message


@dataclass(frozen=True, slots=True)
class Table:
    """An object that can be queried.

    Args:
        fields: as Salesforce spells them; fields of a parent with a dot.
    """

    name: str
    fields: Sequence[str]

    def field(self, name: str) -> str:
        """The field as it is spelled. Raises `BadQuery` where there is none."""
        found = next((f for f in self.fields if f.casefold() == name.casefold()), None)
        if found is None:
            raise BadQuery("INVALID_FIELD", f"No such column '{name}' on entity '{self.name}'.")
        return found


@dataclass(slots=True)
class Query:
    """A query as read: `order` is (field, descending)."""

    table: Table
    fields: list[str]
    where: Test
    order: list[tuple[str, bool]] = field(default_factory=list)
    limit: int | None = None

    def run(self, rows: Iterable[Row]) -> list[Row]:
        found = [r for r in rows if self.where(r)]
        for name, down in reversed(self.order):
            found.sort(key=lambda r, n=name: (value(r, n) is not None, value(r, n) or ""), reverse=down)  # type: ignore[misc]
        return [picked(r, self.fields, self.table.name) for r in found[: self.limit]]


def value(row: Row, name: str) -> Any:
    out: Any = row
    for part in name.split("."):
        out = out.get(part) if isinstance(out, Mapping) else None
    return out


def picked(row: Row, fields: Sequence[str], type_: str) -> Row:
    """The row with these fields alone, as the API shows it."""
    attributes: dict[str, Any] = {"type": type_}
    if row.get("Id"):
        attributes["url"] = f"/services/data/v67.0/sobjects/{type_}/{row['Id']}"
    out: dict[str, Any] = {"attributes": attributes}
    for name in fields:
        parent, _, child = name.partition(".")
        if not child:
            out[name] = row.get(name)
        elif isinstance(row.get(parent), Mapping):
            out.setdefault(parent, {"attributes": {"type": parent}})[child] = row[parent].get(child)
        else:
            out[parent] = None
    return out


def parse(text: str, tables: Mapping[str, Table]) -> Query:
    """Raises `BadQuery` with `MALFORMED_QUERY`, `INVALID_TYPE` or `INVALID_FIELD`."""
    return _Parser(text, tables).query()


class _Parser:
    def __init__(self, text: str, tables: Mapping[str, Table]) -> None:
        self._tables = tables
        self._tokens: list[tuple[str, str]] = []
        at = 0
        while text[at:].strip():
            m = _TOKEN.match(text, at)
            if m is None or m.lastgroup is None:
                raise BadQuery("MALFORMED_QUERY", f"unexpected token: '{text[at:].strip()[:1]}'")
            self._tokens.append((m.lastgroup, m[m.lastgroup]))
            at = m.end()
        self._at = 0

    def query(self) -> Query:
        self._word("SELECT")
        names = [self._name()]
        while self._skip(","):
            names.append(self._name())
        self._word("FROM")
        asked = self._name()
        table = next((t for t in self._tables.values() if t.name.casefold() == asked.casefold()), None)
        if table is None:
            raise BadQuery("INVALID_TYPE", f"sObject type '{asked}' is not supported.")
        fields = [table.field(n) for n in names]
        where = self._conditions(table) if self._is("WHERE") else _all
        out = Query(table, fields, where)
        if self._is("ORDER"):
            self._word("BY")
            out.order.append(self._ordered(table))
            while self._skip(","):
                out.order.append(self._ordered(table))
        if self._is("LIMIT"):
            out.limit = int(self._take("number"))
        if self._at < len(self._tokens):
            raise self._unexpected()
        return out

    def _ordered(self, table: Table) -> tuple[str, bool]:
        name = table.field(self._name())
        down = self._is("DESC")
        if not down:
            self._is("ASC")
        if self._is("NULLS") and not self._is("LAST"):
            self._word("FIRST")
        return name, down

    def _conditions(self, table: Table) -> Test:
        tests = [self._condition(table)]
        joint = next((j for j in ("AND", "OR") if self._is(j)), "")
        while joint:
            tests.append(self._condition(table))
            if not self._is(joint):
                break
        every = joint != "OR"
        return lambda r: all(t(r) for t in tests) if every else any(t(r) for t in tests)

    def _condition(self, table: Table) -> Test:
        if self._is("NOT"):
            inner = self._condition(table)
            return lambda r: not inner(r)
        if self._skip("("):
            grouped = self._conditions(table)
            self._need(")")
            return grouped
        name = table.field(self._name())
        if self._is("IN"):
            return self._among(name)
        if self._is("LIKE"):
            pattern = re.escape(str(self._literal())).replace("%", ".*").replace("_", ".")
            return lambda r: re.fullmatch(pattern, str(value(r, name) or ""), re.I) is not None
        op, wanted = self._take("op"), self._literal()
        return _comparison(name, op, wanted)

    def _among(self, name: str) -> Test:
        self._need("(")
        wanted = [self._literal()]
        while self._skip(","):
            wanted.append(self._literal())
        self._need(")")
        return lambda r: any(_equal(name, value(r, name), w) for w in wanted)

    def _literal(self) -> Any:
        if self._at >= len(self._tokens):
            raise BadQuery("MALFORMED_QUERY", "unexpected token: '<EOF>'")
        kind, text = self._tokens[self._at]
        self._at += 1
        if kind == "text":
            return re.sub(r"\\.", lambda m: _ESCAPES.get(m[0], m[0][1]), text[1:-1])
        if kind == "number":
            return float(text) if "." in text else int(text)
        if kind == "when":
            return text
        words = {"true": True, "false": False, "null": None}
        if kind == "name" and text.casefold() in words:
            return words[text.casefold()]
        self._at -= 1
        raise self._unexpected()

    def _is(self, word: str) -> bool:
        if self._at < len(self._tokens):
            kind, text = self._tokens[self._at]
            if kind == "name" and text.upper() == word:
                self._at += 1
                return True
        return False

    def _skip(self, op: str) -> bool:
        if self._at < len(self._tokens) and self._tokens[self._at] == ("op", op):
            self._at += 1
            return True
        return False

    def _need(self, op: str) -> None:
        if not self._skip(op):
            raise self._unexpected()

    def _word(self, word: str) -> None:
        if not self._is(word):
            raise self._unexpected()

    def _name(self) -> str:
        return self._take("name")

    def _take(self, kind: str) -> str:
        if self._at >= len(self._tokens) or self._tokens[self._at][0] != kind:
            raise self._unexpected()
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _unexpected(self) -> BadQuery:
        text = self._tokens[self._at][1] if self._at < len(self._tokens) else "<EOF>"
        return BadQuery("MALFORMED_QUERY", f"unexpected token: '{text}'")


def _all(row: Row) -> bool:
    return True


def _equal(name: str, have: Any, wanted: Any) -> bool:
    """Texts are compared without case, ids by their first fifteen characters."""
    if isinstance(have, str) and isinstance(wanted, str):
        if name.rpartition(".")[2].endswith("Id") and len(wanted) in (15, 18) and len(have) == 18:
            return have[:15] == wanted[:15]
        return have.casefold() == wanted.casefold()
    return bool(have == wanted)


def _comparison(name: str, op: str, wanted: Any) -> Test:
    def test(row: Row) -> bool:
        have = value(row, name)
        if op in ("=", "!=", "<>"):
            return _equal(name, have, wanted) == (op == "=")
        if have is None or wanted is None:
            return False
        a, b = (str(x).replace("+0000", "Z").replace(".000Z", "Z") for x in (have, wanted))
        return {"<": a < b, ">": a > b, "<=": a <= b, ">=": a >= b}[op]

    if op in ("(", ")", ","):
        raise BadQuery("MALFORMED_QUERY", f"unexpected token: '{op}'")
    return test
