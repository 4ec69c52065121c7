"""The contract suite on the recipes that come along, each against a stand-in written from its system's source, and on
an in-house CRM that was connected with the documents alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from keyback.application.ports.connectors import Means, Step, Unavailable
from keyback.domain.secret import Secret
from keyback.testing.connectors import NEW, OLD, ConnectorContract, by_step, plan
from tests.support.selfhosted.banyan import RECIPE
from tests.support.selfhosted.base import System
from tests.support.selfhosted.dolibarr import Dolibarr
from tests.support.selfhosted.espocrm import EspoCrm
from tests.support.selfhosted.frappe import VERY_COMMON, Frappe
from tests.support.selfhosted.harness import IN_HOUSE, KINDS, RECIPES, SelfHostedHarness
from tests.support.selfhosted.krayin import Krayin
from tests.support.selfhosted.yudao import Yudao

pytestmark = pytest.mark.anyio

AT_ONCE = ("ruoyi", "banyan")
TELL_NUMBERS = ("ruoyi", "yudao", "vtiger", "dolibarr", "frappe", "frappe 16")


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


@pytest.mark.slow
async def test_people_on_later_pages_are_found_and_listed_once(harness: SelfHostedHarness) -> None:
    keys = [await harness.add_user(f"paged{n:03}", f"paged{n:03}@example.com") for n in range(220)]
    for n in (0, 219):
        (found,) = await harness.connector.find(f"paged{n:03}@example.com")
        assert found.external_id == keys[n]
    listed = [a async for page in harness.connector.list_accounts() for a in page]
    assert sorted(a.external_id for a in listed) == sorted(keys)


async def test_a_list_tells_mobile_numbers_where_the_recipe_names_them(harness: SelfHostedHarness) -> None:
    keys = [await harness.add_user(name, f"{name}@example.com") for name in ("maya", "omar")]
    maya = harness.system.by_id(keys[0])
    assert maya
    maya.mobile = "13800138000"
    listed = {a.external_id: a.phones async for page in harness.connector.list_accounts() for a in page}
    tells = harness.name in TELL_NUMBERS
    assert [listed[k] for k in keys] == ([("13800138000",), ()] if tells else [None, None])


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


@pytest.mark.parametrize("name", ["frappe", "frappe 16"])
async def test_frappe_says_in_its_words_why_and_mails_no_password(name: str) -> None:
    system = KINDS[name].make()
    assert isinstance(system, Frappe)
    async for harness in one_of(name, system):
        key = await harness.add_user("maya", "maya@example.com")
        refused = by_step(await harness.connector.apply(plan(key, "maya@example.com", "short")))[Step.SET]
        assert (refused.code, refused.vendor_text) == ("policy_rejected", VERY_COMMON)
        assert (
            by_step(await harness.connector.apply(plan(key, "maya@example.com", attempt=2)))[Step.SET].status == "done"
        )
        assert system.mailed == []


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


async def test_a_form_that_is_shown_again_is_a_refused_sign_in(tmp_path: Path) -> None:
    recipe = tmp_path / "kestrel.toml"
    recipe.write_text(RECIPES["kestrel"], "utf-8")
    async with SelfHostedHarness.over("kestrel", IN_HOUSE["kestrel"].make(), recipe) as harness:
        await harness.renew(secret="another-word")
        with pytest.raises(Unavailable) as told:
            await harness.connector.find("maya")
        assert (told.value.code, "it leads to /login, not to /" in str(told.value)) == ("auth_expired", True)
        assert "another-word" not in str(told.value)
