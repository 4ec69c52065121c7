"""People for programs: found, seen masked, and what a program may do about them where one operator is enough (ADR 50).

Whatever lets somebody in by two, opens a lock, or changes a hold is for operators in the console.
"""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query
from starlette.responses import Response

from keyback.application.desk import actions, groups, records
from keyback.application.desk.records import Record
from keyback.application.desk.sessions import Actor
from keyback.application.policy.coverage import Offer
from keyback.application.ports.storage import Tx
from keyback.domain.errors import Refusal
from keyback.domain.operators.actions import ActionKind
from keyback.domain.operators.roles import Permission
from keyback.domain.people.groups import MAX_GROUP
from keyback.web.api.admin import models as m
from keyback.web.api.admin import models_people as mp
from keyback.web.api.admin.access import (
    Caller,
    OnceKey,
    admin_router,
    needs,
    read_cursor,
    read_name_cursor,
    write_cursor,
    write_name_cursor,
)
from keyback.web.api.auth import instant
from keyback.web.api.openapi import problems
from keyback.web.api.strict import ApiError

router = admin_router()
PersonId = Annotated[str, Path(pattern=m.ID, description="A person.")]
Reads = Annotated[Caller, needs(Permission.PEOPLE_VIEW)]
Acts = Annotated[Caller, needs(Permission.PEOPLE_ACT)]
LIMITED = {429: ["slow_down", "too_many"]}
CODES = {
    400: ["bad_idempotency_key"],
    403: ["forbidden", "rank", "needs_person"],
    409: ["wrong_state"],
    422: ["key_of_another_request", "invalid"],
    **LIMITED,
}
ACTS = problems(CODES, body=True)
STARTS = problems({**CODES, 409: ["no_mailbox", "one_thing"]}, body=True)


@router.post(
    "/people/find",
    operation_id="findPerson",
    summary="Find a person",
    description="By a whole email address, username or id; several with the same one are nobody. The audit log says "
    "that a program looked. A program may look 60 times an hour.",
    responses=problems({422: ["invalid"], **LIMITED}, body=True),
)
async def find(caller: Reads, given: mp.FindPerson) -> m.Made:
    found = await caller.note(lambda tx, actor: records.find(tx, actor, given.q))
    if found is None:
        raise ApiError(404, "not_found")
    return m.Made(id=found)


@router.get(
    "/people/without-way-back",
    operation_id="listPeopleWithoutWayBack",
    summary="See who would not get back in",
    description="People who have no way back by themselves under the policy of today, by id. A page may hold few "
    "people, or none, and still have a `next`.",
    responses=problems({414: ["too_large"], 422: ["invalid"]}),
)
async def without_way_back(
    caller: Reads, cursor: Annotated[str | None, Query(max_length=100, description="`next` of the page before.")] = None
) -> mp.StrandedPage:
    s, after = caller.desk.services, read_cursor(cursor)[1]
    offer = Offer(s.policy, s.proofs)
    found = await caller.read(lambda tx: records.without_way_back(tx, offer, after))
    items = [mp.StrandedPerson(id=x.person.id, name=x.person.name, tier=x.tier) for x in found.lines]
    return mp.StrandedPage(items=items, next=write_cursor(0, found.more) if found.more else None)


@router.get(
    "/groups",
    operation_id="listGroups",
    summary="See the groups of people",
    description="Groups and departments, as imports and connected systems name them. Being in one lets nobody do "
    "anything.",
    responses=problems({414: ["too_large"], 422: ["invalid"]}),
)
async def group_names(
    caller: Reads, cursor: Annotated[str | None, Query(max_length=700, description="`next` of the page before.")] = None
) -> mp.GroupPage:
    after = read_name_cursor(cursor) if cursor else ""
    found = await caller.read(lambda tx: groups.names(tx, after))
    return mp.GroupPage(items=list(found.names), next=write_name_cursor(found.more) if found.more else None)


@router.get(
    "/people/in-group",
    operation_id="listPeopleInGroup",
    summary="See who is in a group",
    description="By the group's name, upper and lower case alike; people come by id. The audit log says that a program "
    "looked; each page counts among the 60 searches of an hour.",
    responses=problems({414: ["too_large"], 422: ["invalid"], **LIMITED}),
)
async def in_group(
    caller: Reads,
    group: Annotated[str, Query(min_length=1, max_length=MAX_GROUP, description="The group.", examples=["Sales"])],
    cursor: Annotated[str | None, Query(max_length=100, description="`next` of the page before.")] = None,
) -> mp.MemberPage:
    after = read_cursor(cursor)[1] if cursor else ""
    found = await caller.note(lambda tx, actor: groups.members(tx, actor, group, after))
    if not found.group:
        raise ApiError(404, "not_found")
    items = [mp.Member(id=p.id, name=p.name, state=p.state) for p in found.people]
    return mp.MemberPage(items=items, next=write_cursor(0, found.more) if found.more else None)


@router.get(
    "/people/{person_id}",
    operation_id="getPerson",
    summary="See a person",
    description="Accounts, contacts, methods, locks and recoveries. Addresses and usernames are masked. The look is in "
    "the audit log, which the person reads, too.",
)
async def get(caller: Reads, person_id: PersonId) -> mp.Person:
    s = caller.desk.services
    return _person(await caller.note(lambda tx, actor: records.look(tx, actor, person_id, s.policy, s.rules)))


def _person(r: Record) -> mp.Person:
    p = r.person
    return mp.Person(
        id=p.id,
        name=p.name,
        tier=r.tier,
        state=p.state,
        may_act=not r.obstacle,
        groups=list(r.groups),
        accounts=[
            mp.PersonAccount(
                id=a.id,
                system=a.system,
                username=a.username,
                state=a.state,
                privileged=a.privileged,
                signs_in_elsewhere=bool(a.provider),
            )
            for a in r.accounts
        ],
        contacts=[
            mp.PersonContact(
                channel=c.channel,
                role=c.role,
                address=shown,
                state=c.state,
                usable=c.state == "confirmed" and c.usable_from <= r.now,
            )
            for c, shown in r.contacts
        ],
        methods=[mp.PersonMethod(kind=f.kind, usable=f.usable_from <= r.now) for f in r.factors if f.state == "active"],
        locks=[
            mp.PersonLock(reason=x.reason, until=instant(x.until) if x.until else None, sides=list(x.sides))
            for x in r.locks
        ],
        locked_down=r.locked_down,
        sessions=r.sessions,
        open_case=r.open_case.id if r.open_case else None,
        on_hold_until=instant(r.hold_until) if r.hold_until else None,
        cases=[
            mp.PersonCase(id=c.id, state=c.state, journey=c.journey, opened_at=instant(c.opened_at)) for c in r.cases
        ],
        acts=[
            mp.PersonAct(id=a.id, kind=a.kind, state=a.state, by=a.asked_by, asked_at=instant(a.asked_at))
            for a in r.actions
        ],
    )


async def _act(
    caller: Caller, person_id: str, kind: ActionKind, reason: str, once: str | None, detail: str = ""
) -> Response:
    policy = caller.desk.services.policy

    def act(tx: Tx, actor: Actor) -> mp.Acted:
        if kind == "cancel":
            case = tx.cases.get(detail)
            if case is None or case.person_id != person_id:
                raise Refusal("not_found")
        done = actions.ask(tx, actor, person_id, kind, reason, policy, detail=detail)
        return mp.Acted(id=done.id, kind=done.kind, state=done.state)

    return await caller.act(once, act, 201, "reason")


@router.post(
    "/people/{person_id}/recoveries",
    operation_id="startRecoveryFor",
    summary="Start a recovery for a person",
    description="They are mailed a link with which they go on by themselves, and verify their identity as always: it "
    "is worth no more than what anybody may type on the first page. Not for privileged people, for whom two operators "
    "start one.",
    status_code=201,
    response_model=mp.Acted,
    responses=STARTS,
)
async def start(caller: Acts, person_id: PersonId, given: mp.StartFor, once: OnceKey = None) -> Response:
    return await _act(caller, person_id, "start", given.reason, once, given.journey)


@router.post(
    "/people/{person_id}/lock",
    operation_id="lockPerson",
    summary="Lock a person's account",
    description="Ends sessions and recoveries; only a recovery by its owner opens it again. The person and all "
    "security officers are told.",
    status_code=201,
    response_model=mp.Acted,
    responses=ACTS,
)
async def lock(caller: Acts, person_id: PersonId, given: mp.Why, once: OnceKey = None) -> Response:
    return await _act(caller, person_id, "lock", given.reason, once)


@router.post(
    "/people/{person_id}/end-sessions",
    operation_id="endSessionsOf",
    summary="Sign a person out",
    description="In every browser. The person is told.",
    status_code=201,
    response_model=mp.Acted,
    responses=ACTS,
)
async def end_sessions(caller: Acts, person_id: PersonId, given: mp.Why, once: OnceKey = None) -> Response:
    return await _act(caller, person_id, "end_sessions", given.reason, once)


@router.post(
    "/people/{person_id}/cancel",
    operation_id="cancelRecoveryOf",
    summary="Cancel a person's recovery",
    description="The open one, named by its id. The person is told.",
    status_code=201,
    response_model=mp.Acted,
    responses=ACTS,
)
async def cancel(caller: Acts, person_id: PersonId, given: mp.CancelFor, once: OnceKey = None) -> Response:
    return await _act(caller, person_id, "cancel", given.reason, once, given.case)
