"""Pages of the console, as the gallery draws them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from keyback.application.desk.audit_search import Found, Wanted
from keyback.application.desk.systems import SystemLine, SystemsSeen
from keyback.application.policy.explain import Section
from keyback.application.policy.standards import Requirement
from keyback.application.ports.connectors import Capabilities, Means
from keyback.application.ports.enrolment_storage import Happened
from keyback.application.ports.syncs import SyncRun
from keyback.application.ports.system_states import SystemHealth, SystemWork
from keyback.application.webhooks.words import worded
from keyback.domain.operators.roles import ALLOWED, Operator, Role
from keyback.domain.people.person import Person
from keyback.web.console.pages import ConsolePage, Me
from keyback.web.console.pages_audit import AuditPage
from keyback.web.console.pages_policy import PolicyPage
from keyback.web.console.pages_systems import SystemsPage
from keyback.web.ui.page import Page, Shell

NOW = 1_795_600_800_000
MINUTE, DAY = 60_000, 86_400_000


def me(role: Role = Role.SECURITY_OFFICER, name: str = "Ines Moreau") -> Me:
    return Me("o" * 22, name, role.value, frozenset(p.value for p in ALLOWED[role]), True)


def samples(shell: Shell) -> Iterator[tuple[str, Page, Shell]]:
    """(name, page, shell) of pages of the console and their states."""
    for name, page in (*_systems(), *_audit(shell.locale), *_policy()):
        yield f"console-{name}", page.to(me()), shell
    yield "console-systems-agent", SystemsPage(_seen()).to(me(Role.AGENT)), shell


def _audit(locale: str) -> Iterator[tuple[str, ConsolePage]]:
    rows = (
        Happened(9, NOW, "desk_action_asked", {"operator": "o" * 22, "kind": "unlock"}, "p" * 22),
        Happened(8, NOW, "hold_started", {"until": NOW + DAY, "tier": "privileged"}, "c" * 22),
        Happened(7, NOW, "moon", {"system": "fxiaoke", "sufficient": True, "by": ["a", "b"]}, "desk"),
    )
    named = {"o" * 22: Operator("o" * 22, "Ines Moreau", "ines@example.com", Role.AGENT, "active")}
    people = {"p" * 22: Person("p" * 22, "何沐", "zh_CN", "standard", "active")}
    seen = AuditPage(
        Found(rows, 3), Wanted(event="moon"), (), named, "", worded(locale), {"fxiaoke": "纷享销客"}, people
    )
    yield "audit", seen
    yield "audit-verified", replace(seen, checked=SystemHealth("/audit", 0, 0, NOW, "ok", "9 rows"))
    yield "audit-edited", replace(seen, checked=SystemHealth("/audit", 0, 0, NOW, "bad", "Row 7."), error="day")


def _policy() -> Iterator[tuple[str, ConsolePage]]:
    found = (
        Requirement("C-4", "not kept", ("second_step_for_all", "low_floor")),
        Requirement("N-R11", "given up", ("mailbox_alone",)),
        Requirement("F7", "kept", ("one_channel",)),
    )
    yield "policy", PolicyPage((Section("", "青屿", ("15",)),), found, {"mailbox_alone": "<b>"}, "nist")


def _systems() -> Iterator[tuple[str, ConsolePage]]:
    yield "systems", SystemsPage(_seen())
    yield "systems-none", SystemsPage(SystemsSeen((), False, NOW))
    yield "systems-full", SystemsPage(replace(_seen(), full=True))


def _seen() -> SystemsSeen:
    whole = Capabilities(Means.NATIVE, Means.NATIVE, Means.NONE, Means.COMPOSED, unlock=Means.NATIVE)
    good = SystemHealth("salesforce", NOW - 4 * MINUTE, 0, NOW - DAY, "ok", "quota: 2/9")
    fine = SystemLine(
        "salesforce", "Salesforce", "ok", good, SystemWork(1), {}, 0,
        SyncRun("salesforce", 3, "done", NOW - DAY, NOW - DAY, done_at=NOW - DAY), whole, False, False, False,
    )  # fmt: skip
    gone = SystemHealth(
        "dynamics365", NOW - DAY, NOW - 50 * MINUTE, NOW - 9 * DAY, "bad",
        "sign_in: <b>expired</b> (no set_password, unlock)", "Renew it: systems.dynamics365.",
    )  # fmt: skip
    away = replace(
        fine, name="dynamics365", title="Dynamics 365", face="stop", state=gone, check_old=True,
        work=SystemWork(2, 3, 1, "auth_expired", NOW - 40 * MINUTE),
        sync=SyncRun("dynamics365", 9, "broken", NOW - DAY, NOW - DAY, done_at=NOW - 2 * DAY, code="unavailable"),
    )  # fmt: skip
    guided = replace(
        fine, name="fxiaoke", title="纷享销客", face="care", state=SystemHealth("fxiaoke"), work=SystemWork(),
        sync=None, tasks={"reset": 3, "stop": 1, "turn_on": 1}, oldest_task=NOW - DAY, guided=True,
        capabilities=Capabilities(set_password=Means.GUIDED),
    )  # fmt: skip
    own = replace(fine, name="builtin", title="Keyback", own=True, state=SystemHealth("builtin"), sync=None)
    new = replace(fine, name="tryton", title="Tryton", face="unknown", state=SystemHealth("tryton"), sync=None)
    return SystemsSeen((fine, away, guided, own, new), False, NOW)
