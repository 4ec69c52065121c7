"""What the admin API gives about the outbox and reports."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from keyback.application.ports.outbox_search import Heap
from keyback.web.api.admin.models import Id, Next
from keyback.web.api.models import Instant


class OutboxItem(BaseModel):
    id: Id
    what: str = Field(description="Kind of message, or of other work.", examples=["recovery"])
    channel: str | None = Field(description="How a message travels; null for other work.", examples=["mail"])
    to: str = Field(description="Whom it goes to, masked; empty where that is not known any more.")
    person: Id | None = Field(description="Whose it is, for keys with `people.view`.")
    since: Instant
    next_at: Instant
    attempts: int
    code: str = Field(description="Of the last attempt that failed.", examples=["mailbox_full"])
    may_resend: bool


class OutboxSum(BaseModel):
    channel: str
    counts: dict[Heap, int]
    oldest_at: Instant


class OutboxPage(BaseModel):
    items: list[OutboxItem]
    sums: list[OutboxSum] = Field(description="How much lies in all of them, counted up to 1000 each.")
    more_than_counted: list[Heap]
    next: Next


class ReportTime(BaseModel):
    """Seconds; null where fewer than five recoveries count."""

    count: int
    median_seconds: int | None
    p95_seconds: int | None


class ReportPercent(BaseModel):
    alone: float | None = Field(description="Recoveries in which no operator had a part.")
    first_contact: float | None
    back: float | None = Field(description="Who asked again within seven days.")


class Report(BaseModel):
    """Figures of a period. They name nobody; `<5` stands for what fewer than five people did."""

    model_config = ConfigDict(populate_by_name=True)

    first: str = Field(alias="from", examples=["2026-11-01"])
    last: str = Field(alias="to", examples=["2026-11-30"])
    sums: dict[str, dict[str, int | str]]
    times: dict[str, ReportTime]
    percent: ReportPercent
    days: dict[str, dict[str, int]]
