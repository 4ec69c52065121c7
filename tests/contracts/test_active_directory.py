"""The connector for Active Directory on a real Samba: the contract suite, the hour of NTLM, TLS, the privileged."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import ldap3
import pytest

from keyback.application.ports.connectors import Step, Unavailable
from keyback.connectors.directory.active_directory import ActiveDirectoryConnector, filetime
from keyback.domain.secret import Secret
from keyback.testing.connectors import NEW, OLD, ConnectorContract, FaultyProxy, OverProxy, Traits, by_step, plan
from keyback.testing.samba_server import (
    BASE,
    SERVER_NAME,
    SERVICE,
    SERVICE_PASSWORD,
    SambaFault,
    SambaServer,
    start_samba,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def samba(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SambaServer]:
    try:
        server = start_samba(tmp_path_factory.mktemp("samba"))
    except SambaFault as e:
        pytest.skip(str(e))
    yield server
    server.stop()


def section(port: int, **more: Any) -> dict[str, Any]:
    return {
        "url": f"ldap://127.0.0.1:{port}",
        "bind_dn": SERVICE,
        "secret": SERVICE_PASSWORD,
        "base": BASE,
        **more,
    }


@dataclass
class SambaHarness(OverProxy):
    samba: SambaServer
    proxy: FaultyProxy
    port: int
    connector: ActiveDirectoryConnector
    traits = Traits(counts=False)  # it sets twice on purpose

    async def add_user(self, username: str, mail: str, *, privileged: bool = False, disabled: bool = False) -> str:
        add = self.samba.add_user
        return await asyncio.to_thread(add, username, mail, OLD, privileged=privileged, disabled=disabled)

    async def open_session(self, username: str, password: str) -> Callable[[], Awaitable[bool]] | None:
        async def alive() -> bool:
            return True

        return alive if await asyncio.to_thread(self.samba.signs_in, username, password) else None

    async def lock(self, external_id: str) -> None:
        entry = await self.connector._by_id(external_id)
        assert entry is not None
        for _ in range(4):
            await asyncio.to_thread(self.samba.signs_in, entry.text("sAMAccountName") or "", "wrong")

    async def must_change(self, username: str, password: str) -> bool:
        (found,) = await self.connector.find(username)
        entry = await self.connector._by_id(found.external_id)
        assert entry is not None
        return (await self.connector._bind(entry, Secret(password))).why == "must_change"

    async def changes(self, external_id: str) -> int:
        raise AssertionError("not counted")

    async def renew(self, **more: Any) -> None:
        await self.connector.close()
        self.connector = ActiveDirectoryConnector.from_options("ad", "Domain", section(self.port, **more))


@pytest.fixture
async def harness(samba: SambaServer) -> AsyncIterator[SambaHarness]:
    proxy = FaultyProxy(("127.0.0.1", 389), b"unicodePwd", http=False)
    async with proxy.running() as url:
        port = int(url.rpartition(":")[2])
        connector = ActiveDirectoryConnector.from_options("ad", "Domain", section(port))
        made = SambaHarness(samba, proxy, port, connector)
        yield made
        await made.connector.close()


class TestActiveDirectory(ConnectorContract):
    async def test_the_old_password_does_not_sign_in_for_another_hour(self, harness: SambaHarness) -> None:
        key = await harness.add_user("hourly", "hourly@example.com")
        assert await harness.open_session("hourly", OLD)
        assert by_step(await harness.connector.apply(plan(key, "hourly")))[Step.SET].status == "done"
        assert await harness.open_session("hourly", NEW)
        assert await harness.open_session("hourly", OLD) is None

    async def test_a_lost_end_is_done_again_in_full(self, harness: SambaHarness) -> None:
        key = await harness.add_user("halfway", "halfway@example.com")
        await harness.fault("drop_reply")
        first = by_step(await harness.connector.apply(plan(key, "halfway")))[Step.SET]
        assert first.status == "uncertain", "that it signs in does not show that no older one does"
        await harness.fault("")
        done = by_step(await harness.connector.apply(plan(key, "halfway", attempt=2)))
        assert done[Step.CONFIRM].status == "done"
        assert await harness.open_session("halfway", OLD) is None

    async def test_one_act_unlocks_and_asks_for_another_password(self, harness: SambaHarness) -> None:
        key = await harness.add_user("allinone", "allinone@example.com")
        await harness.lock(key)
        (found,) = await harness.connector.find("allinone@corp.example.com")
        assert found.state == "locked"
        done = by_step(await harness.connector.apply(plan(key, "allinone", must_change=True)))
        assert done[Step.CONFIRM].status == "done"
        assert [f.code for f in await harness.connector.diagnose("allinone", key)] == ["must_change"]
        (found,) = await harness.connector.find("allinone")
        assert found.state == "active"

    async def test_unlocking_alone_leaves_the_password(self, harness: SambaHarness) -> None:
        key = await harness.add_user("reopened", "reopened@example.com")
        await harness.lock(key)
        assert not await harness.open_session("reopened", OLD)
        done = await harness.connector.apply(replace(plan(key, "reopened"), new_password=None))
        assert done[-1].status == "done"
        assert await harness.open_session("reopened", OLD)

    @pytest.mark.covers("N9")
    async def test_well_known_accounts_are_left_alone(self, harness: SambaHarness) -> None:
        for name in ("Administrator", "svc-recovery", "krbtgt"):
            for found in await harness.connector.find(name):
                assert found.privileged, name
                outcomes = await harness.connector.apply(plan(found.external_id, name))
                assert [o.code for o in outcomes] in (["privileged_target"], ["not_permitted"])

    @pytest.mark.covers("N9")
    async def test_a_list_knows_who_is_privileged_as_a_look_up_does(self, harness: SambaHarness) -> None:
        key = await harness.add_user("insider", "insider@example.com", privileged=True)
        lead, crew = await harness.add_user("lead", "lead@example.com"), await harness.add_user("crew", "c@example.com")
        with harness.samba.admin() as c:
            c.modify(harness.samba.dn("crew"), {"manager": [(ldap3.MODIFY_REPLACE, [harness.samba.dn("lead")])]})
            c.modify(harness.samba.dn("lead"), {"mobile": [(ldap3.MODIFY_REPLACE, ["+86 138 0013 8000"])]})
            c.modify(harness.samba.dn("crew"), {"department": [(ldap3.MODIFY_REPLACE, ["Sales"])]})
        listed = {a.external_id: a async for page in harness.connector.list_accounts() for a in page}
        assert [listed[k].privileged for k in (key, lead, crew)] == [True, False, False]
        assert [listed[k].manager for k in (key, lead, crew)] == ["", "", lead]
        assert [listed[k].phones for k in (lead, crew)] == [("+86 138 0013 8000",), ()]
        assert (listed[crew].groups, listed[lead].groups) == (("Sales",), ())
        assert len(listed[key].groups or ()) == 1, "the group that makes them privileged, by its own name"
        for a in listed.values():
            found = await harness.connector.find(a.username)
            assert [x.privileged for x in found if x.external_id == a.external_id] == [a.privileged], a.username

    async def test_rules_of_the_domain_are_read(self, harness: SambaHarness) -> None:
        rules = await harness.connector.password_rules()
        assert rules is not None
        assert (rules.min_length, rules.classes_of_four, rules.history, rules.known) == (10, 3, 5, "read")
        assert {v.code for v in rules.violations("abc", "alice")} == {"too_short", "few_classes"}

    async def test_an_account_that_ran_out_is_disabled(self, harness: SambaHarness) -> None:
        key = await harness.add_user("leftlong", "leftlong@example.com")
        yesterday = int((time.time() - 86_400 + 11_644_473_600) * 10_000_000)
        with harness.samba.admin() as c:
            c.modify(harness.samba.dn("leftlong"), {"accountExpires": [(ldap3.MODIFY_REPLACE, [str(yesterday)])]})
        assert [f.code for f in await harness.connector.diagnose("leftlong", key)] == ["inactive"]

    async def test_check_compares_the_clocks(self, harness: SambaHarness) -> None:
        lines = {line.what: line.status for line in await harness.connector.check()}
        assert lines["clock"] == "ok"


@pytest.mark.anyio
async def test_tls_names_the_server_and_its_authority(samba: SambaServer) -> None:
    key = await asyncio.to_thread(samba.add_user, "secure", "secure@example.com", OLD)
    good = section(636, url="ldaps://127.0.0.1", ca_file=samba.ca_file, tls_name=SERVER_NAME)
    c = ActiveDirectoryConnector.from_options("ad", "Domain", good)
    assert {o.status for o in await c.apply(plan(key, "secure"))} == {"done"}
    await c.close()
    for wrong in ({"tls_name": ""}, {"ca_file": None}):
        c = ActiveDirectoryConnector.from_options("ad", "Domain", {**good, **wrong})
        with pytest.raises(Unavailable, match="certificate"):
            await c.find("secure")
        await c.close()


def test_instants_of_windows() -> None:
    assert filetime(133_000_000_000_000_000) == 1_655_526_400_000
    assert [filetime(v) for v in (None, 0, -1, 0x7FFFFFFFFFFFFFFF)] == [None] * 4
