"""Puts the invented company into a fresh database and into the demo CRM; a kept one is left as people made it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from keyback.application.ports.storage import Imported, ImportedAccount, Tx
from keyback.application.services import Services
from keyback.demo.clouds import Clouds
from keyback.demo.company import STAFF, Staff
from keyback.demo.enrolled import enrol, new_codes
from keyback.domain.people.factor import COOLING_OFF
from keyback.domain.people.person import canonicalize
from keyback.domain.secret import Secret
from keyback.testing.demo_crm import DemoCrm


async def seed(services: Services, crm: DemoCrm, clouds: Clouds) -> bool:
    """Everything of one kind in one transaction, so that an interrupted start leaves nothing half done.

    Returns:
        Whether there was something to do.
    """
    if not list(crm.users):
        crm.add_users(
            (
                s.login("demo"),
                s.mails[0] if s.mails else None,
                s.name,
                s.password,
                _state(s),
                s.tier == "privileged",
            )
            for s in STAFF
            if "demo" in s.systems
        )
    if await services.db.read(lambda tx: tx.people.match([canonicalize(STAFF[0].username)])):
        return False
    crm_ids = {u.username: u.id for u in crm.users}
    mine = [s for s in STAFF if "builtin" in s.systems and not s.provider]
    # argon2 lets go of the interpreter, so the gate's threads use every core.
    hashes = await asyncio.gather(*(services.gate.hash(Secret(s.password)) for s in mine))
    codes = await new_codes(services)
    people = [_imported(n, s, crm_ids, clouds.accounts(s.username, services.connectors)) for n, s in enumerate(STAFF)]

    def write(tx: Tx) -> None:
        tx.people.save_imported(people)
        for s, phc in zip(mine, hashes, strict=True):
            account = tx.people.account_by_external_id("builtin", s.username)
            if account is not None:
                tx.people.set_credential(account.id, phc, "")
        for system in ("builtin", "demo"):
            tx.syncs.put_managers(system, _managers(system, crm_ids), ago=COOLING_OFF)
        enrol(tx, codes)

    await services.db.write(write)
    return True


def _managers(system: str, crm_ids: dict[str, str]) -> dict[str, str]:
    """Whom everybody reports to, as a directory would say it: by the ids of their accounts."""
    ids = {s.username: _external(n, s, crm_ids)[system] for n, s in enumerate(STAFF) if system in s.systems}
    return {ids[s.username]: ids[s.manager] for s in STAFF if s.username in ids and s.manager in ids}


def _external(n: int, s: Staff, crm_ids: dict[str, str]) -> dict[str, str]:
    return {"builtin": s.username, "demo": crm_ids.get(s.login("demo"), ""), "guided": f"LY-{1000 + n}"}


def _state(s: Staff) -> str:
    return "disabled" if s.state == "disabled" else "locked" if s.locked else "active"


def _imported(n: int, s: Staff, crm_ids: dict[str, str], more: Sequence[ImportedAccount]) -> Imported:
    external = _external(n, s, crm_ids)
    accounts = tuple(
        ImportedAccount(
            system,
            external[system],
            s.login(system),
            "locked" if s.locked else "active",
            privileged=s.tier == "privileged" and system == "demo",
            provider=s.provider,
        )
        for system in s.systems
    )
    groups = (s.group,)
    return Imported(s.username, s.name, s.locale, s.tier, s.state, s.mails, (*accounts, *more), groups=groups)
