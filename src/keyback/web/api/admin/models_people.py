"""What the admin API takes and gives about people. Addresses and user names are masked."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field, StringConstraints

from keyback.application.desk.actions import MAX_REASON
from keyback.application.ports.desk_actions import ActionState
from keyback.domain.operators.actions import STARTABLE, ActionKind
from keyback.domain.people.factor import FactorKind
from keyback.domain.people.person import AccountState, PersonState, Tier
from keyback.domain.policy.rules import Journey
from keyback.domain.recovery.case import State
from keyback.domain.throttling.password_attempts import SourceClass
from keyback.web.api.admin.models import ID, Id, Next
from keyback.web.api.models import Given, Instant

Startable = Literal["password", "locked", "second_factor", "mailbox"]
assert set(STARTABLE) == set(Startable.__args__)  # type: ignore[attr-defined]
Reason = Annotated[str, StringConstraints(min_length=1, max_length=MAX_REASON)]
WHY = Field(description="Why, for colleagues, such as the number of your ticket. Never a secret.", examples=["INC-7"])


class FindPerson(Given):
    q: Annotated[str, StringConstraints(min_length=1, max_length=254)] = Field(
        description="A whole email address, username, or id. Parts find nobody.", examples=["maya@example.com"]
    )


class PersonAccount(BaseModel):
    id: Id
    system: str = Field(examples=["builtin"])
    username: str = Field(description="Masked.")
    state: AccountState
    privileged: bool
    signs_in_elsewhere: bool = Field(description="Its password lives with another sign-in.")


class PersonContact(BaseModel):
    channel: str
    role: str
    address: str = Field(description="Masked.")
    state: Literal["confirmed", "pending", "removed"]
    usable: bool = Field(description="It can be used for recovery now.")


class PersonMethod(BaseModel):
    kind: FactorKind
    usable: bool = Field(description="It can be used for recovery now.")


class PersonLock(BaseModel):
    """What keeps the person out of the built-in sign-in."""

    reason: Literal["fixed", "off", "system"]
    until: Instant | None = Field(description="Null where a recovery opens it.")
    sides: list[SourceClass]


class PersonCase(BaseModel):
    id: Id
    state: State
    journey: Journey
    opened_at: Instant


class PersonAct(BaseModel):
    """What an operator or a program did, or asked for."""

    id: Id
    kind: ActionKind
    state: ActionState
    by: Id
    asked_at: Instant


class Person(BaseModel):
    id: Id
    name: str
    tier: Tier
    state: PersonState
    may_act: bool = Field(description="Whether a program may act on this person at all: none acts on an operator.")
    groups: list[str] = Field(description="Groups and departments, as imports and connected systems name them.")
    accounts: list[PersonAccount]
    contacts: list[PersonContact]
    methods: list[PersonMethod]
    locks: list[PersonLock]
    locked_down: bool = Field(description="The person or the help desk locked the account.")
    sessions: int = Field(description="Browsers that are signed in to Keyback.")
    open_case: Id | None
    on_hold_until: Instant | None
    cases: list[PersonCase] = Field(description="The newest.")
    acts: list[PersonAct] = Field(description="The newest.")


class StrandedPerson(BaseModel):
    id: Id
    name: str
    tier: Tier


class StrandedPage(BaseModel):
    items: list[StrandedPerson]
    next: Next


class GroupPage(BaseModel):
    items: list[str] = Field(description="Names, in order.")
    next: Next


class Member(BaseModel):
    id: Id
    name: str
    state: PersonState


class MemberPage(BaseModel):
    items: list[Member]
    next: Next


class StartFor(Given):
    journey: Startable = Field(description="What was lost.")
    reason: Reason = WHY


class Why(Given):
    reason: Reason = WHY


class CancelFor(Given):
    case: Annotated[str, StringConstraints(pattern=ID)] = Field(
        description="The open recovery.", examples=["Zk3vTq8mW0aYx1LrB7uJdA"]
    )
    reason: Reason = WHY


class Acted(BaseModel):
    """An act that was done."""

    id: Id
    kind: ActionKind
    state: ActionState
