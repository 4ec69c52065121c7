"""The mailed links. Opening one changes nothing, however often and by whomever; only a POST of a person does (C5).

The token leaves the address bar at once: it moves into a cookie and the page lies at a clean address (C6, A-14.2.1).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyback.application.handles import holds
from keyback.application.origin import device_words
from keyback.application.ports.storage import Tx
from keyback.application.recovery import cancel, extra_mail, mailed_link
from keyback.application.throttling import duplicate_answers
from keyback.domain.challenges import challenge as ch
from keyback.domain.challenges.typed import digits
from keyback.domain.tokens import token_digest
from keyback.web.portal import pages
from keyback.web.portal.pages_link import LinkContinue, LinkOther, LinkPage, LinkProblem, LinkRenewed
from keyback.web.ui import links
from keyback.web.ui.context import AppContext, context_of, redirect
from keyback.web.ui.routes import Values, anybody, post

PAGES: Mapping[tuple[str, str], str] = {
    ("cancel", "account"): "/wasnt-me",
    ("cancel", "address"): "/new-address",
    ("cancel", "notice"): "/stop",
    ("enrol", "recovery_contact"): "/invited",
    ("recovery", "email_link"): "/link",
    ("recovery", "recovery_contact"): "/vouch",
    ("recovery", "choose_again"): "/again",
}
BROKEN = "-"  # in place of a name: what was opened cannot be a link


async def enter(request: Request) -> Response:
    """GET `/l/{token}`: the token into a cookie, the reader to the page that it is for."""
    desk, token = context_of(request), links.in_address(request.path_params["token"])
    if not token:
        return redirect(f"/link?{links.FIELD}={BROKEN}")
    return links.enter(desk, request, token, await desk.services.db.read(lambda tx: _page_for(tx, token)))


def _page_for(tx: Tx, token: str) -> str:
    """Where a token leads: tokens of one form stop a recovery or a change, vouch for somebody, or prove by mail."""
    found = tx.challenges.by_token(token_digest(token))
    if found is None:
        return "/link"
    c = found.challenge
    return "/stop" if found.stops else PAGES.get((c.purpose, c.method), "/link")


def _handles(desk: AppContext, request: Request) -> list[str]:
    """The recoveries that this browser holds, newest first."""
    return [h for h, secret in desk.cookies.held(request) if holds(desk.services.seals, h, secret)]


async def _own(desk: AppContext, request: Request, view: mailed_link.LinkView) -> tuple[str, bool]:
    """The other request that this browser waits for, and whether the link may fetch a mail for it."""
    handles = _handles(desk, request)
    if not handles or view.handle in handles:
        return "", False

    def look(tx: Tx) -> tuple[str, bool]:
        own = extra_mail.own_request(tx, handles)
        return own, bool(own) and extra_mail.can_fetch(view.challenge, tx.now)

    return await desk.services.db.read(look)


async def _problem(
    desk: AppContext, request: Request, reason: Any, view: mailed_link.LinkView | None = None, status: int = 410
) -> Response:
    """Why it cannot go on; a browser that holds this recovery, or waits for another one, is led back to it."""
    handle = view.handle if view and view.handle in _handles(desk, request) else ""
    over = reason in ("used", "replaced", "overtaken", "changed")
    own, can_fetch = await _own(desk, request, view) if view and view.challenge else ("", False)
    # A wrong number is not renewed: whoever was told one over the phone must not be one press away from the next mail.
    # Nor is a link that belongs to somebody else's request, as far as this browser knows.
    model = LinkProblem(reason, (over or reason == "expired") and not own, handle if over else None, own, can_fetch)
    model = replace(model, journey=view.journey) if view else model
    return desk.page(request, model, status, step=1, path="/link")


def _facts(view: mailed_link.LinkView) -> dict[str, Any]:
    return {
        "username": view.username,
        "asked_at": view.asked_at,
        "source": view.source,
        "device": device_words(view.agent),
    }


async def show(request: Request) -> Response:
    """GET `/link`: who asked, when, from where. In the browser that asked one button, in another a field for the number
    shown there; neither in one that waits for the mail of another request (ADR 18)."""
    desk = context_of(request)
    token = links.shown(desk, request)
    if not token:
        broken = request.query_params.get(links.FIELD) == BROKEN
        return await _problem(desk, request, "broken" if broken else "no_link", status=404)
    return await _shown(desk, request, await desk.services.db.read(lambda tx: mailed_link.look_at_link(tx, token)))


async def _shown(desk: AppContext, request: Request, view: mailed_link.LinkView, *, error: bool = False) -> Response:
    if view.problem is not None:
        return await _problem(desk, request, view.problem, view)
    own, can_fetch = await _own(desk, request, view)
    if own:
        return desk.page(request, LinkOther(**_facts(view), own=own, can_fetch=can_fetch), path="/link")
    held = view.handle in _handles(desk, request)
    model = LinkPage(**_facts(view), same_browser=held, journey=view.journey, error=error)
    return desk.page(request, model, 422 if error else 200, step=1, path="/link")


@post(anybody, "number", links.FIELD, limit="proofs", at="/link")
async def accept(desk: AppContext, request: Request, values: Values) -> Response:
    """POST `/link/accept`, with the `number` that was typed on another device."""
    token = links.sent(desk, request, values[links.FIELD])
    if not token:
        return links.stale(request, "/link", values[links.FIELD])
    seals, db = desk.services.seals, desk.services.db
    view = await db.read(lambda tx: mailed_link.look_at_link(tx, token))
    held = view.handle in _handles(desk, request)
    typed = digits(values["number"], ch.NUMBER_DIGITS)
    number = None if typed is None else int(typed)
    if not held and (number is None or (await _own(desk, request, view))[0]):
        return await _shown(desk, request, view, error=True)
    here = desk.here(request)

    async def once() -> mailed_link.LinkView:
        return await db.write(lambda tx: mailed_link.accept_link(tx, token, held=held, number=number, here=here))

    # Pressed twice at once, both answers are the page that comes next: a browser shows the second one only.
    where = (here.origin.source, here.origin.agent, str(held), str(number))
    key = duplicate_answers.key_of(db, "link", *where, answer=token)
    view, _ = await duplicate_answers.first(key, once, lambda found: found.problem is None)
    if held and view.challenge is not None and view.challenge.ended == "used":
        return redirect(f"/r/{view.handle}")
    if view.problem is not None:
        return await _problem(desk, request, view.problem, view)
    response = redirect(f"/r/{view.handle}")
    if not held:  # this device has shown the mail and the number: it may go on as well
        response = desk.page(request, LinkContinue(view.handle, view.journey), step=1, path="/link")
        desk.cookies.hold(request, response, view.handle, ch.holder_secret(seals.derive("holder"), view.handle))
    links.drop(desk, request, response, token)
    return response


@post(anybody, links.FIELD, limit="recoveries", at="/link")
async def again(desk: AppContext, request: Request, values: Values) -> Response:
    """POST `/link/again`: a new mail to the same stored address, unless the last one is too young."""
    token, held = links.sent(desk, request, values[links.FIELD]), _handles(desk, request)
    if not token:
        return links.stale(request, "/link", values[links.FIELD])
    done = await desk.services.db.write(lambda tx: _renew(tx, token, held))
    if done is None:
        return redirect("/forgot")
    handle, wait = done
    response = desk.page(request, LinkRenewed(handle if handle in held else None, wait), path="/link")
    if not wait:
        links.drop(desk, request, response, token)
    return response


def _renew(tx: Tx, token: str, held: list[str]) -> tuple[str, int] | None:
    """The handle, and the seconds until another mail can be asked for, 0 when one was queued now; None when it is
    over and only a new request helps. In the browser that asked, the link fetches the mail beside the budget."""
    before = tx.intakes.get(mailed_link.look_at_link(tx, token).handle)
    if before is None:
        return None
    wait = mailed_link.seconds_to_resend(before, tx.now)
    if not wait and before.handle in held and extra_mail.fetch(tx, token, before.handle):
        return before.handle, 0
    if mailed_link.renew(tx, token) is None:
        return None
    after = tx.intakes.get(before.handle)
    return (before.handle, wait) if wait or (after and after.sends > before.sends) else None


@post(anybody, links.FIELD, "own", limit="recoveries", at="/link")
async def fetch(desk: AppContext, request: Request, values: Values) -> Response:
    """POST `/link/fetch`: one mail for the request that this browser waits for, once for each mailed link."""
    mark, held, db = values[links.FIELD], _handles(desk, request), desk.services.db
    token = links.sent(desk, request, mark)
    own = await db.read(lambda tx: extra_mail.own_request(tx, held))
    meant = own and own == values["own"] and token
    if not meant or not await db.write(lambda tx: extra_mail.fetch(tx, token, own)):
        return links.stale(request, "/link", mark)  # which says what can still be done
    response = desk.page(request, LinkRenewed(own, fetched=True), path="/link")
    links.drop(desk, request, response, token)
    return response


async def look_at_stop(request: Request) -> Response:
    """GET `/stop` or `/link/stop`: what a POST would cancel. Changes nothing."""
    desk, by_link = context_of(request), request.url.path == "/link/stop"
    token, view = links.shown(desk, request), mailed_link.LinkView("unknown")
    if token:
        view = await desk.services.db.read(lambda tx: mailed_link.look_at_stop(tx, token, by_link=by_link))
    if view.problem is not None:
        return await _problem(desk, request, view.problem)
    return desk.page(request, pages.StopPage(**_facts(view), by_link=by_link))


@post(anybody, links.FIELD)
async def stop(desk: AppContext, request: Request, values: Values) -> Response:
    """POST `/stop` or `/link/stop`: it wasn't me."""
    mark, held = values[links.FIELD], _handles(desk, request)
    token = links.sent(desk, request, mark)
    if not token:
        return links.stale(request, request.url.path, mark)
    view = await desk.services.db.write(lambda tx: cancel.stop_by_owner(tx, token, held))
    if view.problem not in (None, "stopped"):
        return await _problem(desk, request, view.problem)
    waited = view.problem is None and view.challenge is None  # the link of a notice, not of a mail that asks for proof
    response = desk.page(request, pages.Stopped(by_mail=True, proven=waited), path="/stop")
    links.drop(desk, request, response, token)
    return response


ROUTES = [
    Route("/l/{token:path}", enter, methods=["GET"]),
    Route("/link", show, methods=["GET"]),
    Route("/link/accept", accept, methods=["POST"]),
    Route("/link/again", again, methods=["POST"]),
    Route("/link/fetch", fetch, methods=["POST"]),
    Route("/link/stop", look_at_stop, methods=["GET"]),
    Route("/link/stop", stop, methods=["POST"]),
    Route("/stop", look_at_stop, methods=["GET"]),
    Route("/stop", stop, methods=["POST"]),
]
