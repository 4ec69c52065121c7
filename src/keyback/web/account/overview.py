"""`/account`: how well somebody is prepared and what to do next; the steps after a recovery."""

from __future__ import annotations

from dataclasses import replace

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyback.application import locking
from keyback.application.account import lockdown, readiness, systems
from keyback.application.desk import manager, outbound_call
from keyback.application.enrolment import recently_added
from keyback.application.enrolment.tier import tier_of
from keyback.application.ports.proofs import Enrolments
from keyback.application.ports.storage import Tx
from keyback.application.recovery import aftercare
from keyback.domain.errors import Refusal
from keyback.domain.passwords.rules import DAY
from keyback.domain.people.person import only_address
from keyback.web.account.contacts import lines_of
from keyback.web.account.devices import END_OF_LOG, event
from keyback.web.account.pages import After, Overview
from keyback.web.account.session import Me, mine, page
from keyback.web.ui.context import AppContext, redirect
from keyback.web.ui.routes import Values, get, post

SIGN_INS = frozenset({"signed_in", "sign_in_failed", "second_step_asked", "second_step_refused"})
MAX_ASKED = 3  # contacts in one question; the next sign-in asks for the rest
MAX_EVENTS = 40  # events that are searched for sign-ins


@get(mine())
async def show(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account`."""
    return page(desk, request, me, await desk.services.db.read(lambda tx: _overview(tx, desk, me)))


def _overview(tx: Tx, desk: AppContext, me: Me) -> Overview:
    s, person = desk.services, me.person
    contacts = tuple(tx.contacts.of_person(person.id))
    codes = tuple(tx.factors.codes([f.id for f in me.factors]))
    tier = tier_of(tx, person, tx.people.accounts([person.id]).get(person.id, ()), s.policy)
    found = readiness.outlook(Enrolments(person, contacts, me.factors, codes), s.proofs, s.policy, tier, tx.now)
    due_at = s.rules.due_at(tx.people.changed_at(me.account.id) or tx.now)
    sign_ins = [event(h) for h in tx.audit.of_person(person.id, END_OF_LOG, MAX_EVENTS) if h.type in SIGN_INS]
    return Overview(
        name=person.name,
        username=me.account.username,
        outlook=found,
        sign_ins=tuple(sign_ins[:3]),
        due_in_days=None if due_at is None else max(0, -(-(due_at - tx.now) // DAY)),
        after_recovery=bool(tx.cases.last_recovery(person.id)) and bool(aftercare.open_steps(tx, person.id)),
        privileged=tier == "privileged",
        one_address=bool(only_address(contacts, tx.now)),
        call=outbound_call.call_to(tx, person.id),
        callers=len(manager.asked(tx, person.id)),
        ask_about=tuple(x for x in lines_of(tx, person.id, s.policy.ages) if x.age)[:MAX_ASKED],
    )


# ── after a recovery ────────────────────────────────────────────────────────


@get(mine())
async def after(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/after`."""

    def load(tx: Tx) -> After:
        ticked = aftercare.done(tx, me.person.id)
        added = recently_added.recent(tx, me.person.id, tx.now - aftercare.LOOK_BACK)
        events = [event(h) for h in tx.audit.of_person(me.person.id, END_OF_LOG, MAX_EVENTS) if h.type in SIGN_INS]
        return After(
            tuple(ticked),
            lines_of(tx, me.person.id, desk.services.policy.ages),
            added,
            tuple(events[:5]),
            me.account.username,
        )

    rows = await systems.look(desk.services, me.person.id)
    model = replace(await desk.services.db.read(load), now=me.now)
    theirs = tuple(r for r in rows if r.tells or r.silence)
    return page(desk, request, me, replace(model, systems=theirs))


@post(mine(), "step", many=("remove",))
async def after_step(desk: AppContext, request: Request, values: Values, me: Me) -> Response:
    """POST `/account/after`: ticks a step off, and removes what is not the owner's."""
    ids = [x for x in values["remove"].split("\n") if x]
    if ids and not me.fresh:
        return redirect("/account/confirm?next=/account/after")
    origin = desk.origin(request)

    def act(tx: Tx) -> None:
        if ids:
            lockdown.drop(tx, locking.own(tx, me.session), ids, desk.services.policy, origin)
        aftercare.tick(tx, me.person.id, values["step"][:20])

    try:
        await desk.services.db.write(act)
    except Refusal:
        return redirect("/account")
    return redirect("/account/after")


ROUTES = [
    Route("/account", show, methods=["GET"]),
    Route("/account/after", after, methods=["GET"]),
    Route("/account/after", after_step, methods=["POST"]),
]
