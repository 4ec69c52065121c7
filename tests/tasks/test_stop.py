"""The emergency stop: "this wasn't me" stops accounts in other systems where it can, else somebody is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from keyback.application.account import lockdown
from keyback.application.ports.connectors import Capabilities, Means, Outcome, Step
from keyback.application.tasks import lifecycle as tasks
from tests.support.guided import ADMINS, Guided, kit_of, news
from tests.support.kit import Kit
from tests.support.steps import HERE, drain, types

Make = Callable[..., Kit]


@dataclass
class Stoppable(Guided):
    """A guided system whose accounts can be stopped, as the test says."""

    answer: Outcome | None = None
    stops: int = 0

    def __post_init__(self) -> None:
        self.capabilities = Capabilities(stop=Means.NATIVE)

    async def stop(self, external_id: str, *, allow_privileged: bool = False) -> Outcome:
        self.stops += 1
        assert (external_id, allow_privileged) == ("p-maya", False)
        if self.answer is None:
            raise RuntimeError("a plug-in's own fault")
        return self.answer


def locked(make_kit: Make, answer: Outcome | None, *, can: bool = True) -> tuple[Kit, Stoppable, list[str], list[str]]:
    """Maya has said that it wasn't her; what administrators are asked, and what she is told."""
    kit, tray, _ = kit_of(make_kit)
    partner = Stoppable(answer=answer)
    if not can:
        partner.capabilities = Capabilities()
    kit.services.connectors["partner"] = partner  # type: ignore[index]
    (match,) = kit.read(lambda tx: tx.people.match(["maya"]))["maya"]
    for _ in range(2):  # again: nobody is asked twice
        kit.write(lambda tx: lockdown.lock(tx, match.person.id, False, HERE))
        drain(kit)
    for _ in range(30):
        kit.clock.forward(minutes=4)
        drain(kit)
    asked = [x.content.what for x in tray.messages if x.kind == "task" and x.to == ADMINS[0]]  # type: ignore[attr-defined]
    return kit, partner, asked, news(tray)


def test_an_account_is_stopped_and_only_an_administrator_turns_it_on_again(make_kit: Make) -> None:
    kit, partner, asked, told = locked(make_kit, Outcome(Step.STOP, "done"))
    assert (partner.stops, asked, told) == (1, ["turn_on"], ["stopped"])
    assert types(kit).count("account_stopped") == 1
    (view,) = kit.read(lambda tx: tasks.listed(tx))
    kit.write(lambda tx: tasks.done(tx, view.task.id))
    assert kit.read(lambda tx: tasks.listed(tx)) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answer", "can", "stops"),
    [
        (Outcome(Step.STOP, "refused", "privileged_target"), True, 1),
        (Outcome(Step.STOP, "unsupported"), False, 0),
    ],
)
def test_where_keyback_cannot_an_administrator_is_asked_at_once(
    make_kit: Make, answer: Outcome, can: bool, stops: int
) -> None:
    kit, partner, asked, told = locked(make_kit, answer, can=can)
    assert (partner.stops, asked, told) == (stops, ["stop"], [])
    assert types(kit).count("account_not_stopped") == 1


@pytest.mark.slow
@pytest.mark.parametrize("answer", [None, Outcome(Step.STOP, "retry", "unavailable", "", 60_000)])
def test_a_system_that_is_away_is_tried_for_an_hour_and_then_an_administrator_asked(
    make_kit: Make, answer: Outcome | None
) -> None:
    _, partner, asked, told = locked(make_kit, answer)
    assert 5 < partner.stops < 40
    assert (asked, told) == (["stop"], [])
