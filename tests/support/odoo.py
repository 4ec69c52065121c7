"""A stand-in of Odoo with one database, held to what is known of the real one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from keyback.connectors.odoo import OdooConnector, OdooOptions
from keyback.demo.vendors import Odoo, serve
from keyback.demo.vendors.accounts import Account, hashed
from keyback.demo.vendors.odoo.seed import Credentials, register
from keyback.testing.connectors import OLD
from tests.support.held import Held

FIRST = 10  # ids below are the database's own


@dataclass
class Server:
    """A stand-in with a service user, served and held to the contract."""

    fake: Odoo
    address: str
    user: Credentials
    people: int = 0

    def add(self, login: str, mail: str | None = None, password: str = OLD, **more: Any) -> Account:
        """Adds a user; `more` sets what else an `Account` has."""
        account = Account(str(FIRST + self.people), login, mail, login.title(), hashed(password), **more)
        self.people += 1
        self.fake.accounts.add([account])
        return account

    def options(self, url: str = "", **more: Any) -> dict[str, Any]:
        keys = {"database": self.user.database, "login": self.user.login, "secret": self.user.api_key}
        return {"url": url or self.address, **keys, "timeout_s": 20, **more}

    def connector(self, url: str = "", **more: Any) -> OdooConnector:
        return OdooConnector("odoo", "Odoo", OdooOptions.model_validate(self.options(url, **more)))


@contextmanager
def odoo_server(**how: Any) -> Iterator[Server]:
    """One whose service user may do what it needs; `how` as `Odoo` takes it."""
    fake = Odoo(**how)
    user = register(fake)
    held = Held(fake, "odoo.yaml")
    with serve(held) as address:
        yield Server(fake, address, user)
    assert held.faults == [], "a call or an answer was not as Odoo has it"
