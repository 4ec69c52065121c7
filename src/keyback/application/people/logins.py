"""The forgotten user names: what every system of the person calls them now, not only what was imported.

A request is answered by mail alone, so the systems are asked by the worker, after the request and before the mail. One
that doesn't answer in time is named in it, with the name that is on record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from keyback.application.asking import Answer, ask_each
from keyback.application.notifications.notify import as_job
from keyback.application.ports.connectors import Connector, FoundAccount, Means
from keyback.application.ports.messages import LoginsMessage
from keyback.application.ports.storage import Database, Job, Tx
from keyback.domain.people.person import Account, Contact, canonicalize

KIND: Final = "logins"  # of the outbox, until it becomes a message
LEASE = 30_000
PATIENCE_S = 3.0
MAX_ATTEMPTS = 3  # after as many the names on record go out
MAX_FOUND = 4  # accounts of one system with the person's address that were never imported


def plan(job: Job, only: str) -> Job:
    """A message with user names, to be completed by the systems first.

    Args:
        only: the one system that was asked for; empty for all.
    """
    return replace(job, kind=KIND, body={**job.body, **({"only": only} if only else {})})


async def complete(db: Database, connectors: Mapping[str, Connector], limit: int = 8) -> int:
    """Asks the systems about what waits, and makes messages of it; how many."""
    jobs = await db.write(lambda tx: tx.outbox.claim(KIND, limit, LEASE))
    if jobs:
        await asyncio.gather(*(_one(db, connectors, job) for job in jobs))
    return len(jobs)


async def _one(db: Database, connectors: Mapping[str, Connector], job: Job) -> None:
    person_id, contact_id = str(job.body.get("person")), str(job.body.get("contact"))
    stored, contact = await db.read(lambda tx: _load(tx, person_id, contact_id))
    only = str(job.body.get("only", ""))
    names = [n for n in connectors if n != "builtin" and only in ("", n) and _asks(connectors[n])]
    if contact is None or job.attempts > MAX_ATTEMPTS:
        names = []
    address = contact.address if contact is not None and contact.channel == "mail" else ""

    async def question(connector: Connector, account: Account) -> list[FoundAccount]:
        known = [a.username for a in stored if a.system == account.system]
        found = await asyncio.gather(*(connector.find(x) for x in dict.fromkeys([*known, address]) if x))
        return [f for some in found for f in some]

    asked = [Account("", person_id, n, "", "") for n in names]
    answers = await ask_each(connectors, asked, question, PATIENCE_S) if asked else ()
    shown = [a for a in stored if only in ("", a.system)]
    logins, unasked = merge(shown, answers, address, list(connectors))
    await db.write(lambda tx: _send(tx, job, contact, logins, unasked))


def _asks(connector: Connector) -> bool:
    return connector.capabilities.lookup in (Means.NATIVE, Means.COMPOSED)


def _load(tx: Tx, person_id: str, contact_id: str) -> tuple[list[Account], Contact | None]:
    accounts = tx.people.accounts([person_id]).get(person_id, ())
    return [a for a in accounts if a.state != "disabled"], tx.contacts.many([contact_id]).get(contact_id)


def merge(
    stored: Sequence[Account], answers: Sequence[Answer[list[FoundAccount]]], address: str, order: Sequence[str]
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(system, user name) as the systems know them, and those of them that are only on record.

    An account that was never imported counts where its own mail address is the mailbox that gets the message.

    Args:
        order: the systems, as they are listed.
    """
    said = {x.account.system: x.value for x in answers if x.value is not None}
    logins: list[tuple[str, str]] = []
    unasked: list[tuple[str, str]] = []
    silent = {x.account.system for x in answers if x.value is None}
    for a in stored:
        now = next((f for f in said.get(a.system, ()) if f.external_id == a.external_id), None)
        if now is not None and now.state == "disabled":
            continue
        logins.append((a.system, now.username if now is not None else a.username))
        if a.system in silent:
            unasked.append((a.system, a.username))
    known = {(a.system, a.external_id) for a in stored}
    for system, found in said.items():
        theirs = {f.external_id: f for f in found if f.state != "disabled" and _same(f.mail, address)}
        new = [f for f in theirs.values() if (system, f.external_id) not in known]
        logins += [(system, f.username) for f in new] if len(new) <= MAX_FOUND else []
    rank = {name: i for i, name in enumerate(order)}
    return sorted(dict.fromkeys(logins), key=lambda pair: rank.get(pair[0], len(rank))), unasked


def _same(mail: str | None, address: str) -> bool:
    try:
        return bool(mail and address) and canonicalize(mail or "") == canonicalize(address)
    except ValueError:
        return False


def _send(
    tx: Tx, job: Job, to: Contact | None, logins: Sequence[tuple[str, str]], unasked: Sequence[tuple[str, str]]
) -> None:
    """The message, and the end of the question, in one transaction; nothing when the lease is no longer ours."""
    if not tx.outbox.holds(job):
        return
    tx.outbox.done([job])
    content = LoginsMessage.read(job.body)
    content = replace(content, logins=tuple(logins) or content.logins, unasked=tuple(unasked))
    if to is not None:
        tx.outbox.put([as_job(tx, content, to, job.expires_at, turn=job.turn)])
