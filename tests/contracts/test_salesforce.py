"""The contract suite on the Salesforce connector, against the stand-in, and what is particular to Salesforce."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pyotp
import pytest

from keyback.application.ports.connectors import Step, Unavailable
from keyback.connectors.salesforce import SalesforceConnector, SalesforceOptions
from keyback.demo.vendors import Salesforce, serve
from keyback.demo.vendors.accounts import Account, Factor, Grant, hashed
from keyback.demo.vendors.salesforce.objects import record_id
from keyback.demo.vendors.salesforce.seed import INTEGRATION, Credentials, register
from keyback.domain.secret import Secret
from keyback.testing.connectors import NEW, OLD, ConnectorContract, FaultyProxy, OverProxy, Traits, by_step, plan
from tests.support.held import Held


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@dataclass
class Org:
    """A stand-in with one integration user and an app, served and held to the contract."""

    fake: Salesforce
    held: Held
    address: str
    app: Credentials
    key_file: Path
    people: int = 0

    def add(self, username: str, mail: str | None, **more: Any) -> Account:
        self.people += 1
        account = Account(record_id("005", self.people), username, mail, username.title(), hashed(OLD), **more)
        account.changed_at = self.fake.clock() - 86_400_000 * 30
        self.fake.accounts.add([account])
        return account

    def options(self, url: str = "", **more: Any) -> dict[str, Any]:
        jwt = {"username": self.app.username, "private_key_file": str(self.key_file)}
        return {"url": url or self.address, "client_id": self.app.key, **jwt, "timeout_s": 20, **more}

    def connector(self, url: str = "", **more: Any) -> SalesforceConnector:
        options = SalesforceOptions.model_validate(self.options(url, **more))
        return SalesforceConnector("salesforce", "Salesforce", options)


@pytest.fixture
def org(tmp_path: Path) -> Iterator[Org]:
    fake = Salesforce()
    app = register(fake)
    key = tmp_path / "app.key"
    key.write_text(app.private_key)
    me = Account(record_id("005", 900), INTEGRATION, None, "Keyback", hashed("no password of a person"))
    fake.accounts.add([me])
    held = Held(fake, "salesforce.yaml")
    with serve(held) as address:
        yield Org(fake, held, address, app, key)
    assert held.faults == [], "a call or an answer was not as the vendor documents it"


@dataclass
class SalesforceHarness(OverProxy):
    org: Org
    proxy: FaultyProxy
    url: str
    connector: SalesforceConnector
    traits = Traits(tokens=True)

    async def add_user(self, username: str, mail: str, *, privileged: bool = False, disabled: bool = False) -> str:
        return self.org.add(username, mail, privileged=privileged, active=not disabled).id

    async def open_session(self, username: str, password: str) -> Callable[[], Awaitable[bool]] | None:
        account = self.org.fake.accounts.named(username)
        if account is None or self.org.fake.sign_in(username, password) != "ok":
            return None
        mine = {s.id for s in account.sessions}

        async def alive() -> bool:
            return bool({s.id for s in account.sessions} & mine)

        return alive

    async def lock(self, external_id: str) -> None:
        account = self.org.fake.accounts.get(external_id)
        assert account is not None
        for _ in range(self.org.fake.lock_after):
            self.org.fake.sign_in(account.username, "wrong")

    async def must_change(self, username: str, password: str) -> bool:
        raise AssertionError("Salesforce forces no change of a password that was chosen")

    async def grant(self, external_id: str, title: str) -> str:
        account = self.org.fake.accounts.get(external_id)
        assert account is not None
        one = Grant(record_id("0CQ", len(account.grants) + 1), title, self.org.fake.clock(), f"delete-{title}")
        account.grants.append(one)
        return one.id

    async def factor(self, external_id: str) -> str:
        account = self.org.fake.accounts.get(external_id)
        assert account is not None
        one = Factor(
            record_id("0Yp", self.org.people), "totp", self.org.fake.clock(), seed=base64.b32encode(b"k" * 20).decode()
        )
        account.factors.append(one)
        return one.id

    async def changes(self, external_id: str) -> int:
        account = self.org.fake.accounts.get(external_id)
        return account.changes if account else 0

    async def renew(self, **more: Any) -> None:
        await self.connector.close()
        self.connector = self.org.connector(self.url, **more)

    async def expire_tokens(self) -> None:
        self.org.fake.expire_tokens()


@pytest.mark.covers("N1", "N2", "N6")
class TestSalesforce(ConnectorContract):
    @pytest.fixture
    async def harness(self, org: Org) -> AsyncIterator[SalesforceHarness]:
        host, port = org.address.removeprefix("http://").split(":")
        proxy = FaultyProxy((host, int(port)), b"/password HTTP")
        async with proxy.running() as url:
            h = SalesforceHarness(org, proxy, url, org.connector(url))
            yield h
            await proxy.set("")
            await h.connector.close()


@pytest.mark.anyio
async def test_client_credentials_sign_in_too(org: Org) -> None:
    org.add("maya", "maya@example.com")
    options = {"url": org.address, "client_id": org.app.key, "secret": org.app.secret}
    connector = SalesforceConnector.from_options("salesforce", "Salesforce", options)
    assert [a.username for a in await connector.find("maya")] == ["maya"]
    await connector.close()


@pytest.mark.parametrize(
    "more, words",
    [
        ({"username": None}, "both username and private_key_file"),
        ({"username": None, "private_key_file": None}, "or secret_file for client credentials"),
        ({"secret": "x"}, "not both"),
        ({"api_version": "67"}, "v67.0"),
        ({"audience": "http://login.example.com"}, "https://"),
        ({"url": "http://acme.my.salesforce.com"}, "https://"),
        ({"colour": "blue"}, "Extra inputs"),
    ],
)
def test_bad_settings_say_which_key_is_wrong(org: Org, more: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        SalesforceConnector.from_options("salesforce", "Salesforce", org.options(**more))


@pytest.mark.parametrize("text, words", [("", "no private key"), ("-----BEGIN PUBLIC KEY-----", "no private key")])
def test_a_key_file_that_is_none_is_named(org: Org, tmp_path: Path, text: str, words: str) -> None:
    other = tmp_path / "other.key"
    other.write_text(text)
    with pytest.raises(ValueError, match=words) as raised:
        SalesforceConnector.from_options("salesforce", "Salesforce", org.options(private_key_file=str(other)))
    assert str(other) in str(raised.value)


@pytest.mark.anyio
async def test_an_app_that_is_not_known_is_told_in_salesforces_words_and_not_asked_again_at_once(org: Org) -> None:
    connector = org.connector(client_id="3MVG9stranger")
    for _ in range(3):
        with pytest.raises(Unavailable) as raised:
            await connector.find("maya")
        assert raised.value.code == "auth_expired"
        assert "invalid" in str(raised.value)
    assert len([c for c in org.fake.calls if c.path.endswith("/token")]) == 1
    await connector.close()


@pytest.mark.anyio
async def test_frozen_and_single_sign_on_are_left_alone_and_named(org: Org) -> None:
    frozen = org.add("frozen", "frozen@example.com", frozen=True)
    elsewhere = org.add("sso", "sso@example.com", provider="Company sign-in")
    connector = org.connector()
    for account, code in ((frozen, "not_permitted"), (elsewhere, "synced_elsewhere")):
        (only,) = await connector.apply(plan(account.id, account.username))
        assert (only.step, only.status, only.code) == (Step.GUARD, "refused", code)
        assert account.changes == 0
    assert {f.code for f in await connector.diagnose("frozen")} == {"frozen"}
    assert {f.code for f in await connector.diagnose("sso")} == {"sso_only"}
    await connector.close()


@pytest.mark.covers("N18")
@pytest.mark.anyio
async def test_a_sandboxs_username_is_told_from_somebody_who_is_gone(org: Org) -> None:
    org.add("maya@example.com", "maya@example.com")
    connector = org.connector()
    for username, key, code in (
        ("maya@example.com.uat", None, "wrong_host"),
        ("Maya@Example.com.uat", "0055g000000Zz99AAC", "wrong_host"),
        ("omar@example.com.uat", None, "not_found"),
        ("maya@example.net", None, "not_found"),
        ("maya@example", "0055g000000Zz99AAC", "not_found"),
    ):
        assert [f.code for f in await connector.diagnose(username, key)] == [code], username
    await connector.close()


@pytest.mark.covers("N18")
@pytest.mark.anyio
async def test_a_second_step_that_only_fails_is_lost_until_it_works_again(org: Org) -> None:
    maya = org.add("maya", "maya@example.com")
    seed = pyotp.random_base32()
    maya.factors.append(Factor("0Yp000000000001", "totp", 0, "Old phone", seed))
    connector = org.connector()
    for n in range(3):
        assert [f.code for f in await connector.diagnose("maya", maya.id)] == [], n
        assert org.fake.sign_in("maya", OLD, "000000") == "factor"
    (found,) = await connector.diagnose("maya", maya.id)
    assert (found.code, found.detail) == ("factor_lost", "its code failed 3 times")
    org.fake.permissions.discard("ManageUsers")
    assert "factor_lost" not in {f.code for f in await connector.diagnose("maya", maya.id)}, "nobody may know"
    org.fake.permissions.add("ManageUsers")
    assert org.fake.sign_in("maya", OLD, pyotp.TOTP(seed).at(org.fake.clock() // 1000)) == "ok"
    assert await connector.diagnose("maya", maya.id) == ()
    await connector.close()


@pytest.mark.covers("N9")
@pytest.mark.anyio
async def test_the_powers_of_a_permission_set_make_somebody_privileged(org: Org) -> None:
    account = org.add("quiet", "quiet@example.com")
    account.extra["permission_sets"] = ["ManageUsers"]
    connector = org.connector()
    (found,) = await connector.find("quiet")
    assert found.privileged
    (only,) = await connector.apply(plan(account.id, "quiet"))
    assert only.code == "privileged_target"
    await connector.close()


@pytest.mark.anyio
async def test_an_attempt_of_another_process_is_never_repeated_blindly(org: Org) -> None:
    account = org.add("maya", "maya@example.com")
    first, second = org.connector(), org.connector()
    await first.apply(plan(account.id, "maya"))
    done = by_step(await second.apply(plan(account.id, "maya", attempt=2)))
    assert done[Step.SET].status == "uncertain"
    assert account.changes == 1
    for connector in (first, second):
        await connector.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "identifier",
    ["x' OR Username != '", "x\\' OR IsActive = true --", "%", "_", "maya@example.com' LIMIT 1", "\\", "'", "名字'"],
)
@pytest.mark.anyio
async def test_nothing_typed_becomes_a_query(org: Org, identifier: str) -> None:
    org.add("maya", "maya@example.com")
    connector = org.connector()
    assert list(await connector.find(identifier)) == []
    await connector.close()


@pytest.mark.covers("N12")
@pytest.mark.parametrize("kind", [pytest.param("time_out_after", marks=pytest.mark.slow), "cut_after"])
@pytest.mark.anyio
async def test_a_set_whose_answer_is_lost_is_found_by_its_date_and_not_repeated(org: Org, kind: Any) -> None:
    account = org.add("maya", "maya@example.com")
    connector = org.connector(timeout_s=2)
    await connector.find("maya")
    org.fake.faults.add(kind, "/password", "POST")
    done = by_step(await connector.apply(plan(account.id, "maya")))
    assert (done[Step.SET].status, done[Step.CONFIRM].status) == ("done", "done")
    assert account.changes == 1
    assert org.fake.sign_in("maya", NEW) == "ok"
    await connector.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    "missing, cost",
    [
        ("ManageUsers", "unlock"),
        ("MonitorLoginHistory", None),  # Manage Users is enough
        ("ManageMfaInApi", "reset_factor"),
        ("CustomizeApplication", "revoke_grants"),
    ],
)
@pytest.mark.anyio
async def test_check_names_what_a_missing_permission_costs(org: Org, missing: str, cost: str | None) -> None:
    org.add("maya", "maya@example.com")
    org.fake.permissions.discard(missing)
    connector = org.connector()
    lines = await connector.check("maya")
    costs = {c for line in lines if line.status == "warn" for c in line.costs}
    assert (cost in costs) if cost else costs == set()
    assert all(line.advice for line in lines if line.status == "warn")
    await connector.close()


@pytest.mark.anyio
async def test_check_tells_a_retired_version_a_wrong_clock_and_a_day_nearly_used_up(org: Org) -> None:
    org.fake.used = org.fake.daily_limit - 50
    options = SalesforceOptions.model_validate(org.options(api_version="v30.0"))
    for off in (-400_000, 400_000):
        other = SalesforceConnector("s", "S", options, now=lambda off=off: org.fake.clock() + off)  # type: ignore[misc]
        lines = {(line.what, line.status) for line in await other.check()}
        assert {("reach", "bad"), ("clock", "bad"), ("sign_in", "bad")} == lines
        await other.close()
    connector = org.connector()
    assert ("quota", "warn") in {(line.what, line.status) for line in await connector.check()}
    await connector.close()


@pytest.mark.anyio
async def test_activity_shows_sign_ins_and_applications(org: Org) -> None:
    account = org.add("maya", "maya@example.com")
    org.fake.sign_in("maya", "wrong")
    org.fake.sign_in("maya", OLD)
    account.grants.append(Grant(record_id("0CQ", 1), "Data loader", org.fake.clock(), "delete-1"))
    connector = org.connector()
    seen = await connector.activity(account.id)
    assert seen is not None
    assert sorted(s.ok for s in seen.sign_ins) == [False, True]
    assert [g.title for g in seen.grants] == ["Data loader"]
    await connector.close()


@pytest.mark.anyio
async def test_a_second_factor_has_no_name_but_its_owners(org: Org) -> None:
    """What Salesforce doesn't name is named by the page, in its language."""
    account = org.add("maya", "maya@example.com")
    account.factors += [Factor(record_id("0Yp", 1), "totp"), Factor(record_id("0Yp", 2), "passkey")]
    connector = org.connector()
    found = [(f.kind, f.title, f.removable) for f in await connector.factors(account.id)]
    assert found == [("totp", "", True), ("passkey", "", False)]
    await connector.close()


@pytest.mark.anyio
async def test_a_plan_may_end_what_applications_may_do(org: Org) -> None:
    account = org.add("maya", "maya@example.com")
    account.grants.append(Grant(record_id("0CQ", 1), "False loader", org.fake.clock(), "delete-1"))
    connector = org.connector()
    done = by_step(await connector.apply(replace(plan(account.id, "maya"), revoke_grants=True)))
    assert done[Step.GRANTS].status == "done"
    assert account.grants == []
    await connector.close()


@pytest.mark.anyio
async def test_verify_is_not_claimed(org: Org) -> None:
    connector = org.connector()
    assert await connector.verify("maya", Secret(OLD)) is None
    await connector.close()


@pytest.mark.anyio
async def test_a_list_says_whom_people_report_to(org: Org) -> None:
    boss = org.add("boss", "boss@example.com")
    org.add("maya", "maya@example.com", extra={"manager": boss.id})
    connector = org.connector()
    listed = {a.username: a.manager async for page in connector.list_accounts() for a in page}
    await connector.close()
    assert (listed["boss"], listed["maya"]) == ("", boss.id)


@pytest.mark.anyio
async def test_a_list_tells_mobile_numbers(org: Org) -> None:
    org.add("maya", "maya@example.com", mobile="+86 138 0013 8000")
    org.add("omar", "omar@example.com")
    connector = org.connector()
    listed = {a.username: a.phones async for page in connector.list_accounts() for a in page}
    await connector.close()
    assert (listed["maya"], listed["omar"]) == (("+86 138 0013 8000",), ())


@pytest.mark.anyio
async def test_a_list_tells_departments(org: Org) -> None:
    org.add("maya", "maya@example.com", extra={"department": "Sales"})
    org.add("omar", "omar@example.com")
    connector = org.connector()
    listed = {a.username: a.groups async for page in connector.list_accounts() for a in page}
    await connector.close()
    assert (listed["maya"], listed["omar"]) == (("Sales",), ())


@pytest.mark.anyio
async def test_only_who_changed_since_the_mark_is_listed(org: Org) -> None:
    connector = org.connector()
    mark = await connector.mark()
    at = int(datetime.fromisoformat(mark).timestamp() * 1000)
    for n, modified_at in enumerate([0, at - 1000, at, at + 1000]):
        org.add(f"maya{n}", f"maya{n}@example.com", extra={"modified_at": modified_at})
    listed = [a.username async for page in connector.list_changed(mark) for a in page]
    await connector.close()
    assert {name for name in listed if name.startswith("maya")} == {"maya2", "maya3"}
