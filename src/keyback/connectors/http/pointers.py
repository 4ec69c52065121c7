"""JSON pointers (RFC 6901) into a system's answers, and conditions on what is found there.

`*` stands for every element of an array: `/roles/*/key`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

Scalar = str | int | bool
MAX_FOUND = 10_000


def fault_of(pointer: str) -> str:
    """What is wrong with a pointer; empty when nothing is."""
    if pointer and not pointer.startswith("/"):
        return "a JSON pointer starts with / (or is empty, for the whole answer)"
    if "~" in pointer.replace("~0", "").replace("~1", ""):
        return "in a JSON pointer ~ is written ~0 (and / inside a name ~1)"
    return ""


def find_all(document: Any, pointer: str) -> list[Any] | None:
    """Everything at the pointer; None where the way to it ends early or only null is there."""
    here: list[Any] = [document]
    for step in pointer.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        there: list[Any] = []
        reached = False
        for value in here[:MAX_FOUND]:
            if step == "*" and isinstance(value, list):
                there += value
                reached = True
            elif isinstance(value, dict) and value.get(step) is not None:
                there.append(value[step])
                reached = True
            elif isinstance(value, list) and step.isascii() and step.isdecimal() and len(step) < 7:
                there += value[int(step) : int(step) + 1]
                reached = int(step) < len(value)
        if here and not reached:  # of an empty array there is nothing, which is not the same as no array
            return None
        here = there
    return None if here == [None] else here[:MAX_FOUND]


def find_one(document: Any, pointer: str) -> Any:
    """The first value at the pointer, or None."""
    found = find_all(document, pointer)
    return found[0] if found else None


def text_at(document: Any, pointer: str | None) -> str | None:
    """The value at the pointer as text; None where it is no text, number or boolean, or there is none."""
    return None if pointer is None else as_text(find_one(document, pointer))


def as_text(value: Any) -> str | None:
    """A scalar as it is compared: `true`, `1`, `abc`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | str):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else str(value)
    return None


def holds(
    document: Any,
    at: str,
    wanted: Sequence[Scalar] | None,
    unwanted: Sequence[Scalar] | None,
    part: Sequence[Scalar] | None = None,
) -> bool | None:
    """Whether anything at the pointer is one of `wanted`, anything there is none of `unwanted`, or one of `part` is
    among the words of a text there, such as `sales,admin`; None when nothing is there."""
    found = find_all(document, at)
    if found is None:
        return None
    texts = [as_text(v) for v in found]
    if wanted is not None:
        return bool({as_text(w) for w in wanted} & set(texts))
    if part is not None:
        words = {w.casefold() for t in texts if t for w in (t.strip(), *re.split(r"[\s,;|]+", t))}
        return bool({str(as_text(p)).casefold() for p in part} & words)
    return bool(set(texts) - {as_text(w) for w in unwanted or ()})
