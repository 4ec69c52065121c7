"""`/r/{handle}` of a proven recovery that is not about a password: unlocking, a new second step, a new mailbox."""

from __future__ import annotations

from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyback.application import lockouts, remedies
from keyback.application.enrolling import EnrolsApp
from keyback.application.store import Tx
from keyback.domain.errors import BadInput, Refusal
from keyback.web import pages
from keyback.web.context import Desk, see
from keyback.web.forms import read_form
from keyback.web.pages_remedy import ReplaceFactor, ReplaceMailbox, Unlock
from keyback.web.portal.view import View, held_by

MOST_FAILING = 3
JOURNEYS = ("locked", "second_factor", "mailbox")


def masked(address: str) -> str:
    """`w•••@example.com`."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}•••@{domain}"


async def page(desk: Desk, request: Request, view: View, status: int = 200, **over: Any) -> Response:
    """What this journey's page shows once it may go on."""
    handle, here = view.intake.handle, desk.here(request)

    def load(tx: Tx) -> Any:
        o = remedies.opened(tx, handle, here)
        if view.intake.journey == "locked":
            can = tuple(a.system for a in remedies.unlockable(o, desk.services.connectors))
            why = lockouts.locks(tx, o.person.id, desk.services.rules)
            return o, can, why, lockouts.failing(tx, o.person.id)[:MOST_FAILING]
        if view.intake.journey == "second_factor":
            return o, remedies.bound_factors(tx, o.person.id), remedies.waiting_app(tx, o.person.id, handle)
        return o, remedies.other_mailboxes(tx, o.person.id), remedies.waiting_mailbox(tx, handle)

    try:
        _, *rest = await desk.services.db.read(load)
    except Refusal as e:
        reason: Any = "expired" if e.code == "expired" else "closed"
        return desk.page(request, pages.Ended(reason), status, step=1, path=f"/r/{handle}")
    model: pages.Page
    if view.intake.journey == "locked":
        titles = tuple(dict.fromkeys(desk.services.titles.get(s, s) for s in rest[0]))
        model = Unlock(handle, view.username, titles, locks=rest[1], failing=rest[2], **over)
    elif view.intake.journey == "second_factor":
        old = tuple((f.kind, f.label) for f in rest[0])
        model = ReplaceFactor(handle, view.username, old, *_shown(desk, view.username, rest[1], request), **over)
    else:
        others = tuple((c.id, masked(c.address)) for c in rest[0])
        model = ReplaceMailbox(handle, view.username, others, rest[1].address if rest[1] else "", **over)
    return desk.page(request, model, status, step=2, path=f"/r/{handle}")


def _app(desk: Desk) -> EnrolsApp:
    app = desk.services.proofs.get("totp")
    if not isinstance(app, EnrolsApp):
        raise Refusal("not_found")
    return app


def _shown(desk: Desk, username: str, new: Any, request: Request) -> tuple[str, str]:
    if new is None:
        return "", ""
    app, seed = _app(desk), str(new.data["seed"])
    company = getattr(desk.settings.company, desk.locale(request))
    groups = " ".join(seed[i : i + 4] for i in range(0, len(seed), 4))
    return groups, Markup(app.qr_svg(app.uri(seed, username, company)))  # noqa: S704 - of our own making, no text in it


async def _open(request: Request, journey: str) -> tuple[Desk, str, View] | Response:
    held = await held_by(request)
    if isinstance(held, Response):
        return held
    desk, handle, view = held
    if not await desk.limiter.allows("proofs", desk.origin(request).source):
        return desk.page(request, pages.ErrorPage(429, 60, f"/r/{handle}"), 429)
    if view is None or view.case is None or not view.case.open_to(handle) or view.intake.journey != journey:
        return see(f"/r/{handle}")
    return desk, handle, view


async def unlock(request: Request) -> Response:
    """POST `/r/{handle}/unlock`."""
    found = await _open(request, "locked")
    if isinstance(found, Response):
        return found
    desk, handle, view = found
    await read_form(request)
    s = desk.services
    try:
        results = await remedies.unlock(s.db, s.connectors, handle, desk.here(request))
    except Refusal:
        return see(f"/r/{handle}?new=1")
    failed = tuple(s.titles.get(a.system, a.system) for a, o in results if o.status != "done")
    return await page(desk, request, view, 200, failed=failed) if failed else see(f"/r/{handle}")


async def new_factor(request: Request) -> Response:
    """POST `/r/{handle}/factor/new`: a seed to scan."""
    found = await _open(request, "second_factor")
    if isinstance(found, Response):
        return found
    desk, handle, _ = found
    await read_form(request)
    here = desk.here(request)
    try:
        app = _app(desk)
        await desk.services.db.write(lambda tx: remedies.start_app(tx, app, handle, here))
    except Refusal:
        pass
    return see(f"/r/{handle}")


async def factor(request: Request) -> Response:
    """POST `/r/{handle}/factor`: the first code of the new app."""
    found = await _open(request, "second_factor")
    if isinstance(found, Response):
        return found
    desk, handle, view = found
    values = await read_form(request, "code")
    here = desk.here(request)
    try:
        app = _app(desk)
        done = await desk.services.db.write(lambda tx: remedies.replace_factor(tx, app, handle, values["code"], here))
    except Refusal:
        return see(f"/r/{handle}")
    return see(f"/r/{handle}") if done else await page(desk, request, view, 422, error=True)


async def mailbox(request: Request) -> Response:
    """POST `/r/{handle}/mailbox`: an address that was confirmed long ago."""
    found = await _open(request, "mailbox")
    if isinstance(found, Response):
        return found
    desk, handle, _ = found
    values = await read_form(request, "contact")
    here = desk.here(request)
    try:
        await desk.services.db.write(lambda tx: remedies.choose_mailbox(tx, handle, values["contact"], here))
    except Refusal:
        pass
    return see(f"/r/{handle}")


async def new_mailbox(request: Request) -> Response:
    """POST `/r/{handle}/mailbox/new`: a code to a new address."""
    found = await _open(request, "mailbox")
    if isinstance(found, Response):
        return found
    desk, handle, view = found
    values = await read_form(request, "address")
    typed, here = values["address"][:254], desk.here(request)
    error = ""
    try:
        await desk.services.db.write(lambda tx: remedies.start_mailbox(tx, handle, typed, here))
    except BadInput:
        error = "not_mail"
    except Refusal as e:
        error = e.code if e.code in ("known", "too_many") else ""
    if error:
        shown = "".join(c for c in typed if c.isprintable())
        return await page(desk, request, view, 422, error=error, typed=shown)
    return see(f"/r/{handle}")


async def mailbox_code(request: Request) -> Response:
    """POST `/r/{handle}/mailbox/code`."""
    found = await _open(request, "mailbox")
    if isinstance(found, Response):
        return found
    desk, handle, view = found
    values = await read_form(request, "code")
    here = desk.here(request)
    try:
        done = await desk.services.db.write(lambda tx: remedies.confirm_mailbox(tx, handle, values["code"], here))
    except Refusal:
        return see(f"/r/{handle}")
    return see(f"/r/{handle}") if done else await page(desk, request, view, 422, error="wrong")


ROUTES = [
    Route("/r/{handle:str}/unlock", unlock, methods=["POST"]),
    Route("/r/{handle:str}/factor/new", new_factor, methods=["POST"]),
    Route("/r/{handle:str}/factor", factor, methods=["POST"]),
    Route("/r/{handle:str}/mailbox", mailbox, methods=["POST"]),
    Route("/r/{handle:str}/mailbox/new", new_mailbox, methods=["POST"]),
    Route("/r/{handle:str}/mailbox/code", mailbox_code, methods=["POST"]),
]
