"""`/r/{handle}/diagnosis`: the login doctor's page. Whoever has not verified here is led back, whoever they mean."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyback.application.doctor import diagnosis
from keyback.application.doctor.diagnosis import Diagnosis, Patient
from keyback.application.doctor.preflight import in_vain
from keyback.application.ports.storage import Tx
from keyback.application.services import Services
from keyback.domain.errors import Refusal
from keyback.locale import Locale
from keyback.web.portal import pages_diagnosis as pages
from keyback.web.portal.view import RecoveryView, held
from keyback.web.ui.context import AppContext, note_refusal, redirect
from keyback.web.ui.findings import self_checks, shown_of
from keyback.web.ui.routes import get

ORDER = ("found", "slow", "silent", "fine")  # what there is to do comes first


@get(held)
async def show(desk: AppContext, request: Request, handle: str, view: RecoveryView | None) -> Response:
    """GET `/r/{handle}/diagnosis`: asks the systems, changes nothing."""
    found = await page(desk, request, handle) if view is not None and view.case is not None else None
    if found is None:
        note_refusal(request, "wrong_state")
        return redirect(f"/r/{handle}")
    return found


async def page(desk: AppContext, request: Request, handle: str, path: str = "/diagnosis") -> Response | None:
    """The page, for whoever verified here; None for everybody else.

    Args:
        path: below the recovery's own, where the page is.
    """
    s, here = desk.services, desk.here(request)

    def begin(tx: Tx) -> tuple[Patient, bool]:
        of = diagnosis.patient(tx, handle, here, s.rules)
        return of, diagnosis.count(tx, of.person.id)

    try:
        of, in_time = await s.db.write(begin)
    except Refusal:
        return None
    at = f"/r/{handle}{path}"
    if not in_time:
        model = pages.Diagnosis(handle, (), self_checks(desk.locale(request)), over=not of.open, too_often=True)
        return desk.page(request, model, 429, step=2, path=at)
    patience = diagnosis.AGAIN_S if "again" in request.query_params else diagnosis.PATIENCE_S
    found = await diagnosis.diagnose(s, of, patience)
    await s.db.write(lambda tx: diagnosis.record(tx, of.case, found))
    return desk.page(request, _model(s, desk.locale(request), handle, of, found), step=2, path=at)


def _model(s: Services, locale: Locale, handle: str, of: Patient, found: tuple[Diagnosis, ...]) -> pages.Diagnosis:
    privileged = of.case.tier == "privileged"
    mine = [d for d in found if d.account.id in of.case.accounts and d.account.state != "disabled"]
    can = [d.account.id for d in mine if not d.account.provider and in_vain(d, privileged=privileged) is None]
    choosable = tuple(can) if of.open else ()
    systems = tuple(sorted((_system(s, locale, d) for d in found), key=lambda x: ORDER.index(x.state)))
    return pages.Diagnosis(handle, systems, self_checks(locale), bool(choosable), over=not of.open, choosable=choosable)


def _system(s: Services, locale: Locale, d: Diagnosis) -> pages.SystemCheck:
    connector = s.connectors.get(d.account.system)
    findings = shown_of(d, locale, connector, s.titles)
    return pages.SystemCheck(
        s.titles.get(d.account.system, d.account.system),
        d.account.username,
        "found" if findings else "slow" if d.fault else "silent" if d.silent else "fine",
        findings,
        d.stale,
        s.sign_in_urls.get(d.account.system, "") if d.account.id else "",
        d.account.id if d.second_step else "",
    )


ROUTES = [Route("/r/{handle:str}/diagnosis", show, methods=["GET"])]
