"""What one look of `keyback check` comes to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Result:
    """One thing that was looked at; `next` says what to do when it is not `ok`."""

    name: str
    status: Literal["ok", "warn", "bad"]
    detail: str
    next: str = ""
