"""A stand-in of Zoho with one organization, held to the vendor's contract."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from keyback.connectors.zoho import ZohoConnector, ZohoOptions
from keyback.demo.vendors import Zoho, serve
from keyback.demo.vendors.accounts import Account, hashed
from keyback.demo.vendors.zoho.seed import Credentials, new_id, register
from keyback.testing.connectors import OLD
from tests.support.held import Held


@dataclass
class Organization:
    """A stand-in with a client, served and held to the contract."""

    fake: Zoho
    address: str
    client: Credentials
    people: int = 0

    def add(self, mail: str, **more: Any) -> Account:
        self.people += 1
        account = Account(new_id("user", self.people), mail, mail, mail.partition("@")[0].title(), hashed(OLD))
        for key in ("privileged", "active"):
            setattr(account, key, more.pop(key, getattr(account, key)))
        account.extra = {"zuid": f"6945{self.people:05}", "mail_id": f"3{self.people:05}"}
        account.extra |= {"modified_at": self.fake.clock(), **more}
        self.fake.accounts.add([account])
        return account

    def options(self, url: str = "", **more: Any) -> dict[str, Any]:
        at = url or self.address
        urls = {"url": at, "accounts_url": at, "mail_url": at}
        c = self.client
        keys = {"client_id": c.client_id, "secret": c.client_secret, "refresh_token": c.refresh_token, "zoid": c.zoid}
        return {**urls, **keys, "timeout_s": 20, **more}

    def connector(self, url: str = "", **more: Any) -> ZohoConnector:
        return ZohoConnector("zoho", "Zoho CRM", ZohoOptions.model_validate(self.options(url, **more)))


@contextmanager
def zoho_organization() -> Iterator[Organization]:
    """One with an owner, who is an administrator."""
    fake = Zoho()
    fake.verified = {"example.com"}
    client = register(fake)
    held = Held(fake, "zoho.yaml")
    with serve(held) as address:
        made = Organization(fake, address, client)
        made.add("owner@example.com", privileged=True, owner=True)
        yield made
    assert held.faults == [], "a call or an answer was not as the vendor documents it"
