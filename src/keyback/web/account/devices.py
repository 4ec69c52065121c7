"""`/account/devices`: where somebody is signed in and which browsers are known; `/account/activity`: what happened."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyback.application.ports.enrolment_storage import Happened
from keyback.application.ports.storage import Session, Tx
from keyback.application.throttling import lockouts
from keyback.domain.people.factor import Device
from keyback.domain.recovery.events import Note
from keyback.domain.tokens import token_digest
from keyback.web.account.pages import Activity, DeviceLine, Devices, EndDevice, Event, SessionLine
from keyback.web.account.session import Me, mine, page
from keyback.web.account.systems import sign_ins
from keyback.web.http.cookies import DEVICE
from keyback.web.ui.context import AppContext, redirect
from keyback.web.ui.routes import Values, get, post

PER_PAGE = 30
MAX_FAILING = 3
END_OF_LOG = 2**62
HIDDEN = frozenset({"challenge_sent", "refreshed", "mail_withheld", "step_done", "account_settled", "closed"})
"""Events that tell their person nothing."""


def _session(s: Session, me: Me) -> SessionLine:
    this = s.digest == me.session.digest
    return SessionLine(s.digest.hex()[:32], s.device, s.source, s.created_at, s.seen_at, s.proven, this)


def _device(d: Device, here: bytes) -> DeviceLine:
    return DeviceLine(d.digest.hex()[:32], d.words, d.source, d.added_at, d.seen_at, d.digest == here)


@get(mine())
async def show(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/devices`."""
    here = token_digest(desk.cookies.get(request, DEVICE))

    def load(tx: Tx) -> Devices:
        sessions = [_session(s, me) for s in tx.sessions.of_person(me.person.id)]
        known = [_device(d, here) for d in tx.devices.of_person(me.person.id)]
        ordered = sorted(sessions, key=lambda s: (not s.this, -s.seen_at))
        return Devices(tuple(ordered), tuple(known), request.query_params.get("done") == "ended")

    return page(desk, request, me, await desk.services.db.read(load))


@get(mine())
async def ask_end(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/devices/end?session=…` or `?device=…`: asks first; changes nothing."""
    session, device = (request.query_params.get(name, "")[:32] for name in ("session", "device"))

    def load(tx: Tx) -> EndDevice | None:
        if session == "others":
            return EndDevice("others", session)
        if session:
            rows = [_session(s, me) for s in tx.sessions.of_person(me.person.id)]
            return next((EndDevice("session", s.id, s.device, s.source) for s in rows if s.id == session), None)
        known = [_device(d, b"") for d in tx.devices.of_person(me.person.id)]
        return next((EndDevice("device", d.id, d.words, d.source) for d in known if d.id == device), None)

    model = await desk.services.db.read(load)
    return page(desk, request, me, model) if model is not None else redirect("/account/devices")


@post(mine(), "session", "device")
async def end(desk: AppContext, request: Request, values: Values, me: Me) -> Response:
    """POST `/account/devices`: ends one session or all others, or forgets one browser or all of them."""
    origin = desk.origin(request)
    where = {"source": origin.source[:45], "device": origin.agent}

    def act(tx: Tx) -> None:
        n = 0
        for s in tx.sessions.of_person(me.person.id):
            meant = values["session"] in ("others", s.digest.hex()[:32])
            if meant and s.digest != me.session.digest:
                tx.sessions.end(s.digest)
                n += 1
        forgotten = 0
        for d in tx.devices.of_person(me.person.id):
            if values["device"] in ("all", d.digest.hex()[:32]):
                forgotten += tx.devices.forget(me.person.id, d.digest)
        if n or forgotten:
            kind = "sessions_ended" if n else "devices_forgotten"
            tx.audit.record(me.person.id, [Note(kind, {"count": n or forgotten, **where})])

    await desk.services.db.write(act)
    return redirect("/account/devices?done=ended")


def event(h: Happened) -> Event:
    """An event in the shape that the page has words for."""
    text = {k: str(v) for k, v in h.data.items() if isinstance(v, str | int)}
    return Event(
        h.type, h.at, text.get("source", ""), text.get("device", ""), text.get("proof", ""), text.get("by", "")
    )


@get(mine())
async def activity(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/activity?before=…`."""
    asked = request.query_params.get("before", "")
    before = int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 19 else END_OF_LOG

    def load(tx: Tx) -> tuple[Sequence[Happened], tuple[lockouts.StalePasswordSource, ...]]:
        found = lockouts.stale_password_sources(tx, me.person.id)[:MAX_FAILING] if before == END_OF_LOG else ()
        return tx.audit.of_person(me.person.id, before, PER_PAGE + 1), found

    rows, failing = await desk.services.db.read(load)
    shown = rows[:PER_PAGE]
    older = shown[-1].seq if len(rows) > PER_PAGE else 0
    own = [event(h) for h in shown if h.type not in HIDDEN]
    # What the systems tell of the same span of time.
    since, until = shown[-1].at if older else 0, END_OF_LOG if before == END_OF_LOG or not shown else shown[0].at
    theirs = await sign_ins(desk, me, since, until)
    events = tuple(sorted((*own, *theirs), key=lambda e: -e.at))
    return page(desk, request, me, Activity(events, older, failing))


ROUTES = [
    Route("/account/devices", show, methods=["GET"]),
    Route("/account/devices/end", ask_end, methods=["GET"]),
    Route("/account/devices", end, methods=["POST"]),
    Route("/account/activity", activity, methods=["GET"]),
]
