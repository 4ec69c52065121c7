"""What a field of an event may look like. A value that does not look so is left out, wherever it came from: a name, an
address or a sentence never fits an ID or a code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Kind:
    """The form of a value: its pattern where it is a text, and how JSON Schema says so."""

    type: str
    example: Any
    pattern: str = ""
    instant: bool = False
    many: bool = False

    def takes(self, value: object) -> bool:
        if self.many:
            return isinstance(value, list) and all(self._takes_one(v) for v in value)
        return self._takes_one(value)

    def _takes_one(self, value: object) -> bool:
        if self.type == "boolean":
            return isinstance(value, bool)
        if self.type == "integer" or self.instant:
            return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 47
        return isinstance(value, str) and re.fullmatch(self.pattern, value) is not None

    def schema(self) -> dict[str, Any]:
        one: dict[str, Any] = {"type": self.type}
        if self.instant:
            one["format"] = "date-time"
        elif self.pattern:
            one["pattern"] = f"^{self.pattern}$"
        elif self.type == "integer":
            one["minimum"] = 0
        return {"type": "array", "items": one} if self.many else one


AN_ID, A_CODE, A_SYSTEM = r"[A-Za-z0-9_-]{22}", r"[a-z][a-z0-9_]{0,39}", r"[A-Za-z0-9_-]{1,40}"
ID = Kind("string", "Vb3kq0Xy7mZp2RfT9sLwNg", AN_ID)
IDS = Kind("string", ["Vb3kq0Xy7mZp2RfT9sLwNg"], AN_ID, many=True)
CODE = Kind("string", "email_link", A_CODE)
WHO = Kind("string", "Vb3kq0Xy7mZp2RfT9sLwNg", f"{AN_ID}|{A_CODE}")
SYSTEM = Kind("string", "crm", A_SYSTEM)
NUMBER = Kind("integer", 3)
FLAG = Kind("boolean", True)
INSTANT = Kind("string", "2026-11-29T08:30:00.000Z", instant=True)


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `source`: what the audit log calls it, where that is something else."""

    kind: Kind
    source: str = ""
