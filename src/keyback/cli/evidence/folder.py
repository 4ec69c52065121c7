"""A new folder that only its owner can read, with a checksum for every file in it."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path


class Folder:
    """Made on the way in.

    Raises:
        FileExistsError: there is something at the path already, which is never changed. `OSError`: it can't be made.
    """

    def __init__(self, path: Path) -> None:
        path.mkdir(mode=0o700)
        self.path = path
        self.sums: dict[str, str] = {}

    def write(self, name: str, text: str) -> None:
        data = text.encode("utf-8")
        handle = os.open(self.path / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as f:
            f.write(data)
        self.sums[name] = hashlib.sha256(data).hexdigest()

    def close(self) -> None:
        """Writes the checksums, in the form that `sha256sum --check` takes."""
        self.write("SHA256SUMS", "".join(f"{digest}  {name}\n" for name, digest in sorted(self.sums.items())))
