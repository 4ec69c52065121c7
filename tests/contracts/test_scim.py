"""The SCIM connector on a real SCIM server: the contract suite, and what a version of a user tells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import pytest

from keyback.application.ports.connectors import Step, Unavailable
from keyback.connectors.scim import ENTERPRISE, PATCH, ScimConnector
from keyback.testing.connectors import NEW, OLD, ConnectorContract, FaultyProxy, OverProxy, Traits, by_step, plan
from keyback.testing.scim_server import ScimServer, start_scim

SECTION = {"url": "https://id.example.com/v2", "secret": "s" * 20, "privileged_roles": ["admin"]}


@dataclass
class ScimHarness(OverProxy):
    server: ScimServer
    proxy: FaultyProxy
    url: str
    connector: ScimConnector
    traits = Traits(policy=False)

    async def add_user(self, username: str, mail: str, *, privileged: bool = False, disabled: bool = False) -> str:
        add = self.server.add_user
        return await asyncio.to_thread(add, username, mail, OLD, privileged=privileged, disabled=disabled)

    async def open_session(self, username: str, password: str) -> Callable[[], Awaitable[bool]] | None:
        async def alive() -> bool:
            return True

        return alive if self.server.signs_in(username, password) else None

    async def lock(self, external_id: str) -> None:
        raise AssertionError("SCIM knows no lock")

    async def changes(self, external_id: str) -> int:
        return self.proxy.marked

    async def renew(self, **more: Any) -> None:
        await self.connector.close()
        self.connector = ScimConnector.from_options("scim", "SCIM", self.server.section(f"{self.url}/v2", **more))


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def harness() -> AsyncIterator[ScimHarness]:
    server = start_scim()
    proxy = FaultyProxy(("127.0.0.1", server.port), b'"path": "password"')
    async with proxy.running() as url:
        made = ScimHarness(server, proxy, url, ScimConnector.from_options("scim", "SCIM", server.section(f"{url}/v2")))
        yield made
        await made.connector.close()
    server.stop()


class TestScim(ConnectorContract):
    async def test_a_set_that_never_arrived_is_sent_again(self, harness: ScimHarness) -> None:
        key = await harness.add_user("unsent", "unsent@example.com")
        await harness.fault("refuse")
        assert (await harness.connector.apply(plan(key, "unsent")))[-1].status == "retry"
        await harness.fault("")
        assert by_step(await harness.connector.apply(plan(key, "unsent", attempt=2)))[Step.SET].status == "done"
        assert harness.server.user(key).password == NEW

    async def test_another_process_does_not_know_and_does_not_set(self, harness: ScimHarness) -> None:
        key = await harness.add_user("handed", "handed@example.com")
        await harness.connector.apply(plan(key, "handed"))
        other = ScimConnector.from_options("scim", "SCIM", harness.server.section(f"{harness.url}/v2"))
        done = by_step(await other.apply(plan(key, "handed", attempt=2)))
        await other.close()
        assert (done[Step.SET].status, await harness.changes(key)) == ("uncertain", 1)

    @pytest.mark.covers("N9")
    async def test_groups_and_user_types_make_administrators(self) -> None:
        row = {"id": "1", "userName": "a", "groups": [{"value": "g1", "display": "CRM admins"}], "userType": "root"}
        for more in (
            {"privileged_groups": ["g1"]},
            {"privileged_groups": ["CRM admins"]},
            {"privileged_roles": ["root"]},
        ):
            c = ScimConnector.from_options("scim", "S", {**SECTION, **more})
            assert c._account(row).privileged
            await c.close()

    @pytest.mark.parametrize(
        ("says", "manager"),
        [
            ({}, None),
            ({ENTERPRISE: {"department": "Sales"}}, ""),
            ({ENTERPRISE: {"manager": {"value": "26118915", "displayName": "John Smith"}}}, "26118915"),
            ({ENTERPRISE: {"manager": "26118915"}}, "26118915"),
        ],
    )
    async def test_the_enterprise_user_names_the_manager(self, says: dict[str, Any], manager: str | None) -> None:
        c = ScimConnector.from_options("scim", "S", SECTION)
        assert c._account({"id": "1", "userName": "a", **says}).manager == manager
        await c.close()

    @pytest.mark.parametrize(
        ("says", "numbers"),
        [
            ({}, ()),
            ({"phoneNumbers": None}, ()),
            ({"phoneNumbers": [{"value": "+12025550100", "type": "work"}, {"value": "+12025550101"}]}, ()),
            ({"phoneNumbers": [{"value": "tel:+86-138-0013-8000;ext=2", "type": "Mobile"}]}, ("+86-138-0013-8000",)),
        ],
    )
    async def test_only_numbers_that_are_mobile_are_told(self, says: dict[str, Any], numbers: tuple[str, ...]) -> None:
        c = ScimConnector.from_options("scim", "S", SECTION)
        assert c._account({"id": "1", "userName": "a", **says}).phones == numbers
        await c.close()

    @pytest.mark.parametrize(
        ("says", "groups"),
        [
            ({}, None),
            ({"groups": None}, None),
            ({"groups": []}, ()),
            ({"groups": [{"value": "7", "display": "Sales"}, {"value": "8"}, "odd"]}, ("Sales",)),
            ({ENTERPRISE: {"department": "Finance"}}, ("Finance",)),
            ({ENTERPRISE: {"department": 7}, "groups": [{"display": "Sales"}]}, ("Sales",)),
        ],
    )
    async def test_groups_and_departments_are_told(self, says: dict[str, Any], groups: tuple[str, ...] | None) -> None:
        c = ScimConnector.from_options("scim", "S", SECTION)
        assert c._account({"id": "1", "userName": "a", **says}).groups == groups
        await c.close()

    async def test_a_list_tells_mobile_numbers(self, harness: ScimHarness) -> None:
        key = await harness.add_user("dialed", "dialed@example.com")
        change = {"op": "add", "path": "phoneNumbers", "value": [{"value": "tel:+8613800138000", "type": "mobile"}]}
        await harness.connector._ask("PATCH", f"Users/{key}", json={"schemas": [PATCH], "Operations": [change]})
        listed = {a.external_id: a.phones async for page in harness.connector.list_accounts() for a in page}
        assert listed[key] == ("+8613800138000",)

    async def test_a_wrong_token_is_named(self, harness: ScimHarness) -> None:
        c = ScimConnector.from_options("scim", "SCIM", harness.server.section(f"{harness.url}/v2", secret="another"))
        with pytest.raises(Unavailable) as raised:
            await c.find("alice")
        assert raised.value.code == "auth_expired"
        assert [(line.what, line.status) for line in await c.check()] == [("sign_in", "bad")]
        await c.close()

    async def test_names_that_are_filters_find_nobody(self, harness: ScimHarness) -> None:
        await harness.add_user("victim", "victim@example.com")
        for name in ('" or userName pr or userName eq "', 'victim" or "1" eq "1', "victim\\", '"'):
            assert list(await harness.connector.find(name)) == []

    async def test_a_list_that_ends_before_its_total_is_no_list(
        self, harness: ScimHarness, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Who is missing from a list that ended would be switched off by a sync."""
        for n in range(3):
            await harness.add_user(f"listed{n}", f"listed{n}@example.com")
        monkeypatch.setattr("keyback.connectors.scim.PAGE", 2)
        page = harness.connector._page

        async def short(query: dict[str, str]) -> tuple[list[dict[str, Any]], int]:
            rows, total = await page(query)
            return (rows if query.get("startIndex") == "1" else []), total

        monkeypatch.setattr(harness.connector, "_page", short)
        with pytest.raises(Unavailable, match="ends before its total"):
            [page async for page in harness.connector.list_accounts()]
