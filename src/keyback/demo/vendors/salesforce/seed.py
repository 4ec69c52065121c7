"""People and an External Client App for the Salesforce fake."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from joserfc.jwk import RSAKey

from keyback.demo.company import DOMAIN
from keyback.demo.vendors import seeds
from keyback.demo.vendors.accounts import Account, hashed
from keyback.demo.vendors.salesforce.app import Salesforce
from keyback.demo.vendors.salesforce.objects import record_id
from keyback.demo.vendors.salesforce.tokens import ClientApp

INTEGRATION = f"keyback.integration@{DOMAIN}"
PREFIXES = {"user": "005", "factor": "0Yp", "grant": "0CQ"}


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a connector is given: by JWT bearer `key`, `username` and `private_key` (PEM); by client credentials `key`
    and `secret`. `audience` is what assertions are for."""

    key: str
    secret: str
    username: str
    private_key: str
    audience: str


def seed(fake: Salesforce) -> None:
    """The company's people and the user that Keyback runs as; a kept state is left as it is."""
    if len(fake.accounts):
        return

    def new_id(what: str, n: int) -> str:
        return record_id(PREFIXES[what], n)

    people = seeds.people("salesforce", fake.clock(), new_id)
    me = Account(record_id("005", 900), INTEGRATION, None, "Keyback Integration", hashed(secrets.token_hex(16)))
    me.extra["permission_sets"] = ["Keyback"]
    fake.accounts.add([*people, me])
    for a in people:
        if a.active and not a.frozen:
            fake.open_session(a, source="198.51.100.77")


def register(fake: Salesforce, key: RSAKey | None = None) -> Credentials:
    """An External Client App, authorized for the integration user; `key` signs its assertions, None makes one."""
    key = key or RSAKey.generate_key(2048)
    app = ClientApp(
        f"3MVG9{secrets.token_hex(30)}",
        secrets.token_hex(32).upper(),
        key.as_pem(private=False).decode(),
        {INTEGRATION},
        INTEGRATION,
    )
    fake.apps[app.key] = app
    audience = min(fake.tokens.audiences)
    return Credentials(app.key, app.secret, INTEGRATION, key.as_pem(private=True).decode(), audience)
