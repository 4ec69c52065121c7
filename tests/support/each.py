"""Many cases in one test: what takes a millisecond needs no report and no message between processes of its own."""

from __future__ import annotations

import functools
import inspect
import traceback
from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from typing import Any, TypeVar

import pytest

Test = TypeVar("Test", bound=Callable[..., Any])


def each(names: str | Sequence[str], cases: Iterable[Any], ids: Iterable[object] = ()) -> Callable[[Test], Test]:
    """As `pytest.mark.parametrize`, within one test: every case is tried, and those that fail are named.

    For tests that keep nothing from one case to the next; what the test asks of fixtures all cases share.

    Args:
        names: of the arguments; in one text, with commas between them.
        cases: values for them, or `pytest.param` with an id.
        ids: names of the cases; without them their values tell.
    """
    keys = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    rows = [_row(case, len(keys), name) for case, name in zip_longest(cases, ids)]

    def fold(test: Test) -> Test:
        rest = [p for p in inspect.signature(test).parameters.values() if p.name not in keys]

        @functools.wraps(test)
        def every(**shared: Any) -> None:
            assert rows, "no case"
            faults: list[str] = []
            for name, values in rows:
                try:
                    test(**shared, **dict(zip(keys, values, strict=True)))
                except (Exception, pytest.fail.Exception) as e:
                    faults.append(f"[{name}] {_told(e)}")
            assert not faults, f"{len(faults)} of {len(rows)} cases\n" + "\n".join(faults)

        every.__signature__ = inspect.Signature(rest)  # type: ignore[attr-defined]
        return every  # type: ignore[return-value]

    return fold


def _row(case: Any, width: int, name: object) -> tuple[str, tuple[Any, ...]]:
    marked = hasattr(case, "values") and hasattr(case, "marks")
    values = tuple(case.values) if marked else (case,) if width == 1 else tuple(case)
    assert len(values) == width, case
    own = case.id if marked else name
    return str(own or ", ".join(repr(v)[:60] for v in values)), values


def _told(e: BaseException) -> str:
    """What failed and where, in the test's own file."""
    own = [f for f in traceback.extract_tb(e.__traceback__) if "/tests/" in f.filename and f.name != "every"]
    at = f"line {own[-1].lineno}: " if own else ""
    return at + "".join(traceback.format_exception_only(e)).strip()
