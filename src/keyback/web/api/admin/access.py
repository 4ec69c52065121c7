"""Which program a request comes from, and whether its key was given what the route names.

Every route of the admin API takes one `Needs` and is made by an `AdminRoute`, which refuses to be made without. The
permissions are those of `domain.operators.roles`; what a key can have at all is in `domain.operators.keys`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, Header
from fastapi.security import HTTPBearer
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response

from keyback.application.desk import keys
from keyback.application.desk.operators import STREAM
from keyback.application.desk.sessions import Actor
from keyback.application.ports.api_keys import Answer
from keyback.application.ports.storage import Tx
from keyback.domain import digests
from keyback.domain.characters import are_shown
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators.roles import Permission
from keyback.domain.recovery.events import Note
from keyback.web.api.auth import bearer
from keyback.web.api.openapi import problems
from keyback.web.api.strict import ApiError, StrictRoute
from keyback.web.http.rate_limits import WAIT_S
from keyback.web.ui.context import AppContext, context_of

T = TypeVar("T")
API_KEY = HTTPBearer(
    scheme_name="apiKey", description="A key made by a system administrator, `keyback_…_…`.", auto_error=False
)
STATUS = {"not_found": 404, "yourself": 403, "rank": 403, "needs_person": 403, "own_work": 403, "version_changed": 412}
AN_HOUR_S = 600  # after which to look again where an hour's number is used up
PAGE = 50  # items of one answer
CURSOR = re.compile(r"([0-9]{1,15})\.([A-Za-z0-9_-]{1,40})\Z")
OnceKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern="^[ -~]{16,255}$",
        description="Names this act: 16 to 255 printable ASCII characters, random. Sent again within a day with the "
        "same body, the act is not repeated and the answer is the same; with another body it is refused.",
    ),
]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        pattern='^"[0-9]{1,9}"$',
        description="The `ETag` of the case as you read it. If it has changed since, nothing is done.",
    ),
]


@dataclass(frozen=True, slots=True)
class Caller:
    """A program that may do what its route needs."""

    desk: AppContext
    request: Request
    actor: Actor
    token: str

    async def read(self, fn: Callable[[Tx], T]) -> T:
        """Reads in one snapshot; refusals become problems."""
        try:
            return await self.desk.services.db.read(fn)
        except Refusal as e:
            raise refused(e) from None

    async def note(self, fn: Callable[[Tx, Actor], T]) -> T:
        """Reads what the audit log says was read, in one transaction, in which the key is looked at again."""

        def write(tx: Tx) -> T:
            actor = keys.actor_of(tx, self.token)
            if actor is None:
                raise ApiError(401, "unauthorized")
            return fn(tx, actor)

        try:
            return await self.desk.services.db.write(write)
        except Refusal as e:
            raise refused(e) from None

    async def act(
        self, once: str | None, fn: Callable[[Tx, Actor], BaseModel | None], status: int = 200, field: str = ""
    ) -> Response:
        """Acts in one transaction, in which the key is looked at again; with an `Idempotency-Key`, once.

        Args:
            fn: gives what to answer, with ids and codes only: it is kept for a day. None for an answer without a body.
            field: the member that is meant where an input is no good.
        """
        raw = await self.request.body()
        asked = digests.digest(f"{self.request.method}\0{self.request.url.path}\0".encode() + raw)
        named = digests.digest(f"{self.actor.operator.id}\0{once}".encode())

        def write(tx: Tx) -> Answer:
            actor = keys.actor_of(tx, self.token)
            if actor is None:
                raise ApiError(401, "unauthorized")
            first = mine = Answer(named, tx.new_id(), asked)
            if once is not None:
                first = tx.api_keys.claim_answer(mine)
                if first.request != asked:
                    raise ApiError(422, "key_of_another_request")
                if first.id != mine.id:
                    return first
            said = fn(tx, actor)
            body = "" if said is None else said.model_dump_json(by_alias=True)
            done = Answer(named, mine.id, asked, 204 if said is None else status, body)
            if once is not None:
                tx.api_keys.save_answer(done)
            return done

        try:
            answer = await self.desk.services.db.write(write)
        except (Refusal, BadInput) as e:
            raise refused(e, field) from None
        return Response(answer.body or None, answer.status, media_type="application/json" if answer.body else None)


class Needs:
    """A dependency that lets a program in whose key has one permission; else 401, 403 or 429."""

    def __init__(self, permission: Permission) -> None:
        self.permission = permission

    async def __call__(self, request: Request) -> Caller:
        desk, token = context_of(request), bearer(request)
        source = desk.proxies.source(request.scope)
        if not await desk.limiter.allows("admin", source):
            raise ApiError(429, "slow_down", retry_after=WAIT_S)
        db = desk.services.db
        actor = await db.read(lambda tx: keys.actor_of(tx, token)) if token else None
        if actor is None:
            raise ApiError(401, "unauthorized")
        if not await desk.limiter.allows_key(actor.session.device):
            raise ApiError(429, "slow_down", retry_after=WAIT_S)
        if keys.is_due(actor):
            await db.write(lambda tx: keys.note_use(tx, actor, source))
        if not actor.operator.may(self.permission):
            await db.write(lambda tx: _denied(tx, actor, self.permission))
            raise ApiError(403, "forbidden")
        return Caller(desk, request, actor, token)


class AdminRoute(StrictRoute):
    """A route that names what it needs.

    Raises:
        TypeError: it takes no `Needs`, or several.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **more: Any) -> None:
        super().__init__(path, endpoint, **more)
        found = [d.call.permission for d in self.dependant.dependencies if isinstance(d.call, Needs)]
        if len(found) != 1:
            raise TypeError(f"{path} has to name one permission")
        self.permission: Permission = found[0]


def needs(permission: Permission) -> Any:
    """What a handler's parameter of type `Caller` is given as a default's place: `Annotated[Caller, needs(…)]`."""
    return Depends(Needs(permission))


def _denied(tx: Tx, actor: Actor, permission: Permission) -> None:
    tx.audit.record(STREAM, [Note("operator_denied", {"operator": actor.operator.id, "permission": permission.value})])


def refused(e: Refusal | BadInput, field: str = "") -> ApiError:
    """The problem for what the help desk refused."""
    if isinstance(e, BadInput):
        return ApiError(422, "invalid", errors=[{"field": field, "code": e.code}])
    if e.code == "too_many":
        return ApiError(429, "too_many", retry_after=AN_HOUR_S)
    return ApiError(STATUS.get(e.code, 409), e.code)


def same_version(if_match: str | None, version: int) -> None:
    """Raises `Refusal` `version_changed` where a case is not the one that was read."""
    if if_match is not None and int(if_match.strip('"')) != version:
        raise Refusal("version_changed")


def write_cursor(at: int, last: str) -> str:
    """Where the next page begins, in a form that says nothing to its reader."""
    return base64.urlsafe_b64encode(f"{at}.{last}".encode()).rstrip(b"=").decode()


def read_cursor(cursor: str | None) -> tuple[int, str]:
    """What `write_cursor` wrote; the beginning where there is none.

    Raises:
        ApiError: 422 for what it did not write.
    """
    if not cursor:
        return 0, ""
    try:
        found = CURSOR.match(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii"))
    except (binascii.Error, ValueError):
        found = None
    if found is None:
        raise ApiError(422, "invalid", errors=[{"field": "cursor", "code": "malformed"}])
    return int(found[1]), found[2]


def write_name_cursor(name: str) -> str:
    """Of a list that is in the order of names."""
    return base64.urlsafe_b64encode(name.encode()).rstrip(b"=").decode()


def read_name_cursor(cursor: str) -> str:
    """What `write_name_cursor` wrote.

    Raises:
        ApiError: 422 for what is no text.
    """
    try:
        found = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        found = "\0"
    if not are_shown(found):
        raise ApiError(422, "invalid", errors=[{"field": "cursor", "code": "malformed"}])
    return found


ANSWERS = problems({401: ["unauthorized"], 403: ["forbidden"], 404: ["not_found"], 429: ["slow_down"]})


def admin_router() -> APIRouter:
    """For a room of the admin API: what all of its calls need, and what each of them may answer."""
    return APIRouter(
        prefix="/admin",
        tags=["help desk"],
        route_class=AdminRoute,
        dependencies=[Depends(API_KEY)],
        responses=ANSWERS,
    )


"""What any route of the admin API may answer with."""
