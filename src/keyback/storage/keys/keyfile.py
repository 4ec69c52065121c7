"""The keyring's file, changed as a whole: whoever reads it at any moment finds the old one or the new one.

The lines stay in the order of use; the first key seals. The first change writes the keys of the audit log's chain on
lines of their own, so that the log can be checked forever, also when the key that it began with is retired.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from pathlib import Path
from typing import Protocol

from keyback.storage.keys.keyring import CHAINED, HEADING, WRAPPED, Keyring, KeyringError, read_plain


class Wrapper(Protocol):
    """Encrypts the file's lines with a key that is elsewhere, such as in a hardware token. Raises KeyringError."""

    def wrap(self, plain: bytes) -> bytes: ...

    def unwrap(self, wrapped: bytes) -> bytes: ...


def is_wrapped(path: Path) -> bool:
    """Raises OSError, UnicodeDecodeError."""
    return any(line.startswith(WRAPPED) for line in path.read_text(encoding="ascii").splitlines())


def read(path: Path, wrapper: Wrapper | None) -> Keyring:
    """The ring in a file, wrapped or plain.

    Raises:
        OSError: it cannot be read. `KeyringError`: it is malformed, or its wrapper does not open it.
        UnicodeDecodeError: it is no text.
    """
    lines = [line for line in path.read_text(encoding="ascii").splitlines() if line.startswith(WRAPPED)]
    if not lines or wrapper is None:
        return read_plain(path)
    try:
        wrapped = base64.urlsafe_b64decode(lines[0].removeprefix(WRAPPED))
    except binascii.Error as e:
        raise KeyringError("the wrapped line of the keyring is not base64url; put back its backup") from e
    return Keyring.load(wrapper.unwrap(wrapped).decode("ascii"))


def text_of(lines: list[str], wrapper: Wrapper | None) -> str:
    """What the file holds for these lines."""
    plain = "\n".join(lines) + "\n"
    if wrapper is None:
        return HEADING + plain
    return f"{HEADING}{WRAPPED}{base64.urlsafe_b64encode(wrapper.wrap(plain.encode())).decode()}\n"


def create(path: Path, wrapper: Wrapper | None = None) -> Keyring:
    """Writes a new keyring file that only its owner can read; never overwrites.

    Raises:
        FileExistsError: there is one already.
    """
    line = Keyring.fresh_line()
    text = text_of([line], wrapper)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "w", encoding="ascii") as f:
        f.write(text)
    return Keyring.load(line)


class KeyFile:
    """A keyring file that is there already.

    Args:
        wrapper: what it is encrypted with, or is to be from its next change on.

    Raises (every method):
        OSError: it cannot be read or replaced; `FileExistsError`: somebody else is changing it just now.
        KeyringError: it is malformed.
    """

    def __init__(self, path: Path, wrapper: Wrapper | None = None) -> None:
        self.path, self._wrapper = path, wrapper

    def ring(self) -> Keyring:
        return read(self.path, self._wrapper)

    def wrap(self, *, wrapped: bool) -> None:
        """Writes the same keys wrapped, or plain."""
        self._replace(self._lines(self.ring()), self._wrapper if wrapped else None)

    def add(self, *, use: bool) -> str:
        """Adds a random key and gives its id.

        Args:
            use: whether it seals from now on; else it only opens, until `use`.
        """
        ring = self.ring()
        numbers = [int(m[1]) for kid in (*ring.ids, ring.chain) if (m := re.fullmatch(r"k(\d{1,7})", kid))]
        kid = f"k{max(numbers, default=0) + 1}"
        lines = self._lines(ring)
        lines.insert(0 if use else 1, Keyring.fresh_line(kid))
        self._replace(lines, self._wrapper)
        return kid

    def use(self, kid: str) -> None:
        """Makes this key the one that seals. Raises KeyError for one that is not in the ring."""
        ring = self.ring()
        if kid not in ring.ids:
            raise KeyError(kid)
        self._replace(sorted(self._lines(ring), key=lambda line: not line.startswith(f"{kid}:")), self._wrapper)

    def retire(self, kid: str) -> None:
        """Takes a key out for good; what it sealed can never be opened again.

        Raises:
            KeyError: there is none with this id. `KeyringError`: it is the one that seals.
        """
        ring = self.ring()
        if kid not in ring.ids:
            raise KeyError(kid)
        if kid == ring.primary:
            raise KeyringError(f"{kid} is in use")
        self._replace([line for line in self._lines(ring) if not line.startswith(f"{kid}:")], self._wrapper)

    def _lines(self, ring: Keyring) -> list[str]:
        chained = {(ring.chain, purpose): ring.derive(purpose, ring.chain) for purpose in CHAINED}
        keys = {kid: ring.secret(kid) for kid in ring.ids}
        return Keyring(keys, chained).text().splitlines()

    def _replace(self, lines: list[str], wrapper: Wrapper | None) -> None:
        Keyring.load("\n".join(lines))
        text = text_of(lines, wrapper)
        before = self.path.stat()
        new = self.path.with_name(self.path.name + ".new")  # its name is the lock
        fd = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(fd, "w", encoding="ascii") as f:
                f.write(text)
                f.flush()
                os.fchmod(f.fileno(), before.st_mode & 0o700)
                if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
                    os.fchown(f.fileno(), before.st_uid, before.st_gid)
                os.fsync(f.fileno())
            os.replace(new, self.path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
