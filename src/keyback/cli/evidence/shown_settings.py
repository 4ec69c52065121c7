"""The settings as an assessor may read them: every value, no secret."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, SecretStr

from keyback.cli.connectors import class_of
from keyback.registry import BadPart
from keyback.settings import Settings
from keyback.settings_sections import System

HIDDEN: Final = "(not shown)"
_NAMES: Final = re.compile(
    r"secret|passw|token|pepper|credential|authori[sz]ation|cookie|keyring$|(^|_)key$|certificate$"
)
_USER_INFO: Final = re.compile(r"(?<=://)[^/@\s]*@")
_PLAIN: Final = (bool, int, float)


def shown(s: Settings) -> str:
    """One line for each value, as in `keyback.toml`, those by default included.

    A value is left out where its type says that it is a secret, where its name does, and, in tables whose keys this
    version does not know, wherever it is a text. Names of files stay; user names and passwords in addresses do not.
    """
    return "\n".join(f"{key} = {value}" for key, value in _lines("", s)) + "\n"


def _lines(prefix: str, part: BaseModel) -> Iterator[tuple[str, str]]:
    for name, field in type(part).model_fields.items():
        yield from _value(f"{prefix}{name}", getattr(part, name), known="typing.Any" not in str(field.annotation))
    if part.model_extra:
        known = _known_texts(part)
        for name, value in sorted(part.model_extra.items()):
            yield from _value(f"{prefix}{name}", value, known=name in known)


def _value(key: str, value: Any, *, known: bool) -> Iterator[tuple[str, str]]:
    name = key.rpartition(".")[2]
    if isinstance(value, BaseModel):
        yield from _lines(f"{key}.", value)
    elif isinstance(value, Mapping):
        for inner, v in value.items():
            quoted = (
                inner if re.fullmatch(r"[A-Za-z0-9_-]+", str(inner)) else json.dumps(str(inner), ensure_ascii=False)
            )
            yield from _value(f"{key}.{quoted}", v, known=known)
    elif value is None:
        yield key, "(not set)"
    elif isinstance(value, SecretStr) or (_NAMES.search(name.lower()) and not isinstance(value, (bool, Path))):
        yield key, HIDDEN if value and str(value) else '""'
    elif isinstance(value, _PLAIN):
        yield key, json.dumps(value)
    elif isinstance(value, list | tuple | set | frozenset):
        texts = [_text(v) if known or isinstance(v, _PLAIN) else HIDDEN for v in value]
        yield key, json.dumps(texts, ensure_ascii=False)
    elif known or name.endswith("_file"):
        yield key, json.dumps(_text(value), ensure_ascii=False)
    else:
        yield key, HIDDEN


def _text(value: Any) -> Any:
    return value if isinstance(value, _PLAIN) else _USER_INFO.sub("", str(value))


def _known_texts(part: BaseModel) -> frozenset[str]:
    """Keys of a system's own that its connector declares, and not as secrets."""
    if not isinstance(part, System):
        return frozenset()
    try:
        model = getattr(class_of(part.kind), "options_model", None)
    except BadPart:
        return frozenset()
    fields = model.model_fields if isinstance(model, type) and issubclass(model, BaseModel) else {}
    return frozenset(n for n, f in fields.items() if "SecretStr" not in str(f.annotation))
