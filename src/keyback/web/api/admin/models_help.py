"""What the admin API takes and gives about requests for help and documents."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from keyback.application.desk.help_request import MAX_TEXT
from keyback.domain.operators.documents import Kind
from keyback.web.api.admin.models import By, Id, Next
from keyback.web.api.models import Given, Instant

Standing = Literal["open", "answered", "closed"]


class HelpItem(BaseModel):
    id: Id
    state: Standing
    username: str = Field(description="What its page is about, masked.")
    asked_at: Instant
    waits_since: Instant
    answered_by: Id | None
    case: Id | None
    reopened: bool


class HelpPage(BaseModel):
    items: list[HelpItem]
    waiting: int = Field(description="That wait for the help desk, counted up to 500.")
    next: Next


class HelpLine(BaseModel):
    at: Instant
    by: By | None = Field(description="Null for whoever asked.")
    text: str = Field(description="Untrusted text.")


class HelpPerson(BaseModel):
    id: Id
    name: str


class HelpRequest(HelpItem):
    contact: str = Field(description="Where whoever asked is reached, masked. It proves nothing.")
    reason: str = Field(description="Untrusted text.")
    messages: list[HelpLine]
    people: list[HelpPerson] = Field(description="Whom the username stands for; several may share an address.")
    evidence: list[str] = Field(description="What its page has shown.", examples=[["email_link"]])
    may_answer: bool = Field(description="No program answers an operator.")


class HelpMessage(Given):
    text: Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT)] = Field(
        description="Whoever asked reads it on their page. Passwords, codes, links and document numbers are refused.",
        examples=["Please ask your manager to confirm it’s you, then try again."],
    )


class DocumentItem(BaseModel):
    """Where an identity document stands; never the picture, nor what one reviewer found."""

    id: Id
    case: Id
    kind: Kind
    state: Literal["consented", "draft", "waiting", "third", "agreed", "refused", "withdrawn"] = Field(
        description="`third`: the two differ, or the person appealed, and a security officer decides."
    )
    sent_at: Instant | None
    decided_at: Instant | None
    picture_gone_at: Instant | None
    appealed: bool
    reviewers: int = Field(description="Operators who took it on.")


class DocumentPage(BaseModel):
    items: list[DocumentItem]
    next: Next


class Documents(BaseModel):
    items: list[DocumentItem]
