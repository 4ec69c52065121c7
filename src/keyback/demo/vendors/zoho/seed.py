"""People and a client for the Zoho fake."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from keyback.demo.vendors import seeds
from keyback.demo.vendors.zoho.app import SCOPES, ZOID, Zoho, ZohoClient


@dataclass(frozen=True, slots=True)
class Credentials:
    """What a connector is given; `zoid` is the organization in Zoho Mail."""

    client_id: str
    client_secret: str
    refresh_token: str
    zoid: str


def new_id(what: str, n: int) -> str:
    return f"41508680000002{n:05}" if what == "user" else f"{what}-{n}"


def seed(fake: Zoho) -> None:
    """The company's people; a kept state is left as it is."""
    if len(fake.accounts):
        return
    people = seeds.people("zoho", fake.clock(), new_id)
    for n, a in enumerate(people, 1):
        planted = a.extra["planted"]
        if a.mail is None or not a.mail.startswith(a.username.partition("@")[0]):
            a.mail = a.username  # one address has one account at Zoho
        a.extra |= {"zuid": f"6945{n:05}", "mail_id": f"30000{n:04}"}
        a.extra |= {"unconfirmed": planted == "unconfirmed", "personal": planted == "personal"}
        a.extra |= {"owner": planted == "privileged"}
        for s in a.sign_ins:
            s.status = "Wrong password" if s.status == "Invalid Password" else s.status
    fake.accounts.add(people)
    for a in people:
        if a.active:
            fake.open_session(a, source="198.51.100.77")


def register(fake: Zoho, scopes: frozenset[str] = SCOPES) -> Credentials:
    """A client with a refresh token for these scopes."""
    client = ZohoClient(f"1000.{secrets.token_hex(15).upper()}", secrets.token_hex(21))
    refresh = f"1000.{secrets.token_hex(16)}.{secrets.token_hex(16)}"
    client.refresh[refresh] = set(scopes)
    fake.clients[client.id] = client
    return Credentials(client.id, client.secret, refresh, ZOID)
