"""What tests would otherwise pay for again: templates are compiled once, hashes are cheap, databases lie in memory.

Each Keyback compiles the mails' templates anew, and the pages' as they are shown. A process does that once; the tests
start hundreds, and the same text compiles to the same code.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from unittest.mock import patch

from jinja2.environment import Environment

from keyback.application.passwords.hashing import FLOOR_KIB

MEMORY, ROOM = Path("/dev/shm"), 2 << 30  # containers may have 64 MiB of it

# A sixth of the work that the floor of the settings asks for, where a test is not about hashes.
CHEAP: Final = {"argon2_t": 1, "argon2_m_kib": 6 * 1024, "memory_budget_mib": 64}

_compile = Environment.compile
_compiled: dict[Any, Any] = {}


def _compile_once(self: Environment, source: Any, name: Any = None, filename: Any = None, *more: Any) -> Any:
    # Filters are worked out for constants, and some are of one language.
    how = (self.autoescape, self.trim_blocks, self.lstrip_blocks, self.undefined, self.globals.get("lang"))
    key = (source, name, filename, more, how)
    if key not in _compiled:
        _compiled[key] = _compile(self, source, name, filename, *more)
    return _compiled[key]


def compile_once() -> None:
    """From here on."""
    Environment.compile = _compile_once  # type: ignore[method-assign, assignment]


def in_memory() -> Path | None:
    """A folder in memory with room for databases, or None: a new database of PostgreSQL is 300 new files."""
    usable = os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ROOM
    return MEMORY if usable else None


@contextlib.contextmanager
def cheap_hashing() -> Iterator[None]:
    """A gate that is built in this block may be as cheap as `CHEAP`."""
    with patch.dict(FLOOR_KIB, {1: CHEAP["argon2_m_kib"]}):
        yield
