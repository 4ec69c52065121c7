"""`/console/people`: somebody's accounts and what keeps them out, and what an operator may do about it."""

from __future__ import annotations

import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from keyback.application.desk import actions, groups, records
from keyback.application.desk.sessions import Actor
from keyback.application.policy.coverage import Offer
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators.actions import ActionKind
from keyback.domain.operators.roles import Permission
from keyback.domain.people.groups import MAX_GROUP
from keyback.web.console.pages import GroupsPage, PeoplePage, PersonPage, StrandedPeople
from keyback.web.console.routes import acts, shows
from keyback.web.console.session import page
from keyback.web.ui.context import AppContext, note_refusal, redirect
from keyback.web.ui.page import ErrorPage
from keyback.web.ui.routes import Values

AT = "/console/people"
ONE = AT + "/{id:str}"
BACK = "/console/people/{id}"
ID = re.compile(r"[A-Za-z0-9_-]{22}\Z")
STATUS: Final = {
    "yourself": 403,
    "rank": 403,
    "empty": 422,
    "too_long": 422,
    "journey": 422,
    "hours": 422,
    "too_many": 429,
    "not_found": 404,
}
DONE: Final = {
    f"{kind}{suffix}"
    for kind in ("start", "unlock", "hold", "lock", "end_sessions", "cancel")
    for suffix in ("", "-waits")
}


@shows(AT, Permission.PEOPLE_VIEW)
async def show(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/people`: looks for somebody."""
    return page(desk, request, actor, PeoplePage(), path=AT)


@acts(AT + "/find", Permission.PEOPLE_VIEW, "q")
async def find(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/people/find`: by exactly what was typed; in no address bar."""
    typed = values["q"][:254]
    try:
        found = await desk.services.db.write(lambda tx: records.find(tx, actor, typed))
    except Refusal as e:
        note_refusal(request, e.code)
        return page(desk, request, actor, PeoplePage(typed, e.code), STATUS.get(e.code, 409), path=AT)
    if found:
        return redirect(f"{AT}/{found}")
    return page(desk, request, actor, PeoplePage(typed, "nobody"), 404, path=AT)


@shows(AT + "/stranded", Permission.PEOPLE_VIEW)
async def stranded(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/people/stranded`: who has no way back now."""
    s, asked = desk.services, request.query_params.get("after", "")
    after = asked if ID.match(asked) else ""
    offer = Offer(s.policy, s.proofs)
    found = await s.db.read(lambda tx: records.without_way_back(tx, offer, after))
    return page(desk, request, actor, StrandedPeople(found, after), path=f"{AT}/stranded")


@shows(AT + "/groups", Permission.PEOPLE_VIEW)
async def in_groups(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/people/groups`: all groups, or the people of one."""
    db, asked = desk.services.db, request.query_params.get("group", "").strip()[:MAX_GROUP]
    behind = request.query_params.get("after", "")[:MAX_GROUP]
    if not asked:
        listed = await db.read(lambda tx: groups.names(tx, behind))
        return page(desk, request, actor, GroupsPage(listed, after=behind), path=f"{AT}/groups")
    after = behind if ID.match(behind) else ""
    try:
        found = await db.write(lambda tx: groups.members(tx, actor, asked, after))
    except Refusal as e:
        note_refusal(request, e.code)
        none = GroupsPage(groups.GroupMembers("", (), ""), asked, after, e.code)
        return page(desk, request, actor, none, STATUS.get(e.code, 409), path=f"{AT}/groups")
    model = GroupsPage(found, asked, after, "" if found.group else "nobody")
    return page(desk, request, actor, model, 200 if found.group else 404, path=f"{AT}/groups")


async def _draw(
    desk: AppContext,
    request: Request,
    actor: Actor,
    status: int = 200,
    error: str = "",
    form: str = "",
    typed: Values | None = None,
) -> Response:
    """The page of a person, and the note of the look; 404 for none."""
    s, person_id = desk.services, request.path_params["id"]
    try:
        record = await s.db.write(lambda tx: records.look(tx, actor, person_id, s.policy, s.rules))
    except Refusal:
        return desk.page(request, ErrorPage(404, back=AT), 404, path=AT)
    said = request.query_params.get("done", "")
    done = said if said in DONE and not error else ""
    model = PersonPage(record, s.titles, error, form, typed or {}, done)
    return page(desk, request, actor, model, status, path=f"{AT}/{person_id}")


@shows(ONE, Permission.PEOPLE_VIEW)
async def one(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/people/{id}`."""
    return await _draw(desk, request, actor)


async def _act(
    desk: AppContext, request: Request, values: Values, actor: Actor, kind: ActionKind, detail: str = ""
) -> Response:
    """Does something about a person, or puts it before a second operator; what was typed stays where it was refused."""
    s, person_id = desk.services, request.path_params["id"]
    try:
        action = await s.db.write(
            lambda tx: actions.ask(tx, actor, person_id, kind, values["reason"], s.policy, detail=detail)
        )
    except (Refusal, BadInput) as e:
        note_refusal(request, e.code)
        if e.code in ("step_up", "over"):
            return redirect(f"/console/confirm?next={AT}/{person_id}")
        return await _draw(desk, request, actor, STATUS.get(e.code, 409), e.code, kind, values)
    return redirect(f"{AT}/{person_id}?done={kind}{'-waits' if action.state == 'waiting' else ''}")


@acts(ONE + "/start", Permission.PEOPLE_ACT, "reason", "journey", fresh=True, back=BACK)
async def start(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/people/{id}/start`: a recovery, which the person goes on with by themselves."""
    return await _act(desk, request, values, actor, "start", values["journey"])


@acts(ONE + "/unlock", Permission.PEOPLE_ACT, "reason", fresh=True, back=BACK)
async def unlock(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/people/{id}/unlock`."""
    return await _act(desk, request, values, actor, "unlock")


@acts(ONE + "/hold", Permission.PEOPLE_ACT, "reason", "hours", fresh=True, back=BACK)
async def hold(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/people/{id}/hold`: by how many hours it ends later than the policy set."""
    return await _act(desk, request, values, actor, "hold", values["hours"])


@acts(ONE + "/lock", Permission.PEOPLE_ACT, "reason", fresh=True, back=BACK)
async def lock(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/people/{id}/lock`."""
    return await _act(desk, request, values, actor, "lock")


@acts(ONE + "/sessions", Permission.PEOPLE_ACT, "reason", fresh=True, back=BACK)
async def end_sessions(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/people/{id}/sessions`."""
    return await _act(desk, request, values, actor, "end_sessions")


@acts(ONE + "/cancel", Permission.PEOPLE_ACT, "reason", "case", fresh=True, back=BACK)
async def cancel(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/people/{id}/cancel`."""
    return await _act(desk, request, values, actor, "cancel", values["case"])


ROUTES = [show, find, stranded, in_groups, one, start, unlock, hold, lock, end_sessions, cancel]
