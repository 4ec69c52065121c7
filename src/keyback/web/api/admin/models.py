"""What the admin API takes and gives. Contacts and user names are masked, as in the console before the gate."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, StringConstraints

from keyback.application.desk.workbench import MAX_TEXT, MAX_TICKET
from keyback.domain.operators.roles import Role
from keyback.domain.people.person import Tier
from keyback.domain.policy.rules import Journey
from keyback.domain.recovery.case import State
from keyback.web.api.models import Given, Instant

ID = "^[A-Za-z0-9_-]{22}$"
OperatorRole = Literal["agent", "approver", "security_officer", "auditor", "system_administrator"]
Id = Annotated[str, Field(pattern=ID, examples=["Zk3vTq8mW0aYx1LrB7uJdA"])]
Next = Annotated[
    str | None, Field(description="Send it as `cursor` for what comes after; null at the end.", examples=["MTc2NC4uLg"])
]
assert {r.value for r in Role} == set(OperatorRole.__args__)  # type: ignore[attr-defined]


class Me(BaseModel):
    """The program that the key belongs to."""

    id: Id
    name: str
    scopes: list[str]
    expires_at: Instant


class Operator(BaseModel):
    id: Id
    name: str
    email: str
    role: OperatorRole
    state: Literal["invited", "active", "removed"]
    created_at: Instant


class Operators(BaseModel):
    items: list[Operator]


class By(BaseModel):
    """An operator or a program, as a case names them."""

    id: Id
    name: str


class QueueItem(BaseModel):
    id: Id
    version: int
    journey: Journey
    tier: Tier
    name: str
    username: str = Field(description="Masked.")
    opened_at: Instant
    due_at: Instant = Field(description="By the help desk's working hours and its goal.")
    overdue: bool
    claimed_by: By | None
    recommended: bool = Field(description="A colleague recommends this version for approval.")
    ticket: str


class QueuePage(BaseModel):
    items: list[QueueItem]
    next: Next


class Evidence(BaseModel):
    proof: str = Field(examples=["email_link"])
    accepted_at: Instant


class Request(BaseModel):
    """One browser or program that asks in the case, and what it showed."""

    source: str = Field(description="Network address, shortened.")
    device: str
    asked_at: Instant
    evidence: list[Evidence]
    waits_for_approval: bool


class IdentityCheck(BaseModel):
    """An identity that a service was asked to verify. The verified name is not kept."""

    id: Id
    service: str = Field(description="Its name in the settings.", examples=["harbour"])
    state: Literal["consented", "asking", "waiting", "agreed", "refused", "failed", "withdrawn"] = Field(
        description="`waiting`: two operators look at it."
    )
    consented_at: Instant
    answered_at: Instant | None
    level: str = Field(description="Of assurance, as the service calls it; empty without an answer.")
    name: Literal["", "exact", "relaxed", "part", "differs"] = Field(
        description="How the verified name fits the one on record; a fact, never a verdict."
    )
    namesake: bool = Field(description="Someone else on record has the same name.")
    seen_before: bool = Field(description="The same identity was verified for someone else.")
    reason: str = Field(description="Why it failed; empty for all others.")


class Event(BaseModel):
    """A row of the audit log about the case, as it was written."""

    seq: int
    at: Instant
    type: str = Field(examples=["review_started"])
    data: dict[str, Any]


class Comment(BaseModel):
    id: Id
    by: By
    kind: Literal["note", "recommended", "approved", "declined"]
    at: Instant
    text: str = Field(description="Untrusted text.")


class Contact(BaseModel):
    channel: str
    role: str
    address: str = Field(description="Masked.")


class CaseAccount(BaseModel):
    system: str
    username: str = Field(description="Masked.")


class Case(BaseModel):
    id: Id
    version: int
    state: State
    journey: Journey
    tier: Tier
    name: str
    opened_at: Instant
    expires_at: Instant
    claimed_by: By | None
    ticket: str
    may_act: bool = Field(description="Whether this key may act on the case at all: no key acts on an operator.")
    accounts: list[CaseAccount]
    contacts: list[Contact]
    requests: list[Request]
    identity_checks: list[IdentityCheck]
    comments: list[Comment]
    events: list[Event]


class NewComment(Given):
    text: Annotated[str, StringConstraints(min_length=1, max_length=MAX_TEXT)] = Field(
        description="For colleagues; the person does not see it. Never a secret.", examples=["Called back, no answer."]
    )


class Ticket(Given):
    ticket: Annotated[str, StringConstraints(max_length=MAX_TICKET)] = Field(
        description="Number of your own ticket; empty removes it.", examples=["INC-20418"]
    )


class Find(Given):
    q: Annotated[str, StringConstraints(min_length=1, max_length=254)] = Field(
        description="A whole case id, email address, or username.", examples=["maya@example.com"]
    )


class Made(BaseModel):
    id: Id


class AuditRow(BaseModel):
    """A row of the audit log, as it was written."""

    seq: int
    at: Instant
    stream: str = Field(description="What it is about: a case, a person, or a word such as `operators`.")
    type: str
    data: dict[str, Any]


class AuditPage(BaseModel):
    items: list[AuditRow]
    next: Next
