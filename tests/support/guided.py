"""A guided system and a recovery that is its person's turn there, for the tests of administrators' tasks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from keyback.application.ports.connectors import (
    Activity,
    Capabilities,
    FoundAccount,
    Means,
    Outcome,
    Plan,
    SignIn,
    Step,
    Unavailable,
)
from keyback.application.ports.storage import ImportedAccount
from keyback.application.ports.tasks import Task
from keyback.application.tasks import watch
from keyback.connectors.base import ConnectorBase
from tests.support.kit import Kit, person
from tests.support.steps import Tray, choose, drain, fit, proven

Make = Callable[..., Kit]
ADMINS = ["crm-admin@example.com", "second-admin@example.com"]
GUIDED = {
    "kind": "guided",
    "title": "Partner desk",
    "url": "https://partner.example.com/reset",
    "steps": {"en": ["Reset it there"], "zh_CN": ["在那里重置"]},
}


@dataclass
class Guided(ConnectorBase):
    """A guided system that tells who signed in, as the test says."""

    name: str = "partner"
    title: str = "Partner desk"
    signed_in: list[int] = field(default_factory=list)
    listed: int | None = None  # the last sign-in that the account's own record names
    away: bool = False
    outcome: Outcome = field(default_factory=lambda: Outcome(Step.SET, "pending", "guided"))
    asked: int = 0

    def __post_init__(self) -> None:
        self.capabilities = Capabilities(lookup=Means.NATIVE, set_password=Means.GUIDED, activity=Means.NATIVE)

    async def find(self, identifier: str) -> Sequence[FoundAccount]:
        return [FoundAccount("p-maya", "maya", last_sign_in_at=self.listed)]

    async def activity(self, external_id: str) -> Activity | None:
        self.asked += 1
        if self.away:
            raise Unavailable("unavailable")
        assert external_id == "p-maya"
        return Activity(tuple(SignIn(at, True) for at in self.signed_in))

    async def apply(self, plan: Plan) -> Sequence[Outcome]:
        return [self.outcome]


def kit_of(make_kit: Make, *, url: str | None = None, rules: dict[str, Any] | None = None) -> tuple[Kit, Tray, Guided]:
    given = {"administrators": ADMINS, **(rules or {})}
    kit = make_kit(
        url=url, systems={"builtin": {"kind": "builtin", "title": "Keyback"}, "partner": GUIDED}, tasks=given
    )
    maya = person("maya")
    maya = replace(maya, accounts=(*maya.accounts, ImportedAccount("partner", "p-maya", "maya")))
    tray = fit(kit, maya)
    partner = Guided()
    kit.services = replace(kit.services, connectors={**kit.services.connectors, "partner": partner})
    return kit, tray, partner


def recovered(make_kit: Make, **over: Any) -> tuple[Kit, Tray, Guided, Task]:
    """Maya has recovered; in one system it is her turn."""
    kit, tray, partner = kit_of(make_kit, **over)
    case_id = proven(kit, tray)
    choose(kit, case_id)
    drain(kit)
    (task,) = kit.read(lambda tx: tx.tasks.of_case(case_id))
    return kit, tray, partner, task


def look(kit: Kit, **forward: float) -> None:
    """The worker's round of looks after some time, and the messages that it wrote."""
    kit.clock.forward(**forward)
    kit.run(watch.look(kit.services.db, kit.services.connectors, kit.services.tasks))
    drain(kit)


def task_of(kit: Kit, task: Task) -> Task:
    found = kit.read(lambda tx: tx.tasks.get(task.id))
    assert found is not None
    return found


def news(tray: Tray) -> list[str]:
    return [x.content.what for x in tray.messages if x.kind == "system"]  # type: ignore[attr-defined]
