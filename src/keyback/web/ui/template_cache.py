"""Compiled templates, kept between starts: compiling them is half of one.

Compiled code is run as it is read, so what is kept is trusted only with the MAC that this installation's keyring gives
it; anything else is compiled anew. Jinja itself tells by a template's text, its own version and Python's whether what
is kept still fits.
"""

from __future__ import annotations

import contextlib
import hmac
import os
import tempfile
from pathlib import Path

from jinja2 import BytecodeCache
from jinja2.bccache import Bucket

from keyback.domain import digests

NAME = "templates"
MAC = 32
LENGTH = 4


class TemplateCache(BytecodeCache):
    """One file in the data folder. That it cannot be read or written costs time and nothing else.

    Args:
        folder: where it lies, under `NAME`.
        key: for its MAC, derived from the keyring.
    """

    def __init__(self, folder: Path, key: bytes) -> None:
        self._file, self._key = folder / NAME, key
        self._held = self._read()
        self._used: dict[bytes, bytes] = {}
        self._new = False

    def load_bytecode(self, bucket: Bucket) -> None:
        kept = self._held.get(bucket.key.encode())
        if kept is not None:
            bucket.bytecode_from_string(kept)
        if bucket.code is not None and kept is not None:
            self._used[bucket.key.encode()] = kept

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._used[bucket.key.encode()] = bucket.bytecode_to_string()
        self._new = True

    def save(self) -> None:
        """Keeps what was used, if anything of it is new."""
        if not self._new:
            return
        body = b"".join(len(x).to_bytes(LENGTH, "big") + x for pair in self._used.items() for x in pair)
        with contextlib.suppress(OSError):
            fd, name = tempfile.mkstemp(prefix=f"{NAME}-", dir=self._file.parent)  # for nobody else to read
            try:
                with os.fdopen(fd, "wb") as f:
                    f.write(digests.mac(self._key, body) + body)
                Path(name).replace(self._file)
            except OSError:
                Path(name).unlink(missing_ok=True)
        self._new = False

    def _read(self) -> dict[bytes, bytes]:
        try:
            kept = self._file.read_bytes()
        except OSError:
            return {}
        mac, body = kept[:MAC], kept[MAC:]
        if not hmac.compare_digest(mac, digests.mac(self._key, body)):
            return {}
        parts, at = list[bytes](), 0
        while at < len(body):
            begins = at + LENGTH
            at = begins + int.from_bytes(body[at:begins], "big")
            parts.append(body[begins:at])
        return dict(zip(parts[::2], parts[1::2], strict=True))
