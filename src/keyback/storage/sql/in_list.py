"""`column IN (…)` with one parameter, however many values there are: the statement stays the same, so that it is put
together once, prepared by the server, and read by the driver once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ARRAY, Boolean, ColumnElement, Dialect, Text, bindparam
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine


class _Texts(TypeDecorator[Sequence[str]]):
    """A list of texts: an array on PostgreSQL, JSON on SQLite."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        return dialect.type_descriptor(ARRAY(Text) if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: Sequence[str] | None, dialect: Dialect) -> Any:
        return value if dialect.name == "postgresql" else json.dumps(value)


class among(FunctionElement[bool]):
    """Whether a text column holds one of `values`; of the parameter `named`, for statements that are made once: making
    one takes several times as long as running it."""

    type = Boolean()
    inherit_cache = True

    def __init__(self, column: ColumnElement[Any], values: Sequence[str] = (), *, named: str = "") -> None:
        values_given = bindparam(named, type_=_Texts()) if named else bindparam(None, list(values), type_=_Texts())
        super().__init__(column, values_given)

    def self_group(self, against: Any = None) -> Any:
        """Itself: SQLite would be asked for `column IN (…) = 1`, and reads the whole table for that."""
        return self


@compiles(among, "postgresql")
def _any(element: among, compiler: Any, **kw: Any) -> str:
    column, values = element.clauses
    return f"{compiler.process(column, **kw)} = ANY ({compiler.process(values, **kw)})"


@compiles(among, "sqlite")
def _each(element: among, compiler: Any, **kw: Any) -> str:
    column, values = element.clauses
    one, all_of = compiler.process(column, **kw), compiler.process(values, **kw)
    return f"{one} IN (SELECT value FROM json_each({all_of}))"  # noqa: S608 - parts of a query
