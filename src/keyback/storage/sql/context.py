"""What the stores of one transaction share."""

from __future__ import annotations

import base64
import os

from sqlalchemy import Connection

from keyback.application.throttling.fairness import Turns
from keyback.storage.keys.keyring import Keyring


class Alone(BaseException):
    """What runs needs a commit of its own: it is undone and run again by itself. No `Exception`: nobody catches it."""


class TxContext:
    """One transaction as its stores see it.

    Args:
        now: ms, the database's time when it began.
        seals: the keyring.
        writes: whether it may change anything.

    Attributes:
        wakes: the commit leaves work for the worker.
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
        self.wakes = False
        self._shared = shared

    def new_id(self) -> str:
        """22 characters of base64url: 128 random bits."""
        return base64.urlsafe_b64encode(os.urandom(16))[:22].decode()

    def alone(self) -> None:
        """Called before an intake's or a person's row is locked. Functions that share a commit would hold those of
        several people in any order, and nodes would wait for each other in a circle (ADR 28); SQLite's writers take
        turns anyway."""
        if self._shared and self.pg:
            raise Alone
