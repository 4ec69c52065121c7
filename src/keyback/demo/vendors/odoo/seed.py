"""A service user for the Odoo stand-in."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from keyback.demo.vendors.accounts import Account, hashed
from keyback.demo.vendors.odoo.app import DATABASE, Odoo
from keyback.demo.vendors.odoo.records import MANAGER, USER


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a connector is given."""

    database: str
    login: str
    api_key: str


def register(fake: Odoo) -> Credentials:
    """Adds OdooBot and an administrator, as every database has them, and the user that signs in for Keyback."""
    bot = Account("1", "__system__", None, "OdooBot", "", active=False, privileged=True)
    admin = Account("2", "admin", "admin@example.com", "Administrator", hashed(secrets.token_hex(8)), privileged=True)
    service = Account("3", "keyback", "keyback@example.com", "Keyback", "", extra={"groups": [USER, MANAGER]})
    fake.accounts.add([bot, admin, service])
    return Credentials(DATABASE, service.username, fake.new_key(service))
