"""`/r/{handle}/ways`: other proofs than the mailed link, before the first one and after it.

Before anything is proven these pages are the same for every identifier, known or not; only what the policy takes is
listed. Afterwards they show what this person has on record, masked.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyback.application import ways
from keyback.application.passwords import Busy
from keyback.application.ports import Proof
from keyback.application.store import Tx
from keyback.domain import case as dc
from keyback.domain import challenge as ch
from keyback.domain.case import Case, State
from keyback.domain.errors import Refusal
from keyback.web import pages
from keyback.web.context import Desk, see
from keyback.web.forms import read_form
from keyback.web.pages_ways import Held, InReview, NewCode, OneWay, WayOption, Ways
from keyback.web.portal.view import View, held_by, look

MOST_ANSWER = 8192  # a WebAuthn assertion with a large extension; everything else is far shorter


async def _options(desk: Desk, view: View) -> tuple[WayOption, ...]:
    """What can be offered: to everybody the same until a proof was accepted here."""
    s = desk.services
    if view.case is None:
        return tuple(WayOption(n) for n in ways.offered(s.proofs, s.policy, view.intake.journey))
    case, handle = view.case, view.intake.handle
    found = await s.db.read(lambda tx: ways.open_ways(tx, s.proofs, s.policy, case, handle))
    return tuple(WayOption(w.proof, tuple((t.id, t.hint) for t in w.targets)) for w in found if w.proof != "email_link")


async def more_page(desk: Desk, request: Request, view: View, status: int = 200, refused: Any = "") -> Response:
    """The list of ways."""
    handle, case = view.intake.handle, view.case
    model = Ways(
        handle=handle,
        proven=case is not None,
        journey=view.intake.journey,
        options=await _options(desk, view),
        shown=tuple(dict.fromkeys(e.proof for e in case.shown_by(handle))) if case else (),
        username=view.username,
        version=view.version,
        refused=refused,
    )
    return desk.page(request, model, status, step=1, path=f"/r/{handle}/ways")


async def waiting_page(desk: Desk, request: Request, view: View, case: Case) -> Response:
    """A hold or a review, with what would spare it."""
    handle = view.intake.handle
    options = await _options(desk, view)
    until = case.hold_of(handle)
    if until:
        reason = await desk.services.db.read(lambda tx: _reason(tx, case, handle, desk))
        model: pages.Page = Held(handle, until, reason, view.username, options, view.version)
    else:
        passkeys = tuple(o for o in options if o.proof == "passkey")
        model = InReview(handle, view.username, passkeys, view.version)
    return desk.page(request, model, step=1, path=f"/r/{handle}")


def _reason(tx: Tx, case: Case, handle: str, desk: Desk) -> str:
    """The word for the hold, as it was when it began: told again from what is known, never from the request."""
    intake = tx.intakes.get(handle)
    if intake is not None and intake.journey == "mailbox":
        return "mailbox"
    if any(e.kind == "proofing" for e in case.shown_by(handle)):
        return "proofing"
    wait = case.hold_of(handle) - max((e.accepted_at for e in case.shown_by(handle)), default=0)
    return "privileged" if wait > desk.services.policy.holds.new_device else "new_device"


async def show(request: Request) -> Response:
    """GET `/r/{handle}/ways`."""
    held = await held_by(request)
    if isinstance(held, Response):
        return held
    desk, handle, view = held
    if view is None or not _may_go_on(view):
        return see(f"/r/{handle}")
    return await more_page(desk, request, view)


def _may_go_on(view: View) -> bool:
    """Whether there is anything left to prove here."""
    if view.case is None:
        return (
            view.intake.state != "stopped" and view.now < view.intake.expires_at and view.intake.journey != "username"
        )
    open_to = view.case.open_to(view.intake.handle)
    return view.case.state in dc.JOINABLE and view.now < view.case.expires_at and not open_to


async def begin(request: Request) -> Response:
    """POST `/r/{handle}/ways/{proof}`: asks for a question to be put."""
    held = await held_by(request)
    if isinstance(held, Response):
        return held
    desk, handle, view = held
    values = await read_form(request, "target")
    if not await desk.limiter.allows("recoveries", desk.origin(request).source):
        return desk.page(request, pages.ErrorPage(429, 60, f"/r/{handle}"), 429)
    proof = _proof(desk, request)
    if view is None or proof is None or not _may_go_on(view):
        return see(f"/r/{handle}")
    target = values["target"] if view.case is not None else ""
    queued = await desk.services.db.write(lambda tx: _ask(tx, desk, view, proof, target))
    if not queued and view.case is None:
        return see(f"/r/{handle}/ways/{proof.name}")
    if not queued:
        return await more_page(desk, request, view, 429, "too_early")
    return see(f"/r/{handle}/ways/{proof.name}")


def _ask(tx: Tx, desk: Desk, view: View, proof: Proof, target: str) -> bool:
    queued = ways.ask(tx, view.intake.handle, proof, target)
    if queued and view.case is not None:  # nothing to hide any more, so nobody has to wait for the worker
        ways.resolve_wants(tx, desk.services.proofs, desk.services.policy)
    return queued


def _proof(desk: Desk, request: Request) -> Proof | None:
    name = request.path_params["proof"]
    return desk.services.proofs.get(name) if desk.services.policy.takes(name) else None


async def one(request: Request) -> Response:
    """GET `/r/{handle}/ways/{proof}`."""
    held = await held_by(request)
    if isinstance(held, Response):
        return held
    desk, handle, view = held
    proof = _proof(desk, request)
    if view is None or proof is None or not _may_go_on(view):
        return see(f"/r/{handle}")
    return await _one(desk, request, view, proof)


async def _one(desk: Desk, request: Request, view: View, proof: Proof, status: int = 200, **over: Any) -> Response:
    handle = view.intake.handle
    wants, asked = await desk.services.db.read(
        lambda tx: (tx.prompts.wanted(handle), ways.asked_now(tx, handle, proof))
    )  # fmt: skip
    want = next((w for w in wants if w.proof == proof.name), None)
    if want is None:
        return see(f"/r/{handle}/ways")
    if view.case is not None and not asked and any(e.proof == proof.name for e in view.case.shown_by(handle)):
        return see(f"/r/{handle}")  # it was answered, as by a colleague elsewhere: the page goes on by itself
    proven = view.case is not None
    left = max(0, (want.asked_at + proof.life_ms - view.now) // 1000)
    again = max(0, -(-(want.asked_at + ch.RESEND_AFTER - view.now) // 1000)) if proof.carrier else None
    model = OneWay(
        handle=handle,
        proof=proof.name,
        proven=proven,
        form=proof.form(asked or [ways.stand_in(desk.services.seals, want)], desk.locale(request)),
        hint=asked[0].target.hint if proven and asked else "",
        seconds_left=left,
        resend_in_seconds=again,
        tries_left=max(0, ch.TRIES_SHOWN - want.tries),
        version=view.version,
    )
    model = replace(model, **over)
    return desk.page(request, model, status, step=1, path=f"/r/{handle}/ways/{proof.name}")


async def answer(request: Request) -> Response:
    """POST `/r/{handle}/ways/{proof}/answer`."""
    held = await held_by(request)
    if isinstance(held, Response):
        return held
    desk, handle, view = held
    values = await read_form(request, "code", "assertion")
    if not await desk.limiter.allows("proofs", desk.origin(request).source):
        return desk.page(request, pages.ErrorPage(429, 60, f"/r/{handle}"), 429)
    proof = _proof(desk, request)
    if view is None or proof is None or proof.name == "recovery_contact" or not _may_go_on(view):
        return see(f"/r/{handle}")
    typed = values["assertion"] or values["code"]
    try:
        code, left, new = await ways.answer(desk.services.db, proof, handle, typed[:MOST_ANSWER], desk.here(request))
    except Refusal:
        return see(f"/r/{handle}")
    except Busy:
        response = await _one(desk, request, view, proof, 503, error="busy")
        response.headers["retry-after"] = "2"
        return response
    if code == "accepted":
        return desk.page(request, NewCode(handle, new.reveal()), path=f"/r/{handle}") if new else see(f"/r/{handle}")
    fresh = await desk.services.db.read(lambda tx: look(tx, handle))
    if fresh is None:
        return see(f"/r/{handle}")
    return await _one(desk, request, fresh, proof, 422, error=code, tries_left=left)


async def further(desk: Desk, request: Request, view: View, case: Case) -> Response:
    """What a page shows whose proofs are not enough yet, or have to wait."""
    handle = view.intake.handle
    if case.hold_of(handle) or (case.state == State.IN_REVIEW and case.shown_by(handle)):
        return await waiting_page(desk, request, view, case)
    return await more_page(desk, request, view)


ROUTES = [
    Route("/r/{handle:str}/ways", show, methods=["GET"]),
    Route("/r/{handle:str}/ways/{proof:str}", one, methods=["GET"]),
    Route("/r/{handle:str}/ways/{proof:str}", begin, methods=["POST"]),
    Route("/r/{handle:str}/ways/{proof:str}/answer", answer, methods=["POST"]),
]
