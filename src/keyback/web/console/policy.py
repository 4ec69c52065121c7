"""`/console/policy`: the policy in words, and which requirements of standards its choices keep or give up.

That no set of evidence breaks a claim is proved by `keyback policy check`, which takes seconds of CPU. A Keyback does
not start with a choice that is below its preset and was not accepted, so here a claim is kept unless it was given up.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from keyback.application.desk.sessions import Actor
from keyback.application.policy.explain import explain
from keyback.application.policy.report import ClaimRow
from keyback.application.policy.standards import requirements
from keyback.domain.operators.roles import Permission
from keyback.domain.passwords.rules import PRESETS
from keyback.domain.policy.claims import CLAIMS
from keyback.settings_policy import preset_of
from keyback.web.console.pages_policy import PolicyPage
from keyback.web.console.routes import shows
from keyback.web.console.session import page
from keyback.web.ui.context import AppContext

AT = "/console/policy"


@shows(AT, Permission.SIGNED_IN)
async def show(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/policy`."""
    s, settings = desk.services, desk.settings
    preset, reasons = preset_of(settings), dict(s.policy.accepted)
    sections = explain(s.policy, preset, desk.locale(request), s.abouts, frozenset(s.proofs))
    rows = [
        ClaimRow(c.id, "accepted" if c.id in reasons else "holds", c.keeps, reason=reasons.get(c.id, ""))
        for c in CLAIMS.values()
    ]
    kept = requirements(rows, s.policy, PRESETS[settings.password.preset])
    model = PolicyPage(tuple(sections), tuple(kept), reasons, preset.name)
    return page(desk, request, actor, model, path=AT)


ROUTES = [show]
