"""`/r/{handle}/system-factors`: a second step that was lost in a system, once the case allows it."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyback.application.doctor import system_factor
from keyback.application.ports.connectors import Outcome
from keyback.domain.errors import Refusal
from keyback.web.portal.pages_diagnosis import FactorRow, SystemFactors, SystemFactorsOf
from keyback.web.portal.view import RecoveryView, held, step
from keyback.web.ui.context import AppContext, note_refusal, redirect
from keyback.web.ui.routes import Values, get

SAID: dict[str, Any] = {"done": "removed", "uncertain": "uncertain", "pending": "desk", "retry": "away"}


def is_of_system(view: RecoveryView) -> bool:
    """Whether a page was asked for a system's second step, not for Keyback's own."""
    return view.intake.journey == "second_factor" and view.intake.system not in ("", "builtin")


async def page(desk: AppContext, request: Request, view: RecoveryView, status: int = 200, **over: Any) -> Response:
    """What the systems say; raises `Refusal` as `system_factor.factors_of`."""
    handle, s = view.intake.handle, desk.services
    found = await system_factor.factors_of(s, handle, desk.here(request))
    asked = view.intake.system
    systems = tuple(
        SystemFactorsOf(
            f.account.id,
            s.titles.get(f.account.system, f.account.system),
            f.account.username,
            None if f.factors is None else tuple(FactorRow(x.id, x.kind, x.title, x.removable) for x in f.factors),
            f.gives_pass,
            s.sign_in_urls.get(f.account.system, ""),
        )
        for f in sorted(found, key=lambda f: f.account.system != asked)
    )
    model = SystemFactors(handle, view.username, systems, **over)
    return desk.page(request, model, status, step=2, path=f"/r/{handle}/system-factors")


@get(held)
async def show(desk: AppContext, request: Request, handle: str, view: RecoveryView | None) -> Response:
    """GET `/r/{handle}/system-factors`."""
    if view is None or view.case is None:
        return redirect(f"/r/{handle}")
    try:
        return await page(desk, request, view)
    except Refusal as e:
        note_refusal(request, e.code)
        return redirect(f"/r/{handle}")


@step("account", limit="proofs")
async def begin(desk: AppContext, request: Request, values: Values, handle: str, view: RecoveryView | None) -> Response:
    """POST `/r/{handle}/second-step`: from the doctor's page to the page of a lost second step."""
    here = desk.here(request)
    if view is not None and view.intake.journey == "second_factor":
        return redirect(f"/r/{handle}/system-factors")
    try:
        new = await desk.services.db.write(lambda tx: system_factor.go_on(tx, handle, values["account"], here))
    except Refusal as e:
        note_refusal(request, e.code)
        return redirect(f"/r/{handle}")
    response = redirect(f"/r/{new.handle}")
    desk.cookies.hold(request, response, new.handle, new.secret)
    return response


@step("account", "factor", limit="proofs")
async def remove(
    desk: AppContext, request: Request, values: Values, handle: str, view: RecoveryView | None
) -> Response:
    """POST `/r/{handle}/system-factors`."""
    if view is None or view.case is None:
        return redirect(f"/r/{handle}")
    here, account = desk.here(request), values["account"]
    try:
        outcome = await system_factor.remove(desk.services, handle, account, values["factor"], here)
    except Refusal as e:
        return await _not_now(desk, request, view, e, account)
    said = "gone" if outcome.code == system_factor.GONE else SAID.get(outcome.status, "refused")
    status = 200 if said == "removed" else 422
    return await _shown(desk, request, view, status, account, said=said)


@step("account", limit="proofs")
async def temporary_pass(
    desk: AppContext, request: Request, values: Values, handle: str, view: RecoveryView | None
) -> Response:
    """POST `/r/{handle}/temporary-pass`: the answer is the one place where the pass is ever shown."""
    if view is None or view.case is None:
        return redirect(f"/r/{handle}")
    account = values["account"]
    try:
        given = await system_factor.temporary_pass(desk.services, handle, account, desk.here(request))
    except Refusal as e:
        return await _not_now(desk, request, view, e, account)
    if isinstance(given, Outcome):
        said = SAID.get(given.status, "refused")
        return await _shown(desk, request, view, 422, account, said=said)
    over = {"said": "pass", "secret": given.secret.reveal(), "until": given.expires_at, "once": given.once}
    return await _shown(desk, request, view, 200, account, **over)


async def _not_now(desk: AppContext, request: Request, view: RecoveryView, e: Refusal, account: str) -> Response:
    note_refusal(request, e.code)
    known: dict[str, Any] = {"too_many": "too_many", "privileged_target": "privileged", "not_found": "refused"}
    if e.code not in known:
        return redirect(f"/r/{view.intake.handle}")
    return await _shown(desk, request, view, 429 if e.code == "too_many" else 422, account, said=known[e.code])


async def _shown(
    desk: AppContext, request: Request, view: RecoveryView, status: int, account: str, **over: Any
) -> Response:
    """The page with what came of a form; without, where the recovery ended meanwhile."""
    s = desk.services
    case = view.case
    accounts = await s.db.read(lambda tx: tx.people.accounts([case.person_id]).get(case.person_id, ())) if case else ()
    system = next((a.system for a in accounts if a.id == account), "")
    try:
        return await page(desk, request, view, status, about=s.titles.get(system, system), **over)
    except Refusal:
        return redirect(f"/r/{view.intake.handle}")


ROUTES = [
    Route("/r/{handle:str}/system-factors", show, methods=["GET"]),
    Route("/r/{handle:str}/system-factors", remove, methods=["POST"]),
    Route("/r/{handle:str}/second-step", begin, methods=["POST"]),
    Route("/r/{handle:str}/temporary-pass", temporary_pass, methods=["POST"]),
]
