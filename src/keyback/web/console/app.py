"""All routes of the console."""

from __future__ import annotations

from keyback.web.console import (
    approvals,
    audit,
    calls,
    campaigns,
    case,
    documents,
    keys,
    operators,
    outbound,
    outbox,
    people,
    policy,
    queue,
    reports,
    requests,
    set_up,
    sign_in,
    systems,
    tasks,
)
from keyback.web.console.routes import ConsoleRoute

ROUTES: list[ConsoleRoute] = [
    *sign_in.ROUTES,
    *set_up.ROUTES,
    *queue.ROUTES,
    *case.ROUTES,
    *requests.ROUTES,
    *documents.ROUTES,
    *calls.ROUTES,
    *outbound.ROUTES,
    *tasks.ROUTES,
    *campaigns.ROUTES,
    *reports.ROUTES,
    *outbox.ROUTES,
    *people.ROUTES,
    *approvals.ROUTES,
    *audit.ROUTES,
    *systems.ROUTES,
    *policy.ROUTES,
    *operators.ROUTES,
    *keys.ROUTES,
]
