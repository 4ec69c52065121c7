"""`/account/questions`: three of fifteen fixed questions, where the policy has them on."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyback.application.enrolment import factors, security_questions
from keyback.application.ports.enrolment import EnrolsQuestions
from keyback.application.ports.hashing import Busy
from keyback.domain.errors import Refusal
from keyback.locale import gettext
from keyback.web.account.pages import Questions
from keyback.web.account.session import Me, mine, page
from keyback.web.ui import shown
from keyback.web.ui.context import AppContext, note_refusal, redirect
from keyback.web.ui.routes import Values, get, post

PLACES = range(1, security_questions.ASKED + 1)
FIELDS = [f"{name}_{i}" for i in PLACES for name in ("question", "answer")]


@get(mine(fresh=True))
async def show(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/questions`."""
    maker = security_questions.maker_of(desk.services)
    return _page(desk, request, me, maker) if maker else redirect("/account/ways")


def _page(
    desk: AppContext, request: Request, me: Me, maker: EnrolsQuestions, status: int = 200, **over: Any
) -> Response:
    """The form. What was answered is on it in no state, neither before nor after (G5)."""
    locale = desk.locale(request)
    texts = tuple((key, gettext(locale, text)) for key, text in maker.questions.items())
    old = next((f for f in me.factors if f.kind == security_questions.KIND), None)
    of = shown.mark_of(desk.services.seals, factors.present(me.factors, security_questions.KIND))
    return page(desk, request, me, Questions(texts, set_at=old.added_at if old else 0, of=of, **over), status)


@post(mine(fresh=True), *FIELDS, shown.FIELD, limit="proofs", at="/account/questions")
async def choose(desk: AppContext, request: Request, values: Values, me: Me) -> Response:
    """POST `/account/questions` with three questions and their answers."""
    s, origin = desk.services, desk.origin(request)
    maker = security_questions.maker_of(s)
    if maker is None:
        return redirect("/account/ways")
    chosen = [(values[f"question_{i}"], values[f"answer_{i}"]) for i in PLACES]
    keys = tuple(key for key, _ in chosen)
    try:
        fits = shown.fits(s.seals, values[shown.FIELD])
        faults = await security_questions.choose(s, maker, me.session, chosen, origin, fits)
    except Refusal as e:
        note_refusal(request, e.code)
        return redirect("/account/questions")
    except Busy:
        response = _page(desk, request, me, maker, 503, chosen=keys, busy=True)
        response.headers["retry-after"] = "2"
        return response
    if faults:
        return _page(desk, request, me, maker, 422, chosen=keys, faults=dict(faults))
    return redirect("/account/ways?done=questions_set")


ROUTES = [
    Route("/account/questions", show, methods=["GET"]),
    Route("/account/questions", choose, methods=["POST"]),
]
