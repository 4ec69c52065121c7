"""The contract suite on the Odoo connector by both protocols, and what is particular to Odoo."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from starlette.testclient import TestClient

from keyback.application.ports.connectors import Step, Unavailable
from keyback.connectors.odoo import OdooConnector
from keyback.demo.vendors.accounts import Factor
from keyback.demo.vendors.odoo.records import HELPDESK, USER
from keyback.domain.secret import Secret
from keyback.testing.connectors import NEW, OLD, ConnectorContract, FaultyProxy, OverProxy, Traits, by_step, plan
from tests.support.odoo import Server, odoo_server

pytestmark = pytest.mark.anyio
DIFFERENT = [pytest.param(19, id="json2"), pytest.param(18, id="jsonrpc")]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(params=DIFFERENT)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with odoo_server(version=request.param) as made:
        yield made


@pytest.fixture
async def connector(server: Server) -> AsyncIterator[OdooConnector]:
    made = server.connector()
    yield made
    await made.close()


@dataclass
class OdooHarness(OverProxy):
    server: Server
    proxy: FaultyProxy
    url: str
    connector: OdooConnector
    traits = Traits()

    async def add_user(self, username: str, mail: str, *, privileged: bool = False, disabled: bool = False) -> str:
        return self.server.add(username, mail, privileged=privileged, active=not disabled).id

    async def open_session(self, username: str, password: str) -> Callable[[], Awaitable[bool]] | None:
        account = self.server.fake.accounts.named(username)
        if account is None or self.server.fake.sign_in(username, password) != "ok":
            return None
        mine = {s.id for s in account.sessions}

        async def alive() -> bool:
            return bool({s.id for s in account.sessions} & mine)

        return alive

    async def lock(self, external_id: str) -> None:
        raise AssertionError("Odoo locks no user")

    async def must_change(self, username: str, password: str) -> bool:
        raise AssertionError("not claimed")

    async def grant(self, external_id: str, title: str) -> str:
        raise AssertionError("not claimed")

    async def factor(self, external_id: str) -> str:
        raise AssertionError("not claimed")

    async def changes(self, external_id: str) -> int:
        account = self.server.fake.accounts.get(external_id)
        return account.changes if account else 0

    async def renew(self, **more: Any) -> None:
        await self.connector.close()
        self.connector = self.server.connector(self.url, **more)


@pytest.mark.covers("N1", "N2", "N6")
class TestOdoo(ConnectorContract):
    @pytest.fixture
    async def harness(self, server: Server) -> AsyncIterator[OdooHarness]:
        host, port = server.address.removeprefix("http://").split(":")
        proxy = FaultyProxy((host, int(port)), b'{"password": ')
        async with proxy.running() as url:
            h = OdooHarness(server, proxy, url, server.connector(url))
            yield h
            await proxy.set("")
            await h.connector.close()


@pytest.mark.covers("N9")
async def test_who_can_make_administrators_is_privileged(server: Server, connector: OdooConnector) -> None:
    desk = server.add("desk", extra={"groups": [USER, HELPDESK]})  # a group of the company's own that may write users
    for login, key in (("keyback", "3"), ("admin", "2"), ("desk", desk.id)):
        (found,) = await connector.find(login)
        assert found.privileged
        (outcome,) = await connector.apply(plan(key, login))
        assert (outcome.status, outcome.code) == ("refused", "privileged_target")
    (outcome,) = await connector.apply(plan("1", "__system__", allow_privileged=True))
    assert outcome.code == "not_found"
    assert desk.changes == 0


async def test_everybody_is_listed_but_the_bot(server: Server, connector: OdooConnector) -> None:
    server.add("leaver", "leaver@example.com", active=False)
    listed = [a async for page in connector.list_accounts() for a in page]
    assert [(a.username, a.state) for a in listed] == [
        ("admin", "active"),
        ("keyback", "active"),
        ("leaver", "disabled"),
    ]


async def test_a_list_of_some_companies_is_no_list(server: Server, connector: OdooConnector) -> None:
    server.fake.companies = 2
    service = server.fake.accounts.get("3")
    assert service
    service.extra["companies"] = 1
    with pytest.raises(Unavailable, match="all companies"):
        [page async for page in connector.list_accounts()]
    warned = [line for line in await connector.check() if line.status == "warn"]
    assert [line.costs for line in warned] == [("list",)]


@pytest.mark.parametrize("how", [{"oauth": True}, {"ldap": True}])
async def test_who_signs_in_elsewhere_is_left_alone(how: dict[str, bool]) -> None:
    with odoo_server(**how) as server:
        account = server.add("maya", "maya@example.com", provider="104729" if "oauth" in how else "")
        connector = server.connector()
        (found,) = await connector.find("maya")
        assert found.sso_only
        (refused,) = await connector.apply(plan(account.id, "maya"))
        assert (refused.status, refused.code) == ("refused", "synced_elsewhere")
        assert {f.code for f in await connector.diagnose("maya")} == {"sso_only"}
        if "ldap" in how:
            assert "auth_ldap" in "".join(line.text for line in await connector.check())
        assert account.changes == 0
        await connector.close()


async def test_people_beside_the_provider_have_passwords() -> None:
    with odoo_server(oauth=True, ldap=True) as server:
        account = server.add("maya", "maya@example.com")
        connector = server.connector(ldap_users="none")
        assert by_step(await connector.apply(plan(account.id, "maya")))[Step.CONFIRM].status == "done"
        await connector.close()


async def test_a_recovery_leaves_no_session_and_ends_the_others(server: Server, connector: OdooConnector) -> None:
    account = server.add("maya", "maya@example.com")
    server.fake.open_session(account)
    assert await connector.verify("maya", Secret(OLD)) is True
    assert len(account.sessions) == 1
    done = by_step(await connector.apply(plan(account.id, "maya")))
    assert (done[Step.REVOKE].status, account.sessions) == ("done", [])


async def test_a_right_password_before_a_second_factor_is_right(server: Server, connector: OdooConnector) -> None:
    account = server.add("maya", "maya@example.com", factors=[Factor("1", "totp")])
    assert by_step(await connector.apply(plan(account.id, "maya")))[Step.CONFIRM].status == "done"
    assert await connector.verify("maya", Secret(OLD)) is False
    assert account.sessions == []


async def test_turned_away_for_a_minute_is_not_wrong(server: Server, connector: OdooConnector) -> None:
    account = server.add("maya", "maya@example.com")
    await connector.find("maya")
    for _ in range(5):
        assert await connector.verify("maya", Secret(NEW)) is False
    assert await connector.verify("maya", Secret(OLD)) is None
    done = by_step(await connector.apply(plan(account.id, "maya")))
    assert (done[Step.SET].status, done[Step.CONFIRM].code) == ("done", "locked")
    assert done[Step.CONFIRM].retry_after_ms == 60_000


async def test_an_empty_password_never_goes_out(server: Server, connector: OdooConnector) -> None:
    account = server.add("maya", "maya@example.com")
    last = (await connector.apply(plan(account.id, "maya", "")))[-1]
    assert (last.status, last.code, account.changes) == ("refused", "policy_rejected", 0)


async def test_the_rules_are_read_where_odoo_has_some(server: Server, connector: OdooConnector) -> None:
    rules = await connector.password_rules()
    assert rules
    assert (rules.min_length, rules.known) == (8, "read")
    server.fake.min_length = None
    assert await connector.password_rules() is None


async def test_a_renamed_user_is_confirmed_by_the_name_of_today(server: Server, connector: OdooConnector) -> None:
    account = server.add("maya", "maya@example.com")
    account.username = "maya.okafor"
    assert by_step(await connector.apply(plan(account.id, "maya")))[Step.CONFIRM].status == "done"


async def test_sign_ins_are_shown(server: Server, connector: OdooConnector) -> None:
    account = server.add("maya", "maya@example.com")
    server.fake.sign_in("maya", OLD)
    activity = await connector.activity(account.id)
    assert activity
    assert [s.ok for s in activity.sign_ins] == [True]


async def test_a_wrong_key_is_named_and_not_tried_on(server: Server) -> None:
    account = server.add("maya", "maya@example.com")
    wrong = server.connector(secret="0" * 40)
    for _ in range(10):
        (outcome,) = await wrong.apply(plan(account.id, "maya"))
        assert (outcome.status, outcome.code) == ("refused", "auth_expired")
    await wrong.close()
    right = server.connector()
    assert await right.verify("maya", Secret(OLD)) is True, "this address was turned away because of us"
    await right.close()


async def test_missing_rights_are_named(server: Server) -> None:
    account = server.add("maya", "maya@example.com")
    powerless = server.add("powerless")
    connector = server.connector(login="powerless", secret=server.fake.new_key(powerless))
    (outcome,) = await connector.apply(plan(account.id, "maya"))
    assert (outcome.status, outcome.code) == ("refused", "not_permitted")
    assert [line.status for line in await connector.check()] == ["bad"]
    await connector.close()


async def test_another_database_is_unavailable(server: Server) -> None:
    connector = server.connector(database="other")
    with pytest.raises(Unavailable) as raised:
        await connector.find("maya")
    assert raised.value.code == "unavailable"
    await connector.close()


@pytest.mark.parametrize("version, path", [(18, "/jsonrpc"), (19, "/json/2/"), (22, "/json/2/")])
async def test_each_version_is_spoken_to_in_its_own_way(version: int, path: str) -> None:
    with odoo_server(version=version) as server:
        server.add("maya", "maya@example.com")
        connector = server.connector()
        assert await connector.find("maya")
        assert all(c.path.startswith(path) for c in server.fake.calls[1:])
        await connector.close()


@pytest.mark.parametrize("kind", ["html", "truncated", "unavailable", "throttle"])
async def test_a_server_that_breaks_at_first_is_not_taken_for_an_old_one(kind: Any) -> None:
    with odoo_server() as server:
        server.add("maya", "maya@example.com")
        connector = server.connector()
        server.fake.faults.add(kind, "/json/2", times=2)
        with pytest.raises(Unavailable):
            await connector.find("maya")
        server.fake.faults.clear()
        assert await connector.find("maya")
        assert not [c for c in server.fake.calls if c.path == "/jsonrpc"]
        await connector.close()


@pytest.mark.parametrize(
    "more, words",
    [
        ({"database": "../x"}, "database"),
        ({"login": ""}, "login"),
        ({"protocol": "xmlrpc"}, "protocol"),
        ({"secret": None}, "secret_file"),
        ({"url": "http://odoo.example.com"}, "https://"),
    ],
)
async def test_bad_settings_say_which_key_is_wrong(more: dict[str, Any], words: str) -> None:
    keys = {"url": "https://odoo.example.com", "database": "crm", "login": "keyback", "secret": "x"}
    with pytest.raises(ValueError, match=words):
        OdooConnector.from_options("odoo", "Odoo", {**keys, **more})


def test_people_sign_in_on_a_page(server: Server) -> None:
    server.add("maya", "maya@example.com")
    browser = TestClient(server.fake)
    assert browser.get("/mark.svg").status_code == browser.get("/scene.svg").status_code == 200
    here = {"Origin": "http://testserver"}
    wrong = browser.post("/web/login", data={"username": "maya", "password": NEW}, headers=here)
    assert "Wrong login/password" in wrong.text
    right = browser.post("/web/login", data={"username": "maya", "password": OLD}, headers=here)
    assert "maya" in right.text


@pytest.mark.parametrize(
    ("version", "hr", "numbers"),
    [(18, False, ("+8613800138000",)), (18, True, ("+12025550100",)), (19, True, ("+12025550100",)), (19, False, None)],
)
async def test_a_list_tells_mobile_numbers_of_employees_or_contacts(
    version: int, hr: bool, numbers: tuple[str, ...] | None
) -> None:
    """Odoo 19 has one number of a contact, which may be on a desk."""
    with odoo_server(version=version, hr=hr) as server:
        server.add("maya", "maya@example.com", mobile="+8613800138000", extra={"work_mobile": "+12025550100"})
        server.add("omar", "omar@example.com")
        connector = server.connector()
        listed = {a.username: a.phones async for page in connector.list_accounts() for a in page}
        await connector.close()
    assert (listed["maya"], listed["omar"]) == (numbers, None if numbers is None else ())


@pytest.mark.parametrize(("hr", "maya", "omar"), [(True, ("Sales",), ()), (False, None, None)])
async def test_a_list_tells_departments_of_employees(hr: bool, maya: Any, omar: Any) -> None:
    with odoo_server(version=18, hr=hr) as server:
        server.add("maya", "maya@example.com", extra={"department": "Sales"})
        server.add("omar", "omar@example.com")
        connector = server.connector()
        listed = {a.username: a.groups async for page in connector.list_accounts() for a in page}
        await connector.close()
    assert (listed["maya"], listed["omar"]) == (maya, omar)
