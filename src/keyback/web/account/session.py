"""Who is signed in, and whether they have just shown it again (ASVS 5.0 7.5)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from keyback.application import signin, stepup
from keyback.application.store import Session, Tx
from keyback.domain.factor import Factor
from keyback.domain.person import Account, Person
from keyback.web.context import Desk, desk_of, note_refusal, see
from keyback.web.cookies import SESSION
from keyback.web.pages import Page

OWN_PATH = re.compile(r"/account(/[A-Za-z0-9_-]{1,40}){0,3}\Z")


@dataclass(frozen=True, slots=True)
class Me:
    """The person of this browser's session."""

    session: Session = field(repr=False)
    person: Person
    account: Account
    factors: tuple[Factor, ...]
    now: int

    @property
    def second_step(self) -> bool:
        return stepup.has_second_step(self.factors)

    @property
    def fresh(self) -> bool:
        return stepup.is_fresh(self.session, self.second_step, self.now)


async def signed_in(request: Request) -> Me | Response:
    """The person, or the way to the sign-in page."""
    desk = desk_of(request)
    token = desk.cookies.get(request, SESSION)
    me = await desk.services.db.write(lambda tx: _touch(tx, token)) if token else None
    if me is not None:
        return me
    note_refusal(request, "unauthorized")
    response = see("/sign-in")
    desk.cookies.drop(response, SESSION)
    return response


def _touch(tx: Tx, token: str) -> Me | None:
    live = signin.session_of(tx, token)
    if live is None:
        return None
    session, person, account = live
    tx.sessions.touch(session.digest)
    return Me(session, person, account, tuple(tx.factors.of_person(person.id)), tx.now)


async def confirmed(request: Request, back: str = "") -> Me | Response:
    """The person, once they have just shown that it is them; else the way to show it.

    Args:
        back: where to go on after it; this page by default.
    """
    me = await signed_in(request)
    if isinstance(me, Response) or me.fresh:
        return me
    note_refusal(request, "step_up")
    return see(f"/account/confirm?next={back or request.url.path}")


def own_path(path: str) -> str:
    """A path of the security centre; anything else becomes its first page (no open redirects)."""
    return path if OWN_PATH.match(path) else "/account"


def page(desk: Desk, request: Request, me: Me, model: Page, status: int = 200, *, path: str = "") -> Response:
    """A page of the security centre."""
    over: dict[str, Any] = {"path": path} if path else {}
    return desk.page(request, model, status, signed_in_as=me.account.username, **over)
