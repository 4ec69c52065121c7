"""What the code of a route can come to, by reading the source: which functions it names, and those in turn.

A name counts as a call, whoever calls it in the end; so this finds too much rather than too little. What goes through a
plug-in or the worker is not followed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

from starlette.routing import BaseRoute, Mount, Route

import keyback

SOURCE = Path(keyback.__file__).parent


@cache
def _module(name: str) -> tuple[dict[str, str], dict[str, ast.AST]]:
    """What names in a module stand for, in full, and its functions and classes."""
    path = SOURCE.parent.joinpath(*name.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    if not path.exists():
        return {}, {}
    tree = ast.parse(path.read_text("utf-8"))
    known, own = {}, {}
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("keyback"):
            known |= {a.asname or a.name: f"{node.module}.{a.name}" for a in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            known[node.name] = f"{name}.{node.name}"
            own[node.name] = node
    return known, own


def _chain(node: ast.AST) -> tuple[str, ...]:
    """`tx.people.add` as its parts; empty for anything else."""
    if isinstance(node, ast.Name):
        return (node.id,)
    inner = _chain(node.value) if isinstance(node, ast.Attribute) else ()
    return (*inner, node.attr) if inner and isinstance(node, ast.Attribute) else ()


def _found(full: str) -> tuple[dict[str, str], ast.AST] | None:
    module, _, name = full.rpartition(".")
    known, own = _module(module)
    if name in own:
        return known, own[name]
    return _found(known[name]) if name in known and known[name] != full else None


@cache
def _own(full: str) -> tuple[frozenset[tuple[str, ...]], frozenset[str], frozenset[str]]:
    """Of one function or class: what it calls, the kinds of `Job` it makes, and which functions of ours it names."""
    found, called, kinds, names = _found(full), set(), set(), set()
    known, body = found or ({}, ast.Pass())
    for node in ast.walk(body):
        parts = _chain(node)
        if parts and parts[0] in known:
            names |= {".".join((known[parts[0]], *parts[1:2])), known[parts[0]]}
        if isinstance(node, ast.Call):
            called.add(_chain(node.func))
            kind = node.args[1] if len(node.args) > 1 else None
            if _chain(node.func)[-1:] == ("Job",) and isinstance(kind, ast.Constant):
                kinds.add(str(kind.value))
    return frozenset(called), frozenset(kinds), frozenset(names)


@cache
def _reached(full: str) -> frozenset[str]:
    """A function, given by its full name, and all that it can come to."""
    waiting, seen = [full], set()
    while waiting:
        full = waiting.pop()
        if full not in seen:
            seen.add(full)
            waiting += _own(full)[2]
    return frozenset(seen)


def calls(full: str, *ending: str) -> bool:
    """Whether it can come to a call such as `….sessions.add(…)`."""
    return any(chain[-len(ending) :] == ending for f in _reached(full) for chain in _own(f)[0])


def queues(full: str, kind: str) -> bool:
    """Whether it can come to a `Job` of this kind."""
    return any(kind in _own(f)[1] for f in _reached(full))


def routes(given: list[BaseRoute], prefix: str = "") -> Iterator[tuple[str, str, str]]:
    """(method, pattern, full name of the function) of every route, in mounted applications and routers too."""
    for r in given:
        inside: Any = getattr(r, "original_router", None)  # of FastAPI
        if inside is not None:
            yield from routes(list(inside.routes), prefix)
        elif isinstance(r, Mount):
            yield from routes(list(r.routes), prefix + r.path)
        elif isinstance(r, Route):
            end: Any = r.endpoint
            pattern = prefix + r.path_format
            for method in sorted((r.methods or set()) - {"HEAD"}):
                yield method, pattern, f"{end.__module__}.{end.__qualname__}"
