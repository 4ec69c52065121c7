"""The contract suite on systems that a recipe connects, and what hostile recipes and hostile answers come to."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from keyback.application.ports.connectors import Means, Step, Unavailable
from keyback.connectors.http import HttpConnector
from keyback.domain.secret import Secret
from keyback.testing.connectors import CANARY, NEW, OLD, ConnectorContract, by_step, plan
from keyback.testing.demo_crm import DemoCrm
from tests.support.acorn import KEY, AcornHarness, connected, printed
from tests.support.demo_harness import TOKEN, DemoHarness

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def demo(url: str, **more: Any) -> HttpConnector:
    return HttpConnector.from_options("demo", "Demo CRM", {"url": url, "recipe": "demo", "secret": TOKEN, **more})


class TestDemoByRecipe(ConnectorContract):
    """The demo's CRM, by its recipe."""

    @pytest.fixture
    async def harness(self) -> AsyncIterator[DemoHarness]:
        async with DemoHarness.over(DemoCrm(None, TOKEN), demo) as harness:
            yield harness


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "acorn.toml"
    path.write_text(printed(), "utf-8")
    return path


@pytest.fixture
async def acorn(recipe: Path) -> AsyncIterator[AcornHarness]:
    async with AcornHarness.over(recipe) as harness:
        yield harness


class TestAcorn(ConnectorContract):
    """The in-house CRM of the page "Connect your own CRM", by the recipe that stands there."""

    @pytest.fixture
    async def harness(self, acorn: AcornHarness) -> AcornHarness:
        return acorn


async def test_what_works_signs_nobody_in_and_leaves_no_session(acorn: AcornHarness) -> None:
    key = await acorn.add_user("maya", "maya@example.com")
    done = by_step(await acorn.connector.apply(plan(key, "maya")))
    assert (done[Step.SET].status, done[Step.REVOKE].status, done[Step.CONFIRM].status) == ("done", "done", "done")
    assert acorn.acorn.named("maya").sessions == set()  # type: ignore[union-attr]
    await acorn.connector.find("maya")
    assert "cookie" not in acorn.acorn.headers[-1], "the person's own session would sign Keyback's next call in as them"


@pytest.mark.slow
@pytest.mark.covers("N2", "N6", "N7")
@pytest.mark.parametrize(
    "name",
    ["../admin", "a/../../x", "?q=", "x&q=y", "x#y", "%2e%2e", "' OR '1'='1", "a\r\nX-Api-Key: x", "*", "{secret}"],
)
async def test_values_stay_where_the_recipe_puts_them(acorn: AcornHarness, name: str) -> None:
    await acorn.add_user("maya", "maya@example.com")
    assert list(await acorn.connector.find(name)) == []
    assert (await acorn.connector.apply(plan(name, name)))[0].code == "not_found"
    assert {a.partition("?")[0] for a in acorn.acorn.asked if "staff/" not in a} <= {"GET /api/v1/staff"}
    assert all(a.count("/") <= 4 for a in acorn.acorn.asked), acorn.acorn.asked
    assert KEY not in "".join(acorn.acorn.asked)


HOSTILE: dict[str, Callable[[], Response]] = {
    "nothing": lambda: Response(b""),
    "a_list": lambda: JSONResponse([1, 2]),
    "a_number": lambda: JSONResponse(7),
    "deep": lambda: Response(b"[" * 100_000, media_type="application/json"),
    "strange_user": lambda: JSONResponse({"data": {"id": {"$gt": 0}, "login": [], "email": 1}}),
    "another_user": lambda: JSONResponse({"data": {"id": 2, "login": "boss", "enabled": True, "roles": []}}),
}


@pytest.mark.covers("N1", "N11")
@pytest.mark.parametrize("how", list(HOSTILE))
async def test_an_answer_of_another_shape_changes_nothing(acorn: AcornHarness, how: str) -> None:
    key = await acorn.add_user("maya", "maya@example.com")
    await acorn.add_user("boss", "boss@example.com")
    acorn.acorn.say = {"read": HOSTILE[how], "search": HOSTILE[how]}
    last = (await acorn.connector.apply(plan(key, "maya")))[-1]
    assert (last.step, last.status) in {(Step.GUARD, "retry"), (Step.GUARD, "refused")}
    with contextlib.suppress(Unavailable):
        assert list(await acorn.connector.find("maya")) == []
    assert [s.changes for s in acorn.acorn.staff.values()] == [0, 0]


@pytest.mark.covers("N9")
async def test_who_is_privileged_cannot_be_hidden_by_leaving_it_out(acorn: AcornHarness) -> None:
    key = await acorn.add_user("maya", "maya@example.com")
    shown = {"id": 1, "login": "maya", "email": "maya@example.com", "enabled": True}
    acorn.acorn.say = {"read": lambda: JSONResponse({"data": shown})}
    assert (await acorn.connector.apply(plan(key, "maya")))[0].code == "privileged_target"
    acorn.acorn.say = {"read": lambda: JSONResponse({"data": {**shown, "roles": []}})}
    assert by_step(await acorn.connector.apply(plan(key, "maya")))[Step.SET].status == "done"


async def test_the_section_names_more_whom_to_leave_alone(acorn: AcornHarness) -> None:
    key = await acorn.add_user("Maya", "maya@example.com")
    careful = connected(acorn.url, acorn.recipe, privileged=["maya"])
    assert (await careful.apply(plan(key, "Maya")))[0].code == "privileged_target"
    await careful.close()


@pytest.mark.covers("N12")
@pytest.mark.parametrize("status", [302, 500, 502])
async def test_a_set_that_may_have_worked_is_looked_into(acorn: AcornHarness, status: int) -> None:
    key = await acorn.add_user("maya", "maya@example.com")
    headers = {"location": "/done"} if status == 302 else {}
    acorn.acorn.say = {"set": lambda: Response(status_code=status, headers=headers)}
    first = by_step(await acorn.connector.apply(plan(key, "maya")))
    assert (first[Step.SET].status, first[Step.SET].code) == ("uncertain", "unavailable")
    acorn.acorn.staff[1].password = NEW  # it had worked after all
    acorn.acorn.say = {}
    second = by_step(await acorn.connector.apply(plan(key, "maya", attempt=2)))
    assert second[Step.SET].status == second[Step.CONFIRM].status == "done"
    assert acorn.acorn.staff[1].changes == 0, "it was set a second time"


async def test_too_many_calls_wait_as_long_as_the_system_says(acorn: AcornHarness) -> None:
    key = await acorn.add_user("maya", "maya@example.com")
    for status in (429, 503):
        acorn.acorn.say = {"set": lambda s=status: Response(status_code=s, headers={"retry-after": "77"})}  # type: ignore[misc]
        (last,) = (await acorn.connector.apply(plan(key, "maya")))[-1:]
        assert (last.step, last.status, last.retry_after_ms) == (Step.SET, "retry", 77_000)


@pytest.mark.covers("N10")
async def test_a_test_shows_each_call_and_no_secret(acorn: AcornHarness) -> None:
    await acorn.add_user("maya", "maya@example.com")
    lines = [line.text for line in await acorn.connector.check("maya") if line.what == "call"]
    assert any(line.startswith("GET /api/v1/staff?q=maya [X-Api-Key: •••] → 200") for line in lines), lines
    assert isinstance(acorn.connector, HttpConnector)
    with acorn.connector.tracing() as calls:
        await acorn.connector.apply(plan("1", "maya", CANARY))
        await acorn.connector.apply(plan("1", "maya", CANARY[:7], job_id="another"))
    assert len(calls) >= 6
    assert any("PUT /api/v1/staff/1/password" in c and "422" in c for c in calls)
    whole = "\n".join([*lines, *calls])
    assert not {s for s in (KEY, OLD, CANARY, CANARY[:7]) if s in whole}, whole
    assert await acorn.connector.verify("maya", Secret(CANARY))


def test_a_recipe_claims_what_it_has(recipe: Path) -> None:
    can = connected("https://acorn.example.com", recipe).capabilities
    assert (can.set_password, can.verify, can.revoke_sessions) == (Means.NATIVE,) * 3
    assert (can.list, can.unlock, can.must_change, can.activity) == (Means.NONE,) * 4


@pytest.mark.covers("N1")
@pytest.mark.parametrize("url", ["http://crm.example.com", "ftp://crm.example.com", "https://a@crm.example.com", "crm"])
def test_an_address_that_is_not_safe_is_refused(recipe: Path, url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        connected(url, recipe)
