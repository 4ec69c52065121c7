"""The role just in time: given for one act and always taken, also when answers are lost or a process crashed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from keyback.application.ports.connectors import Step
from keyback.connectors.dynamics365 import Dynamics365Connector
from keyback.demo.vendors.dynamics365.entra import GLOBAL_ADMIN, USER_ADMIN
from keyback.demo.vendors.faults import FaultKind
from keyback.testing.connectors import NEW, by_step, plan
from tests.support.dynamics365_tenant import Tenant, tenant

ASSIGNMENTS = "/roleAssignments"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


pytestmark = pytest.mark.anyio


@pytest.fixture
def hardened(tmp_path: Path) -> Iterator[Tenant]:
    with tenant(tmp_path, hardened=True) as t:
        yield t


@pytest.fixture
async def connector(hardened: Tenant) -> AsyncIterator[Dynamics365Connector]:
    c = hardened.connector(timeout_s=3)
    yield c
    await c.close()


def given(t: Tenant) -> int:
    return len([c for c in t.fake.calls if c.method == "POST" and c.path.endswith(ASSIGNMENTS) and c.status == 201])


@pytest.mark.parametrize("lag", [0, 1, 5])
async def test_the_role_is_there_for_the_act_alone(hardened: Tenant, connector: Dynamics365Connector, lag: int) -> None:
    hardened.fake.roles.lag = lag
    account = hardened.add("maya", "maya@example.com")
    done = by_step(await connector.apply(plan(account.id, "maya")))
    assert done[Step.CONFIRM].status == "done"
    assert (account.changes, given(hardened), hardened.fake.roles.all) == (1, 1, []), "and it is seen to be gone"
    assert hardened.fake.sign_in("maya", NEW) == "ok"


async def test_the_elevator_signs_in_by_certificate_too(hardened: Tenant) -> None:
    assert hardened.elevator is not None
    account = hardened.add("maya", "maya@example.com")
    files = {"private_key_file": str(hardened.folder / "app.key"), "certificate_file": str(hardened.folder / "app.crt")}
    connector = hardened.connector(elevator={"client_id": hardened.elevator.client_id, **files})
    assert by_step(await connector.apply(plan(account.id, "maya")))[Step.CONFIRM].status == "done"
    assert hardened.fake.roles.all == []
    await connector.close()


async def test_reading_takes_no_role(hardened: Tenant, connector: Dynamics365Connector) -> None:
    account = hardened.add("maya", "maya@example.com")
    await connector.diagnose("maya")
    await connector.temporary_pass(account.id, 60)
    await connector.check("maya")
    assert given(hardened) == 0


@pytest.mark.parametrize("kind", [pytest.param("time_out_after", marks=pytest.mark.slow), "cut_after"])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_lost_answers_about_the_role_leave_none(
    hardened: Tenant, connector: Dynamics365Connector, kind: Any, method: str
) -> None:
    account = hardened.add("maya", "maya@example.com")
    hardened.fake.faults.add(kind, ASSIGNMENTS, method)
    done = by_step(await connector.apply(plan(account.id, "maya")))
    assert done[Step.SET].status == "done"
    assert account.changes == 1
    assert hardened.roles() == set()


async def test_a_refused_password_leaves_no_role(hardened: Tenant, connector: Dynamics365Connector) -> None:
    account = hardened.add("maya", "maya@example.com")
    refused = by_step(await connector.apply(plan(account.id, "maya", "short")))[Step.SET]
    assert (refused.status, refused.code) == ("refused", "policy_rejected")
    assert hardened.roles() == set()


async def test_what_a_crash_left_is_taken_at_the_next_look_up(
    hardened: Tenant, connector: Dynamics365Connector
) -> None:
    hardened.fake.roles.assign(hardened.app.principal, USER_ADMIN, at_once=True)
    lines = [line for line in await connector.check() if "standing" in line.text]
    assert [line.status for line in lines] == ["warn"]
    assert hardened.roles() == {USER_ADMIN}, "checking changes nothing"
    with capture_logs() as logs:
        await connector.find("nobody")
    assert hardened.roles() == set()
    assert [entry["event"] for entry in logs] == ["role_left"]


async def test_roles_that_are_not_ours_to_take_stay(hardened: Tenant, connector: Dynamics365Connector) -> None:
    hardened.fake.roles.assign(hardened.app.principal, GLOBAL_ADMIN, at_once=True)
    await connector.find("nobody")
    assert hardened.roles() == {GLOBAL_ADMIN}


async def test_a_role_that_another_process_gave_is_used_and_taken(
    hardened: Tenant, connector: Dynamics365Connector
) -> None:
    account = hardened.add("maya", "maya@example.com")
    hardened.fake.roles.assign(hardened.app.principal, USER_ADMIN, at_once=True)
    done = by_step(await connector.apply(plan(account.id, "maya")))
    assert done[Step.SET].status == "done"
    assert hardened.roles() == set()


async def test_two_processes_at_once_both_get_through(hardened: Tenant, connector: Dynamics365Connector) -> None:
    other = hardened.connector()
    people = [hardened.add(f"maya{n}", f"maya{n}@example.com") for n in range(4)]
    plans = [plan(a.id, a.username) for a in people]
    results = await asyncio.gather(*(c.apply(p) for c, p in zip([connector, other] * 2, plans, strict=True)))
    assert [by_step(r)[Step.SET].status for r in results] == ["done"] * 4
    assert [a.changes for a in people] == [1] * 4
    assert hardened.roles() == set()
    await other.close()


async def test_acts_at_the_same_time_share_one_role(hardened: Tenant, connector: Dynamics365Connector) -> None:
    people = [hardened.add(f"maya{n}", f"maya{n}@example.com") for n in range(6)]
    results = await asyncio.gather(*(connector.apply(plan(a.id, a.username)) for a in people))
    assert [by_step(r)[Step.SET].status for r in results] == ["done"] * 6
    assert given(hardened) < 6
    assert hardened.fake.roles.all == []


@pytest.mark.parametrize(
    ("fault", "path", "method"),
    [("stall", "/users/", "PATCH"), ("time_out_after", ASSIGNMENTS, "POST")],
    ids=["while the password is set", "before the answer that the role is given"],
)
async def test_an_act_that_is_given_up_leaves_no_role(
    hardened: Tenant, connector: Dynamics365Connector, fault: FaultKind, path: str, method: str
) -> None:
    account = hardened.add("maya", "maya@example.com")
    hardened.fake.faults.add(fault, path, method)
    task = asyncio.ensure_future(connector.apply(plan(account.id, "maya")))
    while not (hardened.fake.injected and hardened.roles()):
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert hardened.roles() == set()


async def test_a_role_that_was_asked_for_and_not_given_is_not_looked_for_for_ever(
    hardened: Tenant, connector: Dynamics365Connector
) -> None:
    account = hardened.add("maya", "maya@example.com")
    hardened.fake.faults.add("stall", ASSIGNMENTS, "POST")
    with capture_logs() as logs:
        task = asyncio.ensure_future(connector.apply(plan(account.id, "maya")))
        while not hardened.fake.injected:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert (hardened.roles(), logs) == (set(), [])


async def test_an_elevator_that_may_not_is_named_and_nothing_is_set(
    hardened: Tenant, connector: Dynamics365Connector
) -> None:
    assert hardened.elevator is not None
    account = hardened.add("maya", "maya@example.com")
    hardened.fake.apps[hardened.elevator.client_id].permissions = {"RoleManagement.Read.Directory"}
    refused = by_step(await connector.apply(plan(account.id, "maya")))[Step.SET]
    assert (refused.status, refused.code) == ("refused", "not_permitted")
    assert refused.vendor_text.startswith("elevator: ")
    assert account.changes == 0
    hardened.fake.apps[hardened.elevator.client_id].permissions = set()
    assert [c.advice for c in await connector.check() if "elevator" in c.text and c.costs]


async def test_a_role_that_can_not_be_taken_is_said_and_taken_later(
    hardened: Tenant, connector: Dynamics365Connector
) -> None:
    account = hardened.add("maya", "maya@example.com")
    hardened.fake.faults.add("unavailable", ASSIGNMENTS, "DELETE", times=100)
    with capture_logs() as logs:
        done = by_step(await connector.apply(plan(account.id, "maya")))
    assert done[Step.SET].status == "done"
    assert hardened.roles() == {USER_ADMIN}
    assert [(entry["event"], entry["log_level"]) for entry in logs] == [("role_kept", "error")]
    hardened.fake.faults.clear()
    await connector.find("nobody")
    assert hardened.roles() == set()
