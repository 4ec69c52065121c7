"""`/ask` and `/r/{handle}/help`: where nothing else works, the help desk is asked. Nothing here tells who is known."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keyback.application.clock import wall_clock
from keyback.application.desk import help_request
from keyback.application.recovery import start
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.people.pasted import pasted
from keyback.web.portal import pages
from keyback.web.portal.pages_help import AskForHelp, HelpForm, HelpStatus
from keyback.web.portal.view import RecoveryView, held, step
from keyback.web.ui.context import AppContext, context_of, note_refusal, redirect
from keyback.web.ui.routes import Values, anybody, get, post

FIELDS = {"not_mail": "contact"}


async def ask_page(request: Request) -> Response:
    """GET `/ask`."""
    return context_of(request).page(request, AskForHelp())


@post(anybody, "identifier", limit="recoveries")
async def ask(desk: AppContext, request: Request, values: Values) -> Response:
    """POST `/ask`: writes a request down that no mail is sent for, and goes on to the form."""
    s = desk.services
    try:
        identifier = pasted(values["identifier"])
        started = await start.write_down(
            s.db,
            s.seals,
            identifier,
            journey="mailbox",
            system="",
            locale=desk.locale(request),
            origin=desk.origin(request),
            now=wall_clock(),
            numbers=s.numbers,
        )
    except BadInput as e:
        typed = help_request.shown_of(values["identifier"][:254])
        return desk.page(
            request, AskForHelp(pages.IDENTIFIER_WRONG.get(e.code, pages.IDENTIFIER_MALFORMED), typed), 422
        )
    response = redirect(f"/r/{started.handle}/help")
    desk.cookies.hold(request, response, started.handle, started.secret)
    return response


def _tried(view: RecoveryView) -> tuple[tuple[str, int], ...]:
    """What this page tried, from what it knows itself."""
    i = view.intake
    if i.journey == "mailbox":
        return (("no_mail", 1),)
    return (("mails", i.sends), *((("codes", i.tries),) if i.tries else ()))


def _form(view: RecoveryView, **over: str) -> HelpForm:
    shown = view.case.shown_by(view.intake.handle) if view.case else ()
    proofs = tuple(dict.fromkeys(e.proof for e in shown))
    return HelpForm(view.intake.handle, view.intake.journey, _tried(view), proofs, **over)


def version_of(s: help_request.Status | None) -> str:
    """Changes when the page would."""
    return f"{s.request.state[:1]}{len(s.request.lines)}p{s.place}" if s else "none"


async def _draw(
    desk: AppContext, request: Request, handle: str, view: RecoveryView | None, status: int = 200, **over: str | bool
) -> Response:
    path = f"/r/{handle}/help"
    found = await desk.services.db.read(lambda tx: help_request.look(tx, handle))
    if found is not None:
        model = HelpStatus(handle, found, version=version_of(found), **over)  # type: ignore[arg-type]
        return desk.page(request, model, status, path=path)
    if view is None or view.intake.state == "stopped":
        return redirect(f"/r/{handle}")
    return desk.page(request, _form(view), status, path=path)


@get(held)
async def show(desk: AppContext, request: Request, handle: str, view: RecoveryView | None) -> Response:
    """GET `/r/{handle}/help`."""
    return await _draw(desk, request, handle, view)


@step("reason", "contact", limit="recoveries")
async def take(desk: AppContext, request: Request, values: Values, handle: str, view: RecoveryView | None) -> Response:
    """POST `/r/{handle}/help`: asks."""
    if view is None:
        return redirect(f"/r/{handle}")
    s, intake = desk.services, view.intake
    try:
        await s.db.write(lambda tx: help_request.ask(tx, intake, values["reason"], values["contact"], s.mail_quota))
    except BadInput as e:
        note_refusal(request, e.code)
        typed = {"reason": values["reason"], "contact": values["contact"]}
        model = _form(view, error=e.code, at=FIELDS.get(e.code, "reason"), **typed)
        return desk.page(request, model, 422, path=f"/r/{handle}/help")
    except Refusal as e:
        note_refusal(request, e.code)
    return redirect(f"/r/{handle}/help")


@step("code", limit="proofs")
async def code(desk: AppContext, request: Request, values: Values, handle: str, view: RecoveryView | None) -> Response:
    """POST `/r/{handle}/help/code`: the code that went to the address; counted before it is compared."""
    db = desk.services.db
    if not await db.write(lambda tx: help_request.count_try(tx, handle)):
        return await _draw(desk, request, handle, view, 422, error="code_over")
    answer = await db.write(lambda tx: help_request.confirm(tx, handle, values["code"]))
    if answer == "confirmed":
        return redirect(f"/r/{handle}/help")
    note_refusal(request, answer)
    return await _draw(desk, request, handle, view, 422, error=f"code_{answer}")


@step(limit="recoveries")
async def again(desk: AppContext, request: Request, _: Values, handle: str, view: RecoveryView | None) -> Response:
    """POST `/r/{handle}/help/again`: a new code."""
    if view is None:
        return redirect(f"/r/{handle}")
    s, intake = desk.services, view.intake
    sent = await s.db.write(lambda tx: help_request.send_again(tx, intake, s.mail_quota))
    if not sent:
        return redirect(f"/r/{handle}/help")
    return await _draw(desk, request, handle, view, resent=True)


@step("text", "act", limit="recoveries")
async def write(desk: AppContext, request: Request, values: Values, handle: str, view: RecoveryView | None) -> Response:
    """POST `/r/{handle}/help/text`: a message, or what opens a closed request again."""
    act = help_request.reopen if values["act"] == "reopen" else help_request.write
    try:
        await desk.services.db.write(lambda tx: act(tx, handle, values["text"]))
    except (BadInput, Refusal) as e:
        note_refusal(request, e.code)
        status = 422 if isinstance(e, BadInput) else 429 if e.code == "too_many" else 409
        return await _draw(desk, request, handle, view, status, error=e.code, text=values["text"])
    return redirect(f"/r/{handle}/help")


async def status(request: Request) -> Response:
    """GET `/r/{handle}/help/status`: a word that changes when the page would."""
    known = await held(request)
    if isinstance(known, Response):
        return JSONResponse({"version": ""}, 403)
    handle = known[0]
    found = await context_of(request).services.db.read(lambda tx: help_request.look(tx, handle))
    return JSONResponse({"version": version_of(found)})


ROUTES = [
    Route("/ask", ask_page, methods=["GET"]),
    Route("/ask", ask, methods=["POST"]),
    Route("/r/{handle:str}/help", show, methods=["GET"]),
    Route("/r/{handle:str}/help", take, methods=["POST"]),
    Route("/r/{handle:str}/help/code", code, methods=["POST"]),
    Route("/r/{handle:str}/help/again", again, methods=["POST"]),
    Route("/r/{handle:str}/help/text", write, methods=["POST"]),
    Route("/r/{handle:str}/help/status", status, methods=["GET"]),
]
