"""The SCIM connector on a real SCIM server: the contract suite, and what a version of a user tells."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from scim2_models import ScimProvider
from scim2_server.memory import InMemoryStorage
from scim2_server.service import ScimService
from scim2_server.testserver.application import BearerTokenApplication
from scim2_server.utils import (
    load_default_resource_types,
    load_default_schemas,
    load_default_service_provider_config,
)

from keyback.application.ports.connectors import Step, Unavailable
from keyback.connectors.scim import ENTERPRISE, ScimConnector
from keyback.testing.connectors import NEW, OLD, ConnectorContract, FaultyProxy, OverProxy, Traits, by_step, plan

TOKEN = "token-of-a-scim-server-0815"


class Silent(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@contextlib.contextmanager
def scim_server() -> Iterator[tuple[InMemoryStorage, int]]:
    storage = InMemoryStorage()
    provider = ScimProvider.from_discovery(
        load_default_schemas().values(),
        load_default_resource_types().values(),
        config=load_default_service_provider_config(),
    )
    app = BearerTokenApplication(
        storage, provider, service=ScimService(provider, secret="of this test alone"), bearer_tokens=[TOKEN]
    )
    server = make_server("127.0.0.1", 0, app, handler_class=Silent)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield storage, server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class ScimHarness(OverProxy):
    storage: InMemoryStorage
    proxy: FaultyProxy
    url: str
    connector: ScimConnector
    traits = Traits(policy=False)

    def user(self, external_id: str = "", username: str = "") -> Any:
        return next((r for r in self.storage.resources if external_id == r.id or username == r.user_name), None)

    async def add_user(self, username: str, mail: str, *, privileged: bool = False, disabled: bool = False) -> str:
        body = {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "userName": username,
            "password": OLD,
            "active": not disabled,
            "emails": [{"value": mail, "primary": True}],
            "roles": [{"value": "admin"}] if privileged else [],
        }
        return str((await self.connector._ask("POST", "Users", json=body))["id"])

    async def open_session(self, username: str, password: str) -> Callable[[], Awaitable[bool]] | None:
        """The server has no sign-in; what it would compare with is what counts."""

        async def alive() -> bool:
            return True

        user = self.user(username=username)
        return alive if user is not None and user.password == password else None

    async def lock(self, external_id: str) -> None:
        raise AssertionError("SCIM knows no lock")

    async def changes(self, external_id: str) -> int:
        return self.proxy.marked

    async def renew(self, **more: Any) -> None:
        await self.connector.close()
        self.connector = ScimConnector.from_options("scim", "SCIM", section(self.url, **more))


def section(url: str, **more: Any) -> dict[str, Any]:
    return {"url": f"{url}/v2", "secret": TOKEN, "privileged_roles": ["admin"], **more}


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
async def harness() -> AsyncIterator[ScimHarness]:
    with scim_server() as (storage, port):
        proxy = FaultyProxy(("127.0.0.1", port), b'"path": "password"')
        async with proxy.running() as url:
            made = ScimHarness(storage, proxy, url, ScimConnector.from_options("scim", "SCIM", section(url)))
            yield made
            await made.connector.close()


class TestScim(ConnectorContract):
    async def test_a_set_that_never_arrived_is_sent_again(self, harness: ScimHarness) -> None:
        key = await harness.add_user("unsent", "unsent@example.com")
        await harness.fault("refuse")
        assert (await harness.connector.apply(plan(key, "unsent")))[-1].status == "retry"
        await harness.fault("")
        assert by_step(await harness.connector.apply(plan(key, "unsent", attempt=2)))[Step.SET].status == "done"
        assert harness.user(key).password == NEW

    async def test_another_process_does_not_know_and_does_not_set(self, harness: ScimHarness) -> None:
        key = await harness.add_user("handed", "handed@example.com")
        await harness.connector.apply(plan(key, "handed"))
        other = ScimConnector.from_options("scim", "SCIM", section(harness.url))
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
            c = ScimConnector.from_options("scim", "S", {**section("https://id.example.com"), **more})
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
        c = ScimConnector.from_options("scim", "S", section("https://id.example.com"))
        assert c._account({"id": "1", "userName": "a", **says}).manager == manager
        await c.close()

    async def test_a_wrong_token_is_named(self, harness: ScimHarness) -> None:
        c = ScimConnector.from_options("scim", "SCIM", section(harness.url, secret="another"))
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
