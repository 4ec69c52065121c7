"""What a mailbox or a phone took, kept in a file, so that a demo that is started again still has it."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path
from typing import Any


class Kept:
    """Lines of JSON, the newest last.

    Args:
        file: made when there is something to keep, readable by its owner alone; None keeps nothing.
        most: so many of the newest are kept.
    """

    def __init__(self, file: Path | None, most: int) -> None:
        self._file, self._most = file, most

    def load(self) -> list[dict[str, Any]]:
        """What was kept, oldest first. A line that was cut off by a crash is left out."""
        if self._file is None:
            return []
        out: list[dict[str, Any]] = []
        try:
            lines = self._file.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            return []
        for line in lines[-self._most :]:
            with contextlib.suppress(ValueError):
                found = json.loads(line)
                out += [found] if isinstance(found, dict) else []
        if len(lines) > self._most or len(out) < len(lines):
            self.clear()
            for one in out:
                self.add(one)
        return out

    def add(self, one: dict[str, Any]) -> None:
        if self._file is None:
            return
        fd = os.open(self._file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(fd, "w", encoding="utf-8") as f:
            f.write(json.dumps(one, ensure_ascii=False) + "\n")

    def clear(self) -> None:
        if self._file is not None:
            self._file.unlink(missing_ok=True)
