"""JSON pointers (RFC 6901) into a system's answers, and conditions on what is found there.

`*` stands for every element of an array: `/roles/*/key`. A pointer goes on inside a text that is JSON itself, as in
`{"data": "{\\"id\\": 1}"}`, which some systems wrap their answers in.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Sequence
from typing import Any

from keyback.locale import N_

Scalar = str | int | bool
MAX_FOUND = 10_000


def fault_of(pointer: str) -> str:
    """What is wrong with a pointer; empty when nothing is."""
    if pointer and not pointer.startswith("/"):
        return N_("a JSON pointer starts with / (or is empty, for the whole answer)")
    if "~" in pointer.replace("~0", "").replace("~1", ""):
        return N_("in a JSON pointer ~ is written ~0 (and / inside a name ~1)")
    if not pointer.isprintable():
        return N_("a JSON pointer is on one line")
    if pointer.endswith("/"):
        return N_("a JSON pointer ends with a name, not with /")
    if re.search(r"/-(?:\d+)?(?:/|\Z)", pointer):
        return N_("in a JSON pointer elements count from the first one, which is 0; * is every one")
    if re.search(r"\{[a-z]", pointer):
        return N_("a JSON pointer has no placeholders")
    return ""


def find_all(document: Any, pointer: str) -> list[Any] | None:
    """Everything at the pointer; None where the way to it ends early or only null is there."""
    here: list[Any] = [document]
    for step in pointer.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")
        there: list[Any] = []
        reached = False
        for value in here[:MAX_FOUND]:
            value = unwrapped(value)
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


def unwrapped(value: Any) -> Any:
    """What a text holds that is JSON of an object or an array; all else as it is."""
    if isinstance(value, str) and value[:1] in {"{", "["}:
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(value)
    return value


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
    if isinstance(value, str):  # lone surrogates and NUL are in JSON, and in no database
        return value.encode("utf-8", "replace").decode().replace("\0", "\ufffd")
    if isinstance(value, int):
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
