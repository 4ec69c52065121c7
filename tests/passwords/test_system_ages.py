"""Passwords in other systems come of age too: each system is asked at its own pace, and each step is told of once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from keyback.application.passwords import system_ages
from keyback.application.ports.connectors import Capabilities, FoundAccount, Means, Unavailable
from keyback.application.ports.storage import ImportedAccount
from keyback.connectors.base import ConnectorBase
from keyback.domain.passwords.rules import DAY
from tests.support.kit import Kit, person
from tests.support.steps import Tray, drain, fit

Make = Callable[..., Kit]


class Crm(ConnectorBase):
    """A system that knows since when everybody has their password."""

    capabilities = Capabilities(lookup=Means.NATIVE)

    def __init__(self, name: str, changed_at: int | None) -> None:
        self.name = self.title = name
        self.changed_at = changed_at
        self.asked: list[str] = []
        self.down: Exception | None = None

    async def find(self, identifier: str) -> Sequence[FoundAccount]:
        self.asked.append(identifier)
        if self.down is not None:
            raise self.down
        return [FoundAccount(identifier, identifier, password_changed_at=self.changed_at)]


def company(make_kit: Make, people: int = 1, url: str | None = None) -> tuple[Kit, Tray, Crm]:
    kit = make_kit(url=url, password={"preset": "mlps3"})
    names = [f"p{n}" for n in range(people)]
    mine = [replace(person(n), accounts=(ImportedAccount("crm", n, n),)) for n in names]
    tray = fit(kit, *mine)
    crm = Crm("crm", kit.read(lambda tx: tx.now) - 70 * DAY)
    kit.services = replace(kit.services, connectors={"crm": crm}, titles={"crm": "Harbour CRM"})
    return kit, tray, crm


def upkeep(kit: Kit, tray: Tray) -> list[Any]:
    before = len(tray.messages)
    kit.run(system_ages.remind(kit.services))
    drain(kit)
    return [x.content for x in tray.messages[before:]]


@pytest.mark.slow
@pytest.mark.covers("N-P5")
def test_each_step_before_the_day_is_told_of_once_and_a_new_password_starts_over(
    make_kit: Make, database_url: str
) -> None:
    kit, tray, crm = company(make_kit, url=database_url)
    told = []
    for day in range(70, 130):
        told += [(day, x.system) for x in upkeep(kit, tray)]
        kit.clock.forward(hours=24)
    assert told == [(76, "Harbour CRM"), (83, "Harbour CRM"), (89, "Harbour CRM")]
    assert len(crm.asked) <= 6, "asked when something may be due, not every day"
    crm.changed_at = kit.read(lambda tx: tx.now) - 80 * DAY
    kit.clock.forward(hours=24 * 30)
    assert [x.system for x in upkeep(kit, tray)] == ["Harbour CRM"], "changed, and past its day again"
    assert upkeep(kit, tray) == []


@pytest.mark.covers("N-P5")
def test_many_people_do_not_flood_a_vendor(make_kit: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system_ages, "HOURLY", 12)
    kit, tray, crm = company(make_kit, people=40)
    for _ in range(20):
        upkeep(kit, tray)
    assert len(crm.asked) == 12, "in an hour no more than its share"
    for _ in range(6):
        kit.clock.forward(hours=1)
        for _ in range(4):
            upkeep(kit, tray)
    assert sorted(set(crm.asked)) == sorted(f"p{n}" for n in range(40))
    assert len(crm.asked) == 40, "and nobody twice"


@pytest.mark.covers("N11")
def test_a_system_that_is_away_is_asked_less_and_less_and_says_nothing_wrong(make_kit: Make) -> None:
    kit, tray, crm = company(make_kit)
    crm.down = Unavailable("quota_missing")
    for _ in range(48):
        assert upkeep(kit, tray) == []
        kit.clock.forward(hours=1)
    assert 3 <= len(crm.asked) <= 8
    crm.down, crm.changed_at = None, kit.read(lambda tx: tx.now) - 100 * DAY
    kit.clock.forward(hours=25)
    (one,) = upkeep(kit, tray)
    assert one.username == "p0"


def test_where_age_is_no_reason_nobody_is_asked(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, replace(person("p0"), accounts=(ImportedAccount("crm", "p0", "p0"),)))
    crm = Crm("crm", 1)
    kit.services = replace(kit.services, connectors={"crm": crm})
    assert upkeep(kit, tray) == []
    assert crm.asked == []


def test_a_lease_that_ran_out_stores_nothing_and_tells_nobody_twice(make_kit: Make, database_url: str) -> None:
    kit, _, _ = company(make_kit, url=database_url)
    kit.write(lambda tx: tx.password_ages.take_up("crm", 10))
    (old,) = kit.write(lambda tx: tx.password_ages.claim("crm", 5, 1_000))
    assert kit.write(lambda tx: tx.password_ages.claim("crm", 5, 1_000)) == []
    kit.clock.forward(seconds=2)
    (new,) = kit.write(lambda tx: tx.password_ages.claim("crm", 5, 1_000))
    assert not kit.write(lambda tx: tx.password_ages.save(replace(old, changed_at=5), old))
    assert kit.write(lambda tx: tx.password_ages.save(replace(new, changed_at=7, look_at=new.look_at + 9), new))
