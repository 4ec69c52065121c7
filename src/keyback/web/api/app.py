"""The API, version 1: FastAPI under `/api/v1`, OpenAPI 3.1, RFC 9457 problems."""

from __future__ import annotations

from keyback.web.api import account, diagnosis, factors, help_requests, recoveries, remedies, sign_in
from keyback.web.api.admin import audit as admin_audit
from keyback.web.api.admin import campaigns as admin_campaigns
from keyback.web.api.admin import cases as admin_cases
from keyback.web.api.admin import documents as admin_documents
from keyback.web.api.admin import help_requests as admin_help
from keyback.web.api.admin import operators as admin_operators
from keyback.web.api.admin import outbox as admin_outbox
from keyback.web.api.admin import people as admin_people
from keyback.web.api.admin import reports as admin_reports
from keyback.web.api.admin import systems as admin_systems
from keyback.web.api.openapi import Api
from keyback.web.api.strict import HANDLERS, answer, broken
from keyback.web.ui.context import AppContext

DESCRIPTION = """Start a recovery, verify your identity with the mailed code, choose a new password, sign in.

Nothing here tells whether an account exists: a recovery that matched nobody looks the same forever. Errors are
RFC 9457 problems with a stable `code`; what you sent is never echoed. Texts come in the language of Accept-Language
(`en`, `ja`, `zh-CN`, `zh-TW`). New members may appear in answers; programs should ignore what they do not know."""
TAGS = [
    {"name": "recoveries", "description": "From “I can’t get in” to a new password."},
    {"name": "session", "description": "Signing in to the built-in system."},
    {
        "name": "account",
        "description": "The security center: accounts in their systems, steps after a recovery.",
    },
    {"name": "passwords", "description": "Rules before anything is sent."},
    {"name": "help desk", "description": "For programs that work beside operators, with a key and its scopes."},
]
ADMIN = (
    admin_operators.router,
    admin_cases.router,
    admin_people.router,
    admin_help.router,
    admin_campaigns.router,
    admin_documents.router,
    admin_outbox.router,
    admin_reports.router,
    admin_systems.router,
    admin_audit.router,
)


def make_api(desk: AppContext | None) -> Api:
    """The API application; without a desk only its description is of use."""
    api = Api(
        title="Keyback",
        version="1",
        description=DESCRIPTION,
        openapi_tags=TAGS,
        servers=[{"url": "/api/v1"}],
        root_path_in_servers=False,
        redirect_slashes=False,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        # Its own spans would have paths and addresses, and its own export would call out: `telemetry` has ours.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    api.state.desk = desk
    for kind in HANDLERS:
        api.add_exception_handler(kind, answer)
    api.add_exception_handler(Exception, broken)
    api.include_router(recoveries.start_router)
    api.include_router(recoveries.router)
    api.include_router(remedies.router)
    api.include_router(diagnosis.router)
    api.include_router(help_requests.router)
    api.include_router(sign_in.router)
    api.include_router(account.router)
    api.include_router(factors.router)
    api.include_router(factors.open_router)
    for router in ADMIN:
        api.include_router(router)
    return api
