"""`keyback check` on systems: each is asked by its connector's own check. What was said stays in the database, for the
page of the console."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Sequence

from keyback.application.passwords.hashing import HashGate
from keyback.application.ports.connectors import Connector
from keyback.application.ports.storage import StorageDown, Tx
from keyback.bootstrap import make_connector
from keyback.cli.check_result import PATIENCE_S, Result
from keyback.cli.common import safe
from keyback.registry import BadPart
from keyback.settings import Settings, Unsafe
from keyback.storage.database import SqlDatabase


async def look(s: Settings, name: str, db: SqlDatabase, gate: HashGate) -> Result:
    label = f"system {name}"
    try:
        connector = make_connector(name, s.systems[name], db, gate)
    except (Unsafe, OSError, BadPart) as e:
        return Result(label, "bad", str(e))
    try:
        return _led(await _asked(name, connector), name, connector)
    finally:
        await connector.close()


def _led(found: Result, name: str, connector: Connector) -> Result:
    """The same, and whether people are led to the system once their new password works there."""
    if found.status != "ok" or connector.url or name == "builtin":
        return found
    step = f"Set systems.{name}.sign_in_url, or pages and emails end without a button that opens it."
    return Result(found.name, "warn", f"{found.detail}; it has no address where people sign in", step)


async def _asked(name: str, connector: Connector) -> Result:
    """What the connector's own check found: its gravest line, with the key to look at and what is missing for it."""
    label = f"system {name}"
    try:
        lines = await asyncio.wait_for(connector.check(), PATIENCE_S)
    except TimeoutError:
        return Result(label, "bad", "does not answer", f"See systems.{name}.url, and that this machine may reach it.")
    except Exception as e:  # of a plug-in
        return Result(label, "bad", f"its check broke off ({type(e).__name__})", f"See the package of systems.{name}.")
    faults = sorted((x for x in lines if x.status != "ok"), key=lambda x: x.status != "bad")
    if not faults:
        return Result(label, "ok", lines[0].text if lines else "answers")
    worst = faults[0]
    told = [f"{x.what}: {x.text}" + (f" (no {', '.join(x.costs)})" if x.costs else "") for x in faults]
    step = f"{worst.advice or 'See its keys.'} Keys: systems.{name}. All of it: keyback connector test {name}"
    return Result(label, worst.status, "; ".join(told[:3]) + (" …" if len(told) > 3 else ""), step)


async def keep(db: SqlDatabase, systems: Iterable[str], said: Sequence[Result]) -> Sequence[Result]:
    """Keeps what was said of each system, and returns it. Nothing is kept where the database takes it not: that was
    told already."""

    def put(tx: Tx) -> None:
        for name, r in zip(systems, said, strict=True):
            tx.system_states.checked(name, r.status, safe(r.detail), safe(r.next))

    with contextlib.suppress(StorageDown):
        await db.write(put)
    return said
