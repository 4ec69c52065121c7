"""The LDAP connector on a real OpenLDAP: the contract suite, TLS, its own states, and names that are no names."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import ldap3
import pytest

from keyback.application.ports.connectors import Step, Unavailable
from keyback.connectors.directory.ldap import LdapConnector
from keyback.connectors.directory.port import Entry, escaped
from keyback.domain.secret import Secret
from keyback.testing.connectors import NEW, OLD, ConnectorContract, FaultyProxy, OverProxy, Traits, by_step, plan
from keyback.testing.slapd_server import (
    ADMIN,
    ADMIN_PASSWORD,
    ADMINS,
    SERVICE,
    SERVICE_PASSWORD,
    SUFFIX,
    SlapdFault,
    SlapdServer,
    start_slapd,
)
from tests.support.certificates import Certificate, certificate

PASSWORD_MODIFY = b"1.3.6.1.4.1.4203.1.11.1"
POLICY = f"cn=default,ou=policies,{SUFFIX}"


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def slapd(tmp_path_factory: pytest.TempPathFactory, tls: Certificate) -> Iterator[SlapdServer]:
    try:
        server = start_slapd(tmp_path_factory.mktemp("slapd"), tls.certificate, tls.key)
    except SlapdFault as e:
        pytest.skip(str(e))
    yield server
    server.stop()


def section(port: int, **more: Any) -> dict[str, Any]:
    return {
        "url": f"ldap://127.0.0.1:{port}",
        "bind_dn": SERVICE,
        "secret": SERVICE_PASSWORD,
        "base": SUFFIX,
        "privileged_groups": [ADMINS],
        "policy_dn": POLICY,
        **more,
    }


@dataclass
class LdapHarness(OverProxy):
    slapd: SlapdServer
    proxy: FaultyProxy
    port: int
    connector: LdapConnector
    traits = Traits()

    async def add_user(self, username: str, mail: str, *, privileged: bool = False, disabled: bool = False) -> str:
        add = self.slapd.add_user
        return await asyncio.to_thread(add, username, mail, OLD, privileged=privileged, disabled=disabled)

    async def open_session(self, username: str, password: str) -> Callable[[], Awaitable[bool]] | None:
        async def alive() -> bool:
            return True

        return alive if await asyncio.to_thread(self.slapd.signs_in, username, password) else None

    async def lock(self, external_id: str) -> None:
        entry = await self.connector._by_id(external_id)
        assert entry is not None
        for _ in range(4):
            await asyncio.to_thread(self.slapd.signs_in, entry.text("uid") or "", "wrong")

    async def must_change(self, username: str, password: str) -> bool:
        bound = await self.connector._directory.bind(self.slapd.dn(username), Secret(password))
        return (bound.ok, bound.why) == (True, "must_change")

    async def changes(self, external_id: str) -> int:
        return self.proxy.marked

    async def renew(self, **more: Any) -> None:
        await self.connector.close()
        self.connector = LdapConnector.from_options("ldap", "Directory", section(self.port, **more))


@pytest.fixture
async def harness(slapd: SlapdServer) -> AsyncIterator[LdapHarness]:
    proxy = FaultyProxy(("127.0.0.1", slapd.port), PASSWORD_MODIFY, http=False)
    async with proxy.running() as url:
        port = int(url.rpartition(":")[2])
        made = LdapHarness(slapd, proxy, port, LdapConnector.from_options("ldap", "Directory", section(port)))
        yield made
        await made.connector.close()


class TestLdap(ConnectorContract):
    async def test_old_password_stops_and_the_lock_ends_with_the_set(self, harness: LdapHarness) -> None:
        key = await harness.add_user("stuck", "stuck@example.com")
        await harness.lock(key)
        done = by_step(await harness.connector.apply(plan(key, "stuck")))
        assert [o.status for o in done.values()] == ["done"] * 4
        assert await harness.open_session("stuck", NEW)
        assert not await harness.open_session("stuck", OLD)

    async def test_unlocking_alone_leaves_the_password(self, harness: LdapHarness) -> None:
        key = await harness.add_user("opened", "opened@example.com")
        await harness.lock(key)
        (found,) = await harness.connector.find("opened")
        assert found.state == "locked"
        from dataclasses import replace

        done = await harness.connector.apply(replace(plan(key, "opened"), new_password=None))
        assert [(o.step, o.status) for o in done] == [(Step.GUARD, "done"), (Step.UNLOCK, "done")]
        assert await harness.open_session("opened", OLD)

    async def test_who_was_locked_by_hand_stays_so(self, harness: LdapHarness) -> None:
        key = await harness.add_user("expelled", "expelled@example.com", disabled=True)
        assert [o.code for o in await harness.connector.apply(plan(key, "expelled"))] == ["not_permitted"]
        (found,) = await harness.connector.find("expelled")
        assert found.state == "disabled"

    async def test_weak_and_used_passwords_are_refused_in_the_servers_words(self, harness: LdapHarness) -> None:
        key = await harness.add_user("repeater", "repeater@example.com")
        weak = by_step(await harness.connector.apply(plan(key, "repeater", "kurz")))[Step.SET]
        assert weak.vendor_text == "Password fails quality checking policy"
        assert by_step(await harness.connector.apply(plan(key, "repeater", job_id="1")))[Step.SET].status == "done"
        again = by_step(await harness.connector.apply(plan(key, "repeater", job_id="2")))[Step.SET]
        assert (again.code, again.vendor_text) == (
            "policy_rejected",
            "Password is not being changed from existing value",
        )

    async def test_rules_state_and_history_are_read(self, harness: LdapHarness) -> None:
        key = await harness.add_user("reader", "reader@example.com")
        rules = await harness.connector.password_rules(key)
        assert rules is not None
        assert (rules.min_length, rules.history, rules.max_age_ms, rules.known) == (10, 3, 7_776_000_000, "read")
        now = time.time() * 1000
        assert await harness.open_session("reader", OLD)
        assert not await harness.open_session("reader", "wrong")
        activity = await harness.connector.activity(key)
        assert activity is not None
        assert [s.ok for s in activity.sign_ins] in ([False, True], [True, False])
        assert all(abs(s.at - now) < 600_000 for s in activity.sign_ins)
        (found,) = await harness.connector.find("reader")
        assert found.password_changed_at is not None
        assert found.last_sign_in_at is not None

    async def test_diagnosis_knows_who_has_to_choose_anew(self, harness: LdapHarness) -> None:
        key = await harness.add_user("renewer", "renewer@example.com")
        await harness.connector.apply(plan(key, "renewer", must_change=True))
        assert [f.code for f in await harness.connector.diagnose("renewer", key)] == ["must_change"]
        await harness.connector.apply(plan(key, "renewer", "Etwas-ganz-anderes-1", job_id="2"))
        assert [f.code for f in await harness.connector.diagnose("renewer", key)] == []

    async def test_a_second_mail_address_finds_too(self, harness: LdapHarness) -> None:
        import ldap3

        key = await harness.add_user("twomails", "twomails@example.com")
        with harness.slapd.admin() as c:
            c.modify(harness.slapd.dn("twomails"), {"mail": [(ldap3.MODIFY_ADD, ["t.mails@example.com"])]})
        assert [a.external_id for a in await harness.connector.find("T.Mails@example.com")] == [key]

    @pytest.mark.covers("N9")
    async def test_keyback_never_recovers_its_own_account(self, harness: LdapHarness) -> None:
        await harness.connector.close()
        o = section(harness.port, user_filter="(objectClass=*)", username_attribute="cn")
        harness.connector = LdapConnector.from_options("ldap", "Directory", o)
        (found,) = await harness.connector.find("recovery")
        assert found.privileged
        outcomes = await harness.connector.apply(plan(found.external_id, "recovery"))
        assert [o.code for o in outcomes] == ["privileged_target"]

    @pytest.mark.covers("N2", "A-1.2.6", "R-8")
    @pytest.mark.covers("N9")
    async def test_a_list_knows_who_is_privileged_as_a_look_up_does(self, harness: LdapHarness) -> None:
        for name in ("plain", "insider", "nested", "renamed, spaced"):
            await harness.add_user(name, f"{name.split(',')[0]}@example.com", privileged=name == "nested")
        with harness.slapd.admin() as c:
            c.modify(ADMINS, {"member": [(ldap3.MODIFY_ADD, [f"UID=insider, ou=People,{SUFFIX}"])]})
            # A group in itself ends, too.
            c.modify(f"cn=crm-owners,ou=groups,{SUFFIX}", {"member": [(ldap3.MODIFY_ADD, [ADMINS])]})
        listed = {a.username: a async for page in harness.connector.list_accounts() for a in page}
        for name in ("plain", "insider", "nested"):
            (found,) = await harness.connector.find(name)
            assert (listed[name], found.privileged) == (
                replace(found, manager="", phones=(), groups=()),
                name != "plain",
            )
        filters = {"privileged_filter": "(uid=plain)", "disabled_filter": "(uid=nested)"}
        other = LdapConnector.from_options("ldap", "L", section(harness.port, privileged_groups=[], **filters))
        listed = {a.username: a async for page in other.list_accounts() for a in page}
        await other.close()
        assert [n for n, a in listed.items() if a.privileged] == ["plain"]
        assert [listed[n].state for n in ("plain", "nested")] == ["active", "disabled"]

    async def test_a_list_names_managers(self, harness: LdapHarness) -> None:
        boss, team = (
            await harness.add_user("lead", "lead@example.com"),
            await harness.add_user("crew", "crew@example.com"),
        )
        with harness.slapd.admin() as c:
            c.modify(harness.slapd.dn("crew"), {"manager": [(ldap3.MODIFY_ADD, [f"uid=Lead, ou=people,{SUFFIX}"])]})
            c.modify(harness.slapd.dn("lead"), {"manager": [(ldap3.MODIFY_ADD, [harness.slapd.dn("nobody")])]})
        listed = {a.external_id: a.manager async for page in harness.connector.list_accounts() for a in page}
        assert (listed[team], listed[boss]) == (boss, "")
        # The manager is read where only the other one changed.
        where = "(&(objectClass=inetOrgPerson)(uid=crew))"
        pages = [page async for page in harness.connector._listed(where, whole=False)]
        assert [[a.manager for a in page] for page in pages] == [[boss]]

    async def test_a_list_tells_mobile_numbers(self, harness: LdapHarness) -> None:
        key, none = await harness.add_user("dialed", "d@example.com"), await harness.add_user("none", "n@example.com")
        with harness.slapd.admin() as c:
            numbers = ["+86 138 0013 8000", "+1 202 555 0100"]
            c.modify(harness.slapd.dn("dialed"), {"mobile": [(ldap3.MODIFY_ADD, numbers)]})
            c.modify(harness.slapd.dn("none"), {"telephoneNumber": [(ldap3.MODIFY_ADD, ["+1 202 555 0101"])]})
        listed = {a.external_id: a.phones async for page in harness.connector.list_accounts() for a in page}
        assert (listed[key], listed[none]) == (tuple(numbers), ())
        other = LdapConnector.from_options("ldap", "L", section(harness.port, mobile_attribute="telephoneNumber"))
        listed = {a.external_id: a.phones async for page in other.list_accounts() for a in page}
        await other.close()
        assert (listed[key], listed[none]) == ((), ("+1 202 555 0101",))

    async def test_a_list_tells_groups_and_departments(self, harness: LdapHarness) -> None:
        key, none = await harness.add_user("grouped", "g@example.com"), await harness.add_user("alone", "a@example.com")
        with harness.slapd.admin() as c:
            said = {"departmentNumber": ["Sales"], "ou": [r"East"], "title": [r"CN=Crews\2C Night \+ Day,OU=x,DC=y"]}
            c.modify(harness.slapd.dn("grouped"), {n: [(ldap3.MODIFY_ADD, v)] for n, v in said.items()})
        listed = {a.external_id: a.groups async for page in harness.connector.list_accounts() for a in page}
        assert (listed[key], listed[none]) == (("Sales",), ())
        named = section(harness.port, group_attributes=["departmentNumber", "ou", "title"])
        other = LdapConnector.from_options("ldap", "L", named)
        listed = {a.external_id: a.groups async for page in other.list_accounts() for a in page}
        await other.close()
        assert (listed[key], listed[none]) == (("Sales", "East", "Crews, Night + Day"), ())

    async def test_names_that_are_filters_find_nobody(self, harness: LdapHarness) -> None:
        await harness.add_user("victim", "victim@example.com")
        for name in (
            "*)(uid=*",
            "victim)(objectClass=*",
            "*",
            "vic*",
            "victim\x00",
            "\\2a",
            "(uid=victim)",
            " victim  x",
        ):
            assert list(await harness.connector.find(name)) == []
            assert not await harness.connector.verify(name, Secret(OLD))

    @pytest.mark.covers("R-7")
    async def test_an_empty_password_signs_nobody_in(self, harness: LdapHarness) -> None:
        await harness.add_user("empty", "empty@example.com")
        assert await harness.connector.verify("empty", Secret("")) is False

    async def test_verify_does_not_know_while_locked(self, harness: LdapHarness) -> None:
        key = await harness.add_user("unsure", "unsure@example.com")
        await harness.lock(key)
        assert await harness.connector.verify("unsure", Secret(OLD)) is None

    async def test_a_wrong_service_password_is_named(self, harness: LdapHarness) -> None:
        c = LdapConnector.from_options("ldap", "Directory", section(harness.port, secret="another"))
        with pytest.raises(Unavailable) as raised:
            await c.find("alice")
        assert raised.value.code == "auth_expired"
        (line,) = await c.check()
        assert (line.what, line.status) == ("sign_in", "bad")
        await c.close()

    async def test_garbage_in_place_of_an_answer_is_unavailable(self) -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1000)
            writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 20)
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        c = LdapConnector.from_options("ldap", "D", section(server.sockets[0].getsockname()[1], timeout_s=20))
        async with server:
            with pytest.raises(Unavailable) as raised:
                await c.find("alice")
            assert raised.value.code == "unavailable"
            assert [o.status for o in await c.apply(plan("9f6c0e1e-0000-1000-8000-000000000000", "alice"))] == ["retry"]
        await c.close()


@pytest.mark.anyio
async def test_tls_in_both_ways_and_never_without(slapd: SlapdServer, tls: Certificate, tmp_path: Path) -> None:
    key = await asyncio.to_thread(slapd.add_user, "secure", "secure@example.com", OLD)
    ways = {
        "tls": section(slapd.tls_port, url=f"ldaps://127.0.0.1:{slapd.tls_port}", ca_file=tls.ca),
        "starttls": section(slapd.port, ca_file=tls.ca),
    }
    for n, (way, options) in enumerate(ways.items()):
        c = LdapConnector.from_options("ldap", "Directory", options)
        assert c._directory._at.security == way
        done = await c.apply(plan(key, "secure", f"Neues-Passwort-{n}", job_id=str(n)))
        assert {o.status for o in done} == {"done"}
        await c.close()
        for wrong in ({"ca_file": None, "tls_name": "localhost"}, {"tls_name": "directory.example.com"}):
            o = {**options, **wrong}
            if way == "starttls" and not o["ca_file"]:
                continue  # without an authority of its own, this machine is spoken to in plain
            c = LdapConnector.from_options("ldap", "Directory", o)
            with pytest.raises(Unavailable, match="certificate"):
                await c.find("secure")
            await c.close()


def test_settings_of_a_directory() -> None:
    good = section(389)
    far = {**good, "url": "ldap://directory.example.com"}
    assert LdapConnector.from_options("d", "D", far)._directory._at.security == "starttls"
    assert LdapConnector.from_options("d", "D", {**far, "allow_plain": True})._directory._at.security == "plain"
    at = LdapConnector.from_options("d", "D", {**good, "url": "ldaps://directory.example.com"})._directory._at
    assert (at.port, at.security) == (636, "tls")
    for wrong in (
        {"url": "http://directory.example.com"},
        {"url": "ldap://"},
        {"url": "ldap://directory.example.com/dc=example"},
        {"url": "ldap://directory.example.com:x"},
        {"secret": None},
        {"secret": ""},
        {"bind_dn": ""},
        {"base": ""},
        {"user_filter": "objectClass=person"},
        {"user_filter": "(objectClass=person"},
        {"privileged_filter": "((("},
        {"username_attribute": "uid)(cn"},
        {"timeout_s": 0},
        {"pasword": NEW},
        {"ca_file": "/nowhere/ca.pem"},
    ):
        with pytest.raises((ValueError, OSError)) as raised:
            LdapConnector.from_options("d", "D", {**good, **wrong})
        assert NEW not in str(raised.value)
        assert SERVICE_PASSWORD not in str(raised.value)


def test_filters_hold_every_value() -> None:
    assert escaped("a*)(\\\x00é") == r"a\2a\29\28\5c\00\c3\a9"
    assert Entry("x", {"n": (b"12",), "t": (b"\xff",)}).number("N") == 12


@pytest.mark.slow
@pytest.mark.anyio
async def test_many_people_cost_few_searches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a directory that gives an account only some of its entries is told from one that has no more."""
    people = 3000
    server = start_slapd(tmp_path)
    limited = LdapConnector.from_options("ldap", "LDAP", section(server.port))
    admin = {"bind_dn": ADMIN, "secret": ADMIN_PASSWORD}
    connector = LdapConnector.from_options("ldap", "LDAP", section(server.port, **admin))
    calls = 0
    real = connector._directory._call

    async def counted(*args: Any, **over: Any) -> Any:
        nonlocal calls
        calls += 1
        return await real(*args, **over)

    monkeypatch.setattr(connector._directory, "_call", counted)
    try:
        with server.admin() as c:
            for n in range(people):
                person = {"cn": f"P {n}", "sn": "P", "uid": f"p{n}", "mail": f"p{n}@example.com"}
                c.add(server.dn(f"p{n}"), "inetOrgPerson", person | {"manager": server.dn(f"p{n // 10}")})
            c.modify(f"cn=crm-owners,ou=groups,{SUFFIX}", {"member": [(ldap3.MODIFY_ADD, [server.dn("p7")])]})
        listed = {a.username: a async for page in connector.list_accounts() for a in page}
        assert len(listed) == people
        assert [n for n, a in listed.items() if a.privileged] == ["p7"]
        assert listed["p2999"].manager == listed["p299"].external_id
        assert calls < people / 20
        with pytest.raises(Unavailable, match="only some of its entries"):
            [page async for page in limited.list_accounts()]
    finally:
        await limited.close()
        await connector.close()
        server.stop()


@pytest.mark.slow
@pytest.mark.anyio
async def test_what_a_key_names_and_is_not_there_is_told_by_that_key(slapd: SlapdServer) -> None:
    none = f"cn=none,{SUFFIX}"
    for key, value, what in (
        ("policy_dn", none, "rules"),
        ("privileged_groups", [none], "read"),
        ("base", "dc=no", "read"),
    ):
        c = LdapConnector.from_options("ldap", "LDAP", section(slapd.port, **{key: value}))
        advice = [line.advice for line in await c.check() if line.what == what and line.status != "ok"]
        assert len(advice) == 1
        assert key in advice[0] or none in advice[0]
        assert advice[0].startswith("Correct ")
        await c.close()
