"""What the API answers about a request for help."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import Field

from keyback.client.model import Model


class DeskMessage(Model):
    """One message. `text` is as it was written: show it as text, never as markup."""

    at: datetime
    by: Literal["person", "desk"]
    name: str
    text: str = Field(repr=False)


class OwnHelpRequest(Model):
    """What became of it. `place`: in the queue, from 1; 0 where it doesn't wait."""

    state: Literal["not_asked", "unconfirmed", "open", "answered", "closed"]
    contact: str = Field("", repr=False)
    reason: str = Field("", repr=False)
    messages: tuple[DeskMessage, ...] = ()
    place: int = 0
    usual_wait_seconds: int = 0
    may_reopen: bool = False
    tries_left: int | None = None
    code_expires_at: datetime | None = None
    resend_at: datetime | None = None
