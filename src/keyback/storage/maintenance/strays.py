"""What the settings no longer reach: accounts of systems that they do not name, passkeys of another host."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping

from sqlalchemy import func, select

from keyback.domain.people.person import needs_utf8
from keyback.storage.keys.keyring import Unsealable
from keyback.storage.sql.schema import accounts, contacts, factors, installation
from keyback.storage.sql.statements import insert_many
from keyback.storage.stores.factors import PURPOSE
from keyback.storage.tx import SqlTx

HOST = "passkey_host"  # of passkeys that do not say it themselves, since an earlier version made them


def accounts_elsewhere(tx: SqlTx, systems: Collection[str]) -> Mapping[str, int]:
    """How many accounts, those that are switched off aside, are of a system that is none of these; by its name."""
    a = accounts.c
    query = select(a.system, func.count()).where((a.state != "disabled") & a.system.not_in(systems))
    return {name: int(n) for name, n in tx.conn.execute(query.group_by(a.system).order_by(a.system))}


def passkeys_elsewhere(tx: SqlTx, host: str) -> Mapping[str, int]:
    """How many passkeys in use were made for another host than this one; by that host."""
    query = select(installation.c.value).where(installation.c.name == HOST)
    before = bytes(tx.conn.execute(query).scalar() or b"").decode() or host
    live = (factors.c.kind == "passkey") & (factors.c.state == "active")
    found: Counter[str] = Counter()
    for fid, sealed in tx.conn.execute(select(factors.c.id, factors.c.sealed).where(live)):
        try:
            data = json.loads(tx.seals.open(bytes(sealed), PURPOSE, fid))
        except Unsealable:
            continue  # `key_check` names the key that is missing
        found[str(data.get("rp_id") or before)] += 1
    return {name: n for name, n in sorted(found.items()) if name != host}


def beyond_ascii(tx: SqlTx) -> int:
    """How many confirmed mail addresses only a relay with SMTPUTF8 takes."""
    c = contacts.c
    odd = c.address.regexp_match("[^ -~]") if tx.pg else c.address.op("GLOB")("*[^ -~]*")
    live = (c.channel == "mail") & (c.state == "confirmed") & odd
    return sum(needs_utf8(a) for (a,) in tx.conn.execute(select(c.address).where(live)))


def note_host(tx: SqlTx, host: str) -> None:
    """Notes, once, which host passkeys were made for until they say it themselves."""
    insert_many(tx.conn, installation, [{"name": HOST, "value": host.encode(), "at": tx.now}], ignore=True)
