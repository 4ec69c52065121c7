"""Roles of operators and what each may do: one table, and the order in which they stand (design section 9).

An operator has exactly one role, so nobody holds two that conflict. What two people have to do is in `approvals`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Literal


class Role(StrEnum):
    AGENT = "agent"
    APPROVER = "approver"
    SECURITY_OFFICER = "security_officer"
    AUDITOR = "auditor"
    SYSTEM_ADMINISTRATOR = "system_administrator"


class Permission(StrEnum):
    """What a route or a call of the admin API asks for. `OPEN`: no sign-in; `SIGNED_IN`: every operator."""

    OPEN = "open"
    SIGNED_IN = "signed_in"
    CASES_VIEW = "cases.view"
    CASES_WORK = "cases.work"
    CASES_RECOMMEND = "cases.recommend"
    CASES_DECIDE = "cases.decide"
    CALLS_HANDLE = "calls.handle"
    TASKS_VIEW = "tasks.view"
    TASKS_COMPLETE = "tasks.complete"
    CAMPAIGNS_VIEW = "campaigns.view"
    CAMPAIGNS_DRAFT = "campaigns.draft"
    CAMPAIGNS_DECIDE = "campaigns.decide"
    REPORTS_VIEW = "reports.view"
    PEOPLE_VIEW = "people.view"
    PEOPLE_ACT = "people.act"
    PEOPLE_APPROVE = "people.approve"
    GLASS_BREAK = "glass.break"
    DOCUMENTS_REVIEW = "documents.review"
    OUTBOX_VIEW = "outbox.view"
    OUTBOX_RESEND = "outbox.resend"
    SYSTEMS_VIEW = "systems.view"
    AUDIT_VIEW = "audit.view"
    OPERATORS_VIEW = "operators.view"
    OPERATORS_MANAGE = "operators.manage"
    OPERATORS_VOUCH = "operators.vouch"


P = Permission
ALLOWED: Mapping[Role, frozenset[Permission]] = MappingProxyType(
    {
        Role.AGENT: frozenset(
            {
                P.CASES_VIEW,
                P.CASES_WORK,
                P.CASES_RECOMMEND,
                P.CALLS_HANDLE,
                P.TASKS_VIEW,
                P.TASKS_COMPLETE,
                P.PEOPLE_VIEW,
                P.PEOPLE_ACT,
                P.DOCUMENTS_REVIEW,
                P.SYSTEMS_VIEW,
            }
        ),
        Role.APPROVER: frozenset(
            {
                P.REPORTS_VIEW,
                P.CASES_VIEW,
                P.CASES_DECIDE,
                P.TASKS_VIEW,
                P.TASKS_COMPLETE,
                P.PEOPLE_VIEW,
                P.PEOPLE_APPROVE,
                P.CAMPAIGNS_VIEW,
                P.CAMPAIGNS_DRAFT,
                P.OUTBOX_VIEW,
                P.OUTBOX_RESEND,
                P.SYSTEMS_VIEW,
                P.OPERATORS_VIEW,
                P.OPERATORS_VOUCH,
                P.DOCUMENTS_REVIEW,
            }
        ),
        Role.SECURITY_OFFICER: frozenset(
            {
                P.REPORTS_VIEW,
                P.CASES_VIEW,
                P.CASES_WORK,
                P.CASES_RECOMMEND,
                P.CASES_DECIDE,
                P.CALLS_HANDLE,
                P.TASKS_VIEW,
                P.TASKS_COMPLETE,
                P.CAMPAIGNS_VIEW,
                P.CAMPAIGNS_DRAFT,
                P.CAMPAIGNS_DECIDE,
                P.PEOPLE_VIEW,
                P.PEOPLE_ACT,
                P.PEOPLE_APPROVE,
                P.GLASS_BREAK,
                P.DOCUMENTS_REVIEW,
                P.OUTBOX_VIEW,
                P.OUTBOX_RESEND,
                P.SYSTEMS_VIEW,
                P.AUDIT_VIEW,
                P.OPERATORS_VIEW,
                P.OPERATORS_VOUCH,
            }
        ),
        Role.AUDITOR: frozenset(
            {
                P.REPORTS_VIEW,
                P.CASES_VIEW,
                P.TASKS_VIEW,
                P.PEOPLE_VIEW,
                P.CAMPAIGNS_VIEW,
                P.OUTBOX_VIEW,
                P.SYSTEMS_VIEW,
                P.AUDIT_VIEW,
                P.OPERATORS_VIEW,
            }
        ),
        Role.SYSTEM_ADMINISTRATOR: frozenset(
            {
                P.REPORTS_VIEW,
                P.OUTBOX_VIEW,
                P.OUTBOX_RESEND,
                P.SYSTEMS_VIEW,
                P.OPERATORS_VIEW,
                P.OPERATORS_MANAGE,
                P.OPERATORS_VOUCH,
            }
        ),
    }
)
"""Whoever manages operators decides no cases, and whoever audits changes nothing (separation of duties)."""
RANK: Mapping[Role, int] = MappingProxyType(
    {
        Role.AGENT: 1,
        Role.AUDITOR: 1,
        Role.APPROVER: 2,
        Role.SYSTEM_ADMINISTRATOR: 3,
        Role.SECURITY_OFFICER: 4,
    }
)
OperatorState = Literal["invited", "active", "removed"]


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody who works in the console, or a program that has a key of the admin API.

    Args:
        mail: canonical address; the name to sign in with, unique among those who are not removed.
        state: `invited` until the set-up link was used.
        person_id: of the same human being among the people whom Keyback recovers; empty where there is none.
        security_version: goes up with everything that must end sessions and links.
        scopes: of a program, what its key was given, whatever its role; None for a human being.
    """

    id: str
    name: str
    mail: str
    role: Role
    state: OperatorState
    person_id: str = ""
    security_version: int = 0
    created_at: int = 0
    scopes: frozenset[Permission] | None = None

    @property
    def rank(self) -> int:
        return RANK[self.role]

    def may(self, permission: Permission) -> bool:
        """Whether the role allows it; on whom is another question (`may_act_on`)."""
        if permission in (Permission.OPEN, Permission.SIGNED_IN):
            return True
        if self.scopes is not None:
            return self.state == "active" and permission in self.scopes
        return self.state == "active" and permission in ALLOWED[self.role]


Obstacle = Literal["", "yourself", "rank"]


def may_act_on(actor: Operator, person_id: str, others: tuple[Operator, ...]) -> Obstacle:
    """What keeps an operator from acting on a person; empty for nothing.

    Args:
        others: operators who are this person.
    """
    if person_id == actor.person_id or any(o.id == actor.id for o in others):
        return "yourself"
    return "rank" if any(o.rank >= actor.rank for o in others) else ""


def may_manage(actor: Operator, role: Role, target_id: str = "") -> Obstacle:
    """What keeps an operator from adding one of this role, or from removing the one of `target_id`."""
    if target_id == actor.id:
        return "yourself"
    return "rank" if RANK[role] >= actor.rank else ""
