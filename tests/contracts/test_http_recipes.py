"""The contract suite on the recipes that come along, each against a stand-in written from its system's source, and on
an in-house CRM that was connected with the documents alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from keyback.application.ports.connectors import Means, Step
from keyback.domain.secret import Secret
from keyback.testing.connectors import NEW, OLD, ConnectorContract, by_step, plan
from tests.support.selfhosted.banyan import RECIPE
from tests.support.selfhosted.base import System
from tests.support.selfhosted.dolibarr import Dolibarr
from tests.support.selfhosted.espocrm import EspoCrm
from tests.support.selfhosted.frappe import Frappe
from tests.support.selfhosted.harness import IN_HOUSE, KINDS, RECIPES, SelfHostedHarness
from tests.support.selfhosted.krayin import Krayin
from tests.support.selfhosted.yudao import Yudao

pytestmark = pytest.mark.anyio

AT_ONCE = ("ruoyi", "banyan")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=[n if n in AT_ONCE else pytest.param(n, marks=pytest.mark.slow) for n in (*KINDS, *IN_HOUSE)])
async def harness(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[SelfHostedHarness]:
    system, recipe = (KINDS | IN_HOUSE)[request.param].make(), None
    if request.param in IN_HOUSE:
        recipe = tmp_path / f"{request.param}.toml"
        recipe.write_text(RECIPES[request.param], "utf-8")
    async with SelfHostedHarness.over(request.param, system, recipe) as harness:
        yield harness
    assert system.strange == [], "the real system has no such call"


class TestRecipes(ConnectorContract):
    pass


@pytest.mark.covers("N12")
async def test_a_set_that_is_answered_too_late_is_confirmed_or_left_and_never_repeated(
    harness: SelfHostedHarness,
) -> None:
    key = await harness.add_user("waited", "waited@example.com")
    await harness.renew(timeout_s=0.5)
    harness.system.trouble = "late"
    first = by_step(await harness.connector.apply(plan(key, "waited")))[Step.SET]
    harness.system.trouble = ""
    second = by_step(await harness.connector.apply(plan(key, "waited", attempt=2)))[Step.SET]
    seen = "done" if harness.connector.capabilities.verify is not Means.NONE else "uncertain"
    assert (first.status, second.status) == (seen, seen)
    assert await harness.changes(key) == 1
    assert await harness.open_session("waited", NEW)


async def test_an_inner_failure_is_no_success_and_no_weak_password(harness: SelfHostedHarness) -> None:
    key = await harness.add_user("failing", "failing@example.com")
    harness.system.trouble = "failing"
    failed = by_step(await harness.connector.apply(plan(key, "failing")))[Step.SET]
    assert failed.status in {"uncertain", "refused"}
    assert failed.code != "policy_rejected"
    harness.system.trouble = ""
    again = by_step(await harness.connector.apply(plan(key, "failing", attempt=2)))[Step.SET]
    open_still = failed.status == "uncertain" and harness.connector.capabilities.verify is Means.NONE
    assert again.status == ("uncertain" if open_still else "done")


async def test_people_on_later_pages_are_found_and_listed_once(harness: SelfHostedHarness) -> None:
    keys = [await harness.add_user(f"paged{n:03}", f"paged{n:03}@example.com") for n in range(220)]
    for n in (0, 219):
        (found,) = await harness.connector.find(f"paged{n:03}@example.com")
        assert found.external_id == keys[n]
    listed = [a async for page in harness.connector.list_accounts() for a in page]
    assert sorted(a.external_id for a in listed) == sorted(keys)


async def test_what_tries_the_password_leaves_no_session_behind(harness: SelfHostedHarness) -> None:
    if harness.connector.capabilities.verify is Means.NONE:
        return
    key = await harness.add_user("unseen", "unseen@example.com")
    assert by_step(await harness.connector.apply(plan(key, "unseen")))[Step.CONFIRM].status == "done"
    one = harness.system.by_id(key)
    assert one is not None
    assert one.sessions == set()


async def one_of(name: str, system: System) -> AsyncIterator[SelfHostedHarness]:
    async with SelfHostedHarness.over(name, system) as harness:
        yield harness


async def test_yudao_says_itself_how_long_a_password_may_be() -> None:
    async for harness in one_of("yudao", Yudao()):
        key = await harness.add_user("longer", "longer@example.com")
        refused = by_step(await harness.connector.apply(plan(key, "longer", NEW)))[Step.SET]
        assert (refused.status, refused.code) == ("refused", "policy_rejected")
        assert "4-16" in refused.vendor_text


async def test_an_older_dolibarr_finds_nobody_with_a_404() -> None:
    system = Dolibarr()
    system.older = True
    async for harness in one_of("dolibarr", system):
        key = await harness.add_user("maya", "maya@example.com")
        assert [a.external_id for a in await harness.connector.find("maya@example.com")] == [key]
        assert list(await harness.connector.find("nobody")) == []
        assert [a.external_id async for page in harness.connector.list_accounts() for a in page] == [key]


@pytest.mark.parametrize(("name", "works"), [("espocrm", None), ("frappe", True)])
async def test_a_second_factor_does_not_make_a_right_password_wrong(name: str, works: bool | None) -> None:
    system = KINDS[name].make()
    assert isinstance(system, EspoCrm | Frappe)
    async for harness in one_of(name, system):
        key = await harness.add_user("maya", "maya@example.com")
        system.second_factors.add(key)
        login = harness.traits.login("maya")
        assert await harness.connector.verify(login, Secret(OLD)) is works
        assert await harness.connector.verify(login, Secret(NEW)) is False


async def test_krayin_keeps_everything_of_a_person_but_the_groups() -> None:
    system = Krayin()
    async for harness in one_of("krayin", system):
        key = await harness.add_user("maya", "maya@example.com")
        assert by_step(await harness.connector.apply(plan(key, "maya@example.com")))[Step.SET].status == "done"
        one = system.by_id(key)
        assert one is not None
        assert (one.username, one.mail, one.disabled, one.privileged) == ("maya", "maya@example.com", False, False)
        assert (system.view[key], system.groups[key]) == ("group", [])


@pytest.mark.covers("N2")
async def test_no_value_ends_its_cookie(tmp_path: Path) -> None:
    recipe, system = tmp_path / "banyan.toml", IN_HOUSE["banyan"].make()
    recipe.write_text(RECIPE.replace('BSESSION = "{theirs}"', 'BSESSION = "{theirs}", who = "{username}"'), "utf-8")
    async with SelfHostedHarness.over("banyan", system, recipe) as harness:
        for name, tried in (("maya; BSESSION=x", 0), ("maya,b", 0), ('m"aya', 0), ("maya", 1)):
            system.add(name, "", OLD)
            assert await harness.connector.verify(name, Secret(OLD)) is (True if tried else None)
            assert system.asked.count("POST /session/login") == tried
