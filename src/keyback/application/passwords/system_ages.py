"""Reminders for passwords that are kept by other systems: each system is asked how old they are, at a pace of its own.

No vendor is flooded: an account is asked about when a reminder may be due, once a month where nothing is known, and
never more of a system than its hour allows. A hundred thousand people are gone through within a week.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from keyback.application.asking import Answer, ask_each
from keyback.application.notifications.notify import contacts_of, notify
from keyback.application.passwords.expiry import STEPS
from keyback.application.ports.connectors import Connector, FoundAccount, Means
from keyback.application.ports.messages import RotationMessage
from keyback.application.ports.password_ages import PasswordAge
from keyback.application.ports.storage import Tx
from keyback.application.services import Services
from keyback.domain.passwords.rules import DAY, Rules
from keyback.domain.people.person import Account
from keyback.domain.recovery.events import Note
from keyback.domain.units import HOUR, MINUTE

HOURLY = 600  # questions to one system in an hour, of all nodes together
AT_ONCE = 5  # of them in one round of the worker
NEW = 500  # accounts that are taken up in one transaction
LEASE = 2 * MINUTE
PATIENCE_S = 10.0
UNKNOWN_AGAIN = 30 * DAY
FAILED_AGAIN = HOUR  # doubled with every further failure, up to a day


async def remind(s: Services) -> int:
    """Asks every system about a few passwords and mails what is due; the number of mails. For upkeep."""
    if s.rules.max_age_days is None:
        return 0
    systems = [name for name, c in s.connectors.items() if name != "builtin" and _tells(c)]
    return sum(await asyncio.gather(*(_system(s, name) for name in systems)))


def _tells(c: Connector) -> bool:
    return c.capabilities.lookup in (Means.NATIVE, Means.COMPOSED)


async def _system(s: Services, system: str) -> int:
    if s.connectors[system].health.breaker == "open":
        return 0  # it is left alone, and not for this
    claimed, accounts = await s.db.write(lambda tx: _claim(tx, system))
    if not claimed:
        return 0
    answers = await ask_each(s.connectors, accounts, _find, PATIENCE_S)
    told = await s.db.write(lambda tx: [_note(tx, x, claimed, s.rules) for x in answers])
    return sum(told)


def _claim(tx: Tx, system: str) -> tuple[dict[str, PasswordAge], list[Account]]:
    key, whole = f"password-ages/{system}", f"password-ages-whole/{system}"
    # Finding those that have no row reads all accounts: once an hour when there are none left.
    if not tx.counters.get(whole).hour and tx.password_ages.take_up(system, NEW) < NEW:
        tx.counters.add([whole])
    spent = tx.counters.get(key).hour
    rows = tx.password_ages.claim(system, min(AT_ONCE, max(0, HOURLY - spent)), LEASE)
    claimed, accounts = {}, []
    for row in rows:
        account = tx.people.account(row.account_id)
        if account is None or account.state == "disabled" or account.provider:
            tx.password_ages.save(replace(row, look_at=tx.now + UNKNOWN_AGAIN), row)
            continue
        claimed[row.account_id] = row
        accounts.append(account)
        tx.counters.add([key])
    return claimed, accounts


async def _find(connector: Connector, account: Account) -> FoundAccount | None:
    found: Sequence[FoundAccount] = await connector.find(account.username)
    return next((f for f in found if f.external_id == account.external_id), None)


def _note(tx: Tx, answer: Answer[FoundAccount | None], claimed: dict[str, PasswordAge], rules: Rules) -> int:
    """Stores what a system said, and mails what is due by it; the number of mails. Both are one transaction."""
    account, before = answer.account, claimed[answer.account.id]
    if answer.silence:
        wait = min(DAY, FAILED_AGAIN * 2 ** min(before.failures, 6))
        tx.password_ages.save(replace(before, failures=before.failures + 1, look_at=tx.now + wait), before)
        return 0
    changed_at = (answer.value.password_changed_at if answer.value else None) or 0
    due_at = rules.due_at(changed_at) if changed_at else None
    if due_at is None:
        unknown = replace(before, changed_at=0, reminded=0, failures=0, look_at=tx.now + UNKNOWN_AGAIN)
        tx.password_ages.save(unknown, before)
        return 0
    had = before.reminded if before.changed_at == changed_at else 0
    step = sum(tx.now >= at for at in moments(due_at, rules))
    # The last one is for who was never reminded, as in `expiry`; the others say that the day comes.
    tells = step > had and (step < len(STEPS) or had == 0)
    later = [at for at in moments(due_at, rules) if at > tx.now]
    look_at = later[0] if later else tx.now + UNKNOWN_AGAIN
    now = PasswordAge(account.id, account.system, changed_at, max(step, had), 0, look_at)
    if not tx.password_ages.save(now, before) or not tells:
        return 0
    return _tell(tx, account, due_at)


def moments(due_at: int, rules: Rules) -> list[int]:
    """When reminders are due for a password that has its day at `due_at` (ms), in order."""
    half = (rules.max_age_days or 0) // 2
    return [due_at - min(days, half) * DAY for days in STEPS]


def _tell(tx: Tx, account: Account, due_at: int) -> int:
    person = tx.people.person(account.person_id)
    if person is None or person.state != "active":
        return 0
    told = RotationMessage(username=account.username, due_at=due_at, system=account.system)
    sent = notify(tx, told, contacts_of(tx, person.id)[:1], life=DAY)
    tx.audit.record("rotation", [Note("password_reminded", {"letters": sent, "system": account.system})])
    return sent
