"""What the admin API gives about connected systems. No secret, no address, no words of a vendor."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from keyback.application.ports.syncs import RunState
from keyback.web.api.models import Instant


class SystemCheck(BaseModel):
    """What `keyback check` found last."""

    status: Literal["ok", "warn", "bad"]
    at: Instant
    old: bool = Field(description="More than a week ago.")


class Work(BaseModel):
    """Changes for the system in the outbox."""

    waiting: int
    failing: int = Field(description="To be tried again.")
    dead: int = Field(description="Given up; `resendMessage` is for messages alone.")
    code: str | None = Field(description="Of the newest one that failed.")
    oldest_at: Instant | None


class Tasks(BaseModel):
    """What administrators of the system still have to do."""

    open: int
    kinds: dict[str, int]
    oldest_at: Instant | None


class Sync(BaseModel):
    """The last sync of its people."""

    state: RunState
    started_at: Instant
    done_at: Instant | None = Field(description="When one ended well.")
    code: str | None


class System(BaseModel):
    name: str = Field(examples=["builtin"])
    title: str
    state: Literal["ok", "care", "stop", "unknown"]
    builtin: bool = Field(description="Keyback keeps its passwords, so there is nothing to reach.")
    guided: bool = Field(description="People change their password there themselves.")
    reached_at: Instant | None
    failing_since: Instant | None
    check: SystemCheck | None
    work: Work
    tasks: Tasks
    sync: Sync | None
    capabilities: dict[str, str] = Field(description="What its connector can do, and by what means.")


class Systems(BaseModel):
    items: list[System]
    more_waits: bool = Field(description="More waits than was counted.")
