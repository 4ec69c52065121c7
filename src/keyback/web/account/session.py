"""Who is signed in, whether they have just shown it again (ASVS 5.0 7.5), and whether a form is theirs (E11)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from keyback.application.ports.storage import Session, Tx
from keyback.application.signin import sessions, step_up
from keyback.domain.people.factor import Factor
from keyback.domain.people.person import Account, Person
from keyback.web.account.pages import StaleForm
from keyback.web.http.cookies import SESSION
from keyback.web.ui.context import AppContext, context_of, note_refusal, redirect
from keyback.web.ui.form_tokens import fits, form_token
from keyback.web.ui.page import Page

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
        return step_up.has_second_step(self.factors)

    @property
    def fresh(self) -> bool:
        return step_up.is_fresh(self.session, self.second_step, self.now)


class Stale(Response):
    """The answer to a form that was not drawn for this session: nothing is done. `me` is whose session it is."""

    def __init__(self, me: Me, drawn: Response) -> None:
        super().__init__(drawn.body, drawn.status_code)
        self.raw_headers = drawn.raw_headers
        self.me = me


async def signed_in(request: Request) -> Me | Response:
    """The person, or the way to the sign-in page; for a form that was read and not drawn for this session, `Stale`."""
    desk = context_of(request)
    token = desk.cookies.get(request, SESSION)
    me = await sessions.look(desk.services.db, token, _me) if token else None
    if me is not None:
        return me if request.method != "POST" or fits(request, token) else _stale(desk, request, me)
    note_refusal(request, "unauthorized")
    response = redirect("/sign-in")
    desk.cookies.drop(response, SESSION)
    return response


def _stale(desk: AppContext, request: Request, me: Me) -> Stale:
    note_refusal(request, "cross_site")
    back = own_path(request.url.path.removesuffix("/again").removesuffix("/file"))
    return Stale(me, page(desk, request, me, StaleForm(back), 403, path=back))


def _me(tx: Tx, session: Session, person: Person, account: Account) -> Me:
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
    return redirect(f"/account/confirm?next={back or request.url.path}")


def mine(*, fresh: bool = False, back: str = "") -> Callable[[Request], Awaitable[tuple[Me] | Response]]:
    """The gate of a signed-in person's pages (`routes`).

    Args:
        fresh: they have to have shown just now that it is them, and go on at `back` after it: this page by default.
    """

    async def gate(request: Request) -> tuple[Me] | Response:
        me = await (confirmed(request, back) if fresh else signed_in(request))
        return me if isinstance(me, Response) else (me,)

    return gate


def own_path(path: str) -> str:
    """A path of the security centre; anything else becomes its first page (no open redirects)."""
    return path if OWN_PATH.match(path) else "/account"


def page(desk: AppContext, request: Request, me: Me, model: Page, status: int = 200, *, path: str = "") -> Response:
    """A page of the security centre."""
    over: dict[str, Any] = {"path": path} if path else {}
    over["form_token"] = form_token(desk.cookies.get(request, SESSION))
    return desk.page(request, model, status, signed_in_as=me.account.username, **over)
