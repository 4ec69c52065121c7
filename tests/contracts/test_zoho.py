"""The contract suite on the Zoho connector, against the stand-in, and what is particular to Zoho."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from keyback.application.ports.connectors import Means, Step, Unavailable
from keyback.connectors.zoho import ZohoConnector, ZohoOptions
from keyback.demo.vendors.accounts import Account
from keyback.testing.connectors import ConnectorContract, FaultyProxy, OverProxy, Traits, by_step, plan
from tests.support.zoho import Organization, zoho_organization


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def organization() -> Iterator[Organization]:
    with zoho_organization() as made:
        yield made


@dataclass
class ZohoHarness(OverProxy):
    org: Organization
    proxy: FaultyProxy
    url: str
    connector: ZohoConnector
    traits = Traits(shared_mail=False, usernames=False, tokens=True)

    async def add_user(self, username: str, mail: str, *, privileged: bool = False, disabled: bool = False) -> str:
        self.connector.people.listed_until = 0.0  # a list from before doesn't know them
        return self.org.add(mail, privileged=privileged, active=not disabled).id

    def named(self, username: str) -> Account | None:
        return self.org.fake.accounts.first(lambda a: a.username.partition("@")[0] == username)

    async def open_session(self, username: str, password: str) -> Callable[[], Awaitable[bool]] | None:
        account = self.named(username)
        if account is None or self.org.fake.sign_in(account.username, password) not in ("ok", "must_change"):
            return None
        mine = {s.id for s in account.sessions}

        async def alive() -> bool:
            return bool({s.id for s in account.sessions} & mine)

        return alive

    async def lock(self, external_id: str) -> None:
        raise AssertionError("Zoho is unlocked by nobody but its own administrators")

    async def must_change(self, username: str, password: str) -> bool:
        account = self.named(username)
        return account is not None and account.must_change

    async def grant(self, external_id: str, title: str) -> str:
        raise AssertionError("grants are not claimed")

    async def factor(self, external_id: str) -> str:
        raise AssertionError("factors are not claimed")

    async def changes(self, external_id: str) -> int:
        account = self.org.fake.accounts.get(external_id)
        return account.changes if account else 0

    async def renew(self, **more: Any) -> None:
        await self.connector.close()
        self.connector = self.org.connector(self.url, **more)

    async def expire_tokens(self) -> None:
        self.org.fake.expire_tokens()


@pytest.mark.covers("N1", "N2", "N6")
class TestZoho(ConnectorContract):
    @pytest.fixture
    async def harness(self, organization: Organization) -> AsyncIterator[ZohoHarness]:
        host, port = organization.address.removeprefix("http://").split(":")
        proxy = FaultyProxy((host, int(port)), b"PUT /api/organization")
        async with proxy.running() as url:
            h = ZohoHarness(organization, proxy, url, organization.connector(url))
            yield h
            await proxy.set("")
            await h.connector.close()


@pytest.mark.anyio
async def test_without_zoho_mail_the_person_is_led(organization: Organization) -> None:
    account = organization.add("maya@example.com")
    connector = organization.connector(zoid=None)
    assert connector.capabilities.set_password is Means.GUIDED
    done = by_step(await connector.apply(plan(account.id, "maya@example.com")))
    assert (done[Step.SET].status, done[Step.SET].code) == ("pending", "guided")
    assert account.changes == 0
    assert connector.guide("zh_CN").steps != connector.guide("en").steps
    await connector.close()


@pytest.mark.anyio
async def test_a_personal_account_is_its_owners(organization: Organization) -> None:
    account = organization.add("private@example.com", personal=True)
    connector = organization.connector()
    done = by_step(await connector.apply(plan(account.id, account.username)))
    assert done[Step.SET].code == "guided"
    await connector.close()


@pytest.mark.anyio
async def test_a_domain_that_is_not_verified_is_refused_in_zohos_words(organization: Organization) -> None:
    account = organization.add("guest@elsewhere.example.net")
    connector = organization.connector()
    refused = by_step(await connector.apply(plan(account.id, account.username)))[Step.SET]
    assert (refused.status, refused.code) == ("refused", "not_permitted")
    assert "OPERATION_NOT_PERMITTED" in refused.vendor_text
    await connector.close()


@pytest.mark.anyio
@pytest.mark.parametrize(
    "more, words",
    [
        ({"client_id": "1000.STRANGER"}, "invalid_client"),
        ({"secret": "wrong"}, "invalid_client_secret"),
        ({"refresh_token": "1000.old.one"}, "invalid_code"),
    ],
)
async def test_a_refusal_with_status_200_is_one_and_is_not_repeated(
    organization: Organization, more: dict[str, str], words: str
) -> None:
    connector = organization.connector(**more)
    for _ in range(3):
        with pytest.raises(Unavailable, match=words) as raised:
            await connector.find("maya@example.com")
        assert raised.value.code == "auth_expired"
    assert len(organization.fake.calls) == 1
    await connector.close()


@pytest.mark.anyio
async def test_a_client_of_another_data_center_is_named(organization: Organization) -> None:
    connector = organization.connector(url="http://127.0.0.1:9", accounts_url=organization.address)
    with pytest.raises(Unavailable, match="data_center"):
        await connector.find("maya@example.com")
    await connector.close()


@pytest.mark.anyio
async def test_tokens_are_shared_and_a_wrong_scope_costs_none(organization: Organization) -> None:
    organization.add("maya@example.com")
    connector = organization.connector()
    for _ in range(15):
        assert await connector.find("maya@example.com")
    organization.fake.expire_tokens()
    assert await connector.find("maya@example.com")
    assert len([c for c in organization.fake.calls if c.path.endswith("/token")]) == 2
    await connector.close()


@pytest.mark.parametrize(
    "more, words",
    [
        ({"zoid": "abc"}, "digits only"),
        ({"data_center": "us"}, "data_center"),
        ({"refresh_token": None}, "refresh_token_file"),
        ({"secret": None}, "secret_file"),
        ({"url": "http://www.zohoapis.com"}, "https://"),
    ],
)
def test_bad_settings_say_which_key_is_wrong(organization: Organization, more: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ZohoConnector.from_options("zoho", "Zoho CRM", organization.options(**more))


@pytest.mark.parametrize(
    "center, hosts",
    [
        ("com", ("accounts.zoho.com", "www.zohoapis.com", "mail.zoho.com")),
        ("com.cn", ("accounts.zoho.com.cn", "www.zohoapis.com.cn", "mail.zoho.com.cn")),
        ("ca", ("accounts.zohocloud.ca", "www.zohoapis.ca", "mail.zohocloud.ca")),
    ],
)
def test_each_data_center_has_its_own_hosts(center: Any, hosts: tuple[str, str, str]) -> None:
    options = ZohoOptions(data_center=center, client_id="1000.X")
    assert tuple(h.removeprefix("https://") for h in options.hosts()) == hosts


@pytest.mark.anyio
async def test_an_empty_page_with_more_behind_it_is_no_end(
    organization: Organization, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who is missing from a list that ended would be switched off by a sync."""
    connector = organization.connector()

    async def empty(*args: Any, **over: Any) -> Any:
        return {"users": [], "info": {"more_records": True}}

    monkeypatch.setattr(connector.people, "_admins", lambda: asyncio.sleep(0, frozenset()))
    monkeypatch.setattr(connector._rest, "crm", empty)
    with pytest.raises(Unavailable, match="more behind it"):
        [page async for page in connector.list_accounts()]
    await connector.close()


@pytest.mark.anyio
async def test_a_list_tells_mobile_numbers(organization: Organization) -> None:
    organization.add("maya@example.com").mobile = "+86 138 0013 8000"
    connector = organization.connector()
    listed = {a.mail: a.phones async for page in connector.list_accounts() for a in page}
    await connector.close()
    assert listed == {"owner@example.com": (), "maya@example.com": ("+86 138 0013 8000",)}


@pytest.mark.anyio
async def test_only_who_changed_or_was_deleted_since_the_mark_is_listed(organization: Organization) -> None:
    for a in organization.fake.accounts:
        a.extra["modified_at"] = 0
    connector = organization.connector()
    mark = await connector.mark()
    assert mark
    at = int(datetime.fromisoformat(mark).timestamp() * 1000)
    assert [page async for page in connector.list_changed(mark)] == [], "304"
    for n, more in enumerate([{"modified_at": at - 1}, {"modified_at": at}, {"modified_at": at, "deleted": True}]):
        organization.add(f"maya{n}@example.com", **more)
    pages = [page async for page in connector.list_changed(mark)]
    assert [(a.username, a.state) for page in pages for a in page] == [
        ("maya1@example.com", "active"),
        ("maya2@example.com", "disabled"),
    ]
    everybody = {a.username async for page in connector.list_changed("not a mark") for a in page}
    assert everybody == {"owner@example.com", "maya0@example.com", "maya1@example.com"}
    await connector.close()
