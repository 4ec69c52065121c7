"""What the pages of the console show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Self

from keyback.application.desk.caller_check import OpenCheck
from keyback.application.desk.cases import Line, Opened, QueuePage
from keyback.application.desk.completion import OpenedTask, TaskList
from keyback.application.desk.groups import GroupMembers, GroupNames
from keyback.application.desk.new_links import LinkRequest
from keyback.application.desk.outbound_call import EnteredCall
from keyback.application.desk.records import Inbox, Record, StrandedPage
from keyback.application.desk.sessions import Actor
from keyback.application.ports.calls import CallerCheck
from keyback.application.ports.desk_storage import SavedView
from keyback.domain.operators.roles import ALLOWED, Operator, Permission, Role, may_manage
from keyback.web.console.filters import Filters
from keyback.web.ui.page import Page, PasswordForm


@dataclass(frozen=True, slots=True)
class Me:
    """The operator whose page it is. `may`: permissions by their values, for links and buttons."""

    id: str
    name: str
    role: str
    may: frozenset[str]
    fresh: bool

    @classmethod
    def of(cls, actor: Actor) -> Me:
        o = actor.operator
        return cls(o.id, o.name, o.role.value, frozenset(p.value for p in ALLOWED[o.role]), actor.fresh)


NOBODY = Me("", "", "", frozenset(), False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsolePage(Page):
    """Base of all pages of the console. `room`: which entry of the navigation they belong to."""

    room: ClassVar[str] = ""
    me: Me = NOBODY

    def to(self, me: Me) -> Self:
        return replace(self, me=me)


@dataclass(frozen=True, slots=True)
class SignIn(ConsolePage):
    """`error`: wrong, slow_down, busy, passkey; `done`: set_up."""

    template: ClassVar[str] = "console/sign_in.html"
    error: str = ""
    mail: str = ""
    passkey_options: str = field(default="", repr=False)
    of: str = ""
    done: str = ""


@dataclass(frozen=True, slots=True)
class SetUp(PasswordForm):
    """`error`: code, busy, passkey, known; empty at first. The key is shown until it was used."""

    template: ClassVar[str] = "console/set_up.html"
    room: ClassVar[str] = ""
    operator: Operator | None = None
    qr: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    uri: str = field(default="", repr=False)
    passkey_options: str = field(default="", repr=False)
    error: str = ""
    me: Me = NOBODY


@dataclass(frozen=True, slots=True)
class LinkOver(ConsolePage):
    template: ClassVar[str] = "console/link_over.html"


@dataclass(frozen=True, slots=True)
class Confirm(ConsolePage):
    """Before what matters. `error`: wrong or slow_down."""

    template: ClassVar[str] = "console/confirm.html"
    next: str
    app: bool
    passkey_options: str = field(default="", repr=False)
    of: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class StaleForm(ConsolePage):
    template: ClassVar[str] = "console/stale_form.html"


@dataclass(frozen=True, slots=True)
class Denied(ConsolePage):
    template: ClassVar[str] = "console/denied.html"


@dataclass(frozen=True, slots=True)
class Queue(ConsolePage):
    """`more`: the query of the next page. `sought`: what was typed and not found. `goal`: ms of working time in which a
    case should be decided. `error`: why filters were not kept under the name `typed`."""

    template: ClassVar[str] = "console/queue.html"
    room: ClassVar[str] = "queue"
    found: QueuePage
    filters: Filters
    views: tuple[SavedView, ...]
    goal: int
    more: str = ""
    sought: str = ""
    many: int = 1000
    error: str = ""
    typed: str = ""


@dataclass(frozen=True, slots=True)
class CasePage(ConsolePage):
    """`error`: a refusal's code or that of bad input; `typed`: what was in the form then; `services`: titles of those
    that verify identities."""

    template: ClassVar[str] = "console/case.html"
    room: ClassVar[str] = "queue"
    opened: Opened
    titles: Mapping[str, str]
    four_eyes: bool
    error: str = ""
    typed: Mapping[str, str] = field(default_factory=dict, repr=False)
    done: str = ""
    ticket_url: str = ""
    services: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CallsPage(ConsolePage):
    """Where the number of a caller is typed. `error`: wrong, slow_down, off, or a refusal's code."""

    template: ClassVar[str] = "console/calls.html"
    room: ClassVar[str] = "calls"
    address: str
    checks: tuple[CallerCheck, ...] = ()
    now: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class CheckPage(ConsolePage):
    """One caller check. `error`: wrong, or a refusal's code."""

    template: ClassVar[str] = "console/check.html"
    room: ClassVar[str] = "calls"
    opened: OpenCheck
    error: str = ""
    typed: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class RefusePage(ConsolePage):
    """Asks before a caller is refused."""

    template: ClassVar[str] = "console/refuse.html"
    room: ClassVar[str] = "calls"
    opened: OpenCheck


@dataclass(frozen=True, slots=True)
class OutboundPage(ConsolePage):
    """A call that was entered."""

    template: ClassVar[str] = "console/outbound.html"
    room: ClassVar[str] = "queue"
    opened: EnteredCall


@dataclass(frozen=True, slots=True)
class TasksPage(ConsolePage):
    """Tasks of administrators. `more`: the query of the next page."""

    template: ClassVar[str] = "console/tasks.html"
    room: ClassVar[str] = "tasks"
    found: TaskList
    titles: Mapping[str, str]
    tab: str
    more: str = ""


@dataclass(frozen=True, slots=True)
class TaskPage(ConsolePage):
    """One task. `error`: a refusal's code or that of bad input; `typed`: what was in the form then."""

    template: ClassVar[str] = "console/task.html"
    room: ClassVar[str] = "tasks"
    opened: OpenedTask
    titles: Mapping[str, str]
    error: str = ""
    typed: Mapping[str, str] = field(default_factory=dict, repr=False)
    done: str = ""


@dataclass(frozen=True, slots=True)
class PeoplePage(ConsolePage):
    """Where somebody is looked for. `sought`: what was typed and not found."""

    template: ClassVar[str] = "console/people.html"
    room: ClassVar[str] = "people"
    sought: str = field(default="", repr=False)
    error: str = ""


@dataclass(frozen=True, slots=True)
class PersonPage(ConsolePage):
    """A person. `error`: a refusal's code or that of bad input; `typed`: what was in the form `form` then."""

    template: ClassVar[str] = "console/person.html"
    room: ClassVar[str] = "people"
    record: Record
    titles: Mapping[str, str]
    error: str = ""
    form: str = ""
    typed: Mapping[str, str] = field(default_factory=dict, repr=False)
    done: str = ""


@dataclass(frozen=True, slots=True)
class StrandedPeople(ConsolePage):
    """People without a way back. `after`: behind whom this page begins."""

    template: ClassVar[str] = "console/stranded.html"
    room: ClassVar[str] = "people"
    found: StrandedPage
    after: str = ""


@dataclass(frozen=True, slots=True)
class GroupsPage(ConsolePage):
    """All groups, or who is in one of them. `asked`: the group that was asked for; `after`: behind what it begins."""

    template: ClassVar[str] = "console/groups.html"
    room: ClassVar[str] = "people"
    found: GroupNames | GroupMembers
    asked: str = ""
    after: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalsPage(ConsolePage):
    """What waits for a second operator. `cases`: recoveries that somebody recommended."""

    template: ClassVar[str] = "console/approvals.html"
    room: ClassVar[str] = "approvals"
    inbox: Inbox
    cases: tuple[Line, ...]
    more: str = ""
    error: str = ""
    of: str = ""
    typed: Mapping[str, str] = field(default_factory=dict, repr=False)
    done: str = ""


@dataclass(frozen=True, slots=True)
class OperatorsPage(ConsolePage):
    """`link`: of whoever was just added, shown once. `error`: a refusal's code or that of bad input."""

    template: ClassVar[str] = "console/operators.html"
    room: ClassVar[str] = "operators"
    operators: tuple[Operator, ...]
    roles: tuple[str, ...]
    link: str = field(default="", repr=False)
    added: str = ""
    error: str = ""
    typed: Mapping[str, str] = field(default_factory=dict)
    requests: tuple[LinkRequest, ...] = ()
    lost: tuple[Operator, ...] = ()
    asked: bool = False


def losable(actor: Operator, found: tuple[Operator, ...]) -> tuple[Operator, ...]:
    """Operators for whom this one may ask for a new set-up link."""
    if not actor.may(Permission.OPERATORS_VOUCH):
        return ()
    return tuple(o for o in found if not may_manage(actor, o.role, o.id))


def addable(actor: Operator) -> tuple[str, ...]:
    """Roles that this operator may give to somebody."""
    return tuple(r.value for r in Role if actor.may(Permission.OPERATORS_MANAGE) and not may_manage(actor, r))
