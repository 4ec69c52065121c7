"""What the stores of one transaction share."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Hashable
from typing import Any, TypeVar

from sqlalchemy import Connection

from keyback.application.throttling.fairness import Turns
from keyback.storage.keys.keyring import Keyring

T = TypeVar("T")


class Alone(BaseException):
    """What runs needs a commit of its own: it is undone and run again by itself. No `Exception`: nobody catches it."""


class TxContext:
    """One transaction as its stores see it.

    Args:
        now: ms, the database's time when it began.
        seals: the keyring.
        writes: whether it may change anything.

    Attributes:
        wakes: topics of those who wait for this commit (`storage.wakes`).
    """

    def __init__(
        self,
        conn: Connection,
        now: int,
        seals: Keyring,
        *,
        writes: bool = True,
        turns: Turns | None = None,
        shared: bool = False,
    ) -> None:
        self.conn = conn
        self.now = now
        self.seals = seals
        self.writes = writes
        self.turns = turns or Turns()
        self.pg = conn.dialect.name == "postgresql"
        self.wakes: set[str] = set()
        self._shared = shared
        self._seen: dict[tuple[Hashable, ...], Any] = {}

    def once(self, key: tuple[Hashable, ...], read: Callable[[], T]) -> T:
        """What `read` finds. In a snapshot nothing changes, so there it is asked once for each key; whoever writes must
        see what was changed, also by those for whom it waited at a lock, and asks each time."""
        if self.writes:
            return read()
        if key not in self._seen:
            self._seen[key] = read()
        return self._seen[key]  # type: ignore[no-any-return]

    def new_id(self) -> str:
        """22 characters of base64url: 128 random bits."""
        return base64.urlsafe_b64encode(os.urandom(16))[:22].decode()

    def alone(self) -> None:
        """Called before an intake's or a person's row is locked. Functions that share a commit would hold those of
        several people in any order, and nodes would wait for each other in a circle (ADR 28); SQLite's writers take
        turns anyway."""
        if self._shared and self.pg:
            raise Alone
