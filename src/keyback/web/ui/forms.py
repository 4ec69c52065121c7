"""Reading what was sent, strictly: known fields, one string where one string is due (B1, A-15.3.5, A-15.3.7)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

from keyback.web.http import bounds

MAX_FIELDS = 40
JUDGED = frozenset({"identifier", "password", "current_password", "new_password", "new_password_again"})
"""Fields whose own rules refuse a NUL byte, in better words."""
MAX_DEPTH = 20
FORM_TOKEN = "form_token"  # noqa: S105 - a name
"""A field that any form may hold: which session it was drawn for. Kept in the scope, under the same name."""
FLAT = frozenset({str, int, float, bool, type(None)})


class BadForm(Exception):
    """What came cannot be read. `status` is 400, 415 or 422; `field` names the field when there is one."""

    def __init__(self, status: int, code: str, field: str = "") -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.field = field


async def read_form(request: Request, *single: str, many: Sequence[str] = ()) -> dict[str, str]:
    """Fields of an urlencoded form. Absent ones are empty, repeated or unknown ones refused; `many` are joined by a
    newline, which no identifier contains.

    Raises:
        BadForm: wrong type, unknown or repeated field, or not text: a NUL byte, which PostgreSQL keeps in none (B15).
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await request.body()
    if kind != "application/x-www-form-urlencoded" and (kind or body):
        raise BadForm(415, "unsupported_media_type")
    values = parse_form(body, (*single, FORM_TOKEN), many)
    for name, value in values.items():
        if "\0" in value and name not in JUDGED:
            raise BadForm(422, "not_text", name)
    request.scope[FORM_TOKEN] = values.pop(FORM_TOKEN)
    return values


def parse_form(body: bytes, single: Sequence[str], many: Sequence[str] = ()) -> dict[str, str]:
    """As `read_form`, from the body's bytes. Each field is cut to what its reader has use for."""
    try:
        text = body.decode("ascii")
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise BadForm(422, "not_text") from None
    out: dict[str, str] = dict.fromkeys(single, "")
    seen: set[str] = set()
    lists: dict[str, list[str]] = {name: [] for name in many}
    for name, value in pairs:
        if name in lists:
            lists[name].append(bounds.field(name, value))
        elif name not in out:
            raise BadForm(422, "unknown_field")
        elif name in seen:
            raise BadForm(422, "repeated_field", name)
        else:
            seen.add(name)
            out[name] = bounds.field(name, value)
    return {**out, **{name: "\n".join(values) for name, values in lists.items()}}


def parse_json(body: bytes) -> dict[str, Any]:
    """A JSON object without repeated names, at most 20 deep.

    Raises:
        BadForm: 400 for what is not JSON, 422 for JSON of another shape.
    """
    try:
        value = DECODER.decode(
            body.decode("utf-8-sig")
        )  # some clients put a byte order mark first (RFC 8259 section 8.1)
    except BadForm:
        raise
    except (ValueError, RecursionError):
        raise BadForm(400, "not_json") from None
    if not isinstance(value, dict):
        raise BadForm(422, "not_an_object")
    if not FLAT.issuperset(map(type, value.values())) and _depth(value) > MAX_DEPTH:
        raise BadForm(422, "too_deep")
    return value


def _depth(value: Any) -> int:
    level, depth = [value], 0
    while level:
        depth += 1
        level = [y for x in level if isinstance(x, dict | list) for y in (x.values() if isinstance(x, dict) else x)]
        if depth > MAX_DEPTH:
            break
    return depth


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        raise BadForm(422, "repeated_field")
    return out


DECODER = json.JSONDecoder(object_pairs_hook=_once)  # `json.loads` would make one for every call


def one_string(values: Mapping[str, Any], name: str, *, required: bool = True, longest: int = 2000) -> str:
    """The string under `name`; absent or null optional ones are empty.

    Raises:
        BadForm: absent, not a string, too long, or holding a lone surrogate.
    """
    value = values.get(name)
    if value is None and not required:
        return ""
    if not isinstance(value, str):
        raise BadForm(422, "missing" if value is None else "not_a_string", name)
    if len(value) > longest:
        raise BadForm(422, "too_long", name)
    try:
        value.encode()
    except UnicodeEncodeError:
        raise BadForm(422, "not_text", name) from None
    return value


__all__ = ["BadForm", "ClientDisconnect", "one_string", "parse_form", "parse_json", "read_form"]
