"""One person with accounts in two systems."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx2
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from keyback.application.ports.storage import ImportedAccount
from keyback.connectors.demo import DemoConnector
from keyback.domain.secret import Secret
from keyback.testing.demo_crm import DemoCrm
from tests.support.kit import Kit, person
from tests.support.steps import Tray, fit, set_password

TOKEN = "a token of the demo, known to two"


class SessionsStay(DemoCrm):
    """Answers `revoke_status` to whoever wants sessions ended."""

    revoke_status = 403

    async def _revoke(self, request: Request) -> Response:
        return JSONResponse({"error": "forbidden", "text": "Sessions are ended by the owner only."}, self.revoke_status)


def two_systems(
    kit: Kit, *, privileged: bool = False, make: Callable[[None, str], DemoCrm] = DemoCrm
) -> tuple[Tray, DemoCrm, str]:
    """maya with a built-in account and one in a demo CRM; the CRM and her id there."""
    crm = make(None, TOKEN)
    crm.add_user("boss", "boss@example.com", "Boss", "a password of the boss", privileged=True)
    theirs = crm.add_user("maya.crm", "maya@example.com", "Maya", "an older one", privileged=privileged)
    client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app=crm))
    connector = DemoConnector("crm", "Demo CRM", "http://127.0.0.1:9", Secret(TOKEN), client, timeout=2)
    accounts = (ImportedAccount("builtin", "maya", "maya"), ImportedAccount("crm", theirs, "maya.crm"))
    tray = fit(kit, replace(person("maya"), accounts=accounts))
    set_password(kit, "maya")
    kit.services = replace(kit.services, connectors={**kit.services.connectors, "crm": connector})
    return tray, crm, theirs


def results(kit: Kit, case_id: str) -> dict[str, tuple[str, str]]:
    case = kit.read(lambda tx: tx.cases.get(case_id))
    systems = {a.id: a.system for a in kit.read(lambda tx: tx.people.accounts([case.person_id]))[case.person_id]}
    return {systems[r.account_id]: (r.result, r.code) for r in case.results}


def checks(kit: Kit, crm: DemoCrm, password: Secret) -> bool | None:
    connector: Any = kit.services.connectors["crm"]
    return kit.run(connector.verify("maya.crm", password))  # type: ignore[no-any-return]
