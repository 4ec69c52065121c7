"""Other ways to prove than the mailed code, for API clients: the same rules as on the pages (`portal.ways`)."""

from __future__ import annotations

from starlette.requests import Request

from keyback.application.ports.hashing import Busy
from keyback.application.ports.proofs import Proof
from keyback.application.ports.storage import Tx
from keyback.application.recovery import issue_requested, methods
from keyback.domain.errors import Refusal
from keyback.domain.throttling.limits import RESEND_AFTER
from keyback.web.api import models as m
from keyback.web.api.auth import Held, instant
from keyback.web.api.strict import ApiError
from keyback.web.api.views import PROVEN, CaseView, describe, look

CODES = {"wrong": "wrong_code", "replayed": "wrong_code", "not_a_code": "not_a_code"}


async def _open(held: Held, name: str) -> tuple[CaseView, Proof]:
    """The recovery while there is something left to prove, and the proof, if the policy takes it.

    Raises:
        Stop: 409 `wrong_state`.
    """
    s = held.desk.services
    view = await s.db.read(lambda tx: look(tx, held.handle, s))
    now, proof = describe(held.desk, "en", view), s.proofs.get(name)
    lost = isinstance(now, m.Waiting) and now.journey == "username"
    if (
        not isinstance(now, m.Waiting | m.NeedMore)
        or lost
        or proof is None
        or not s.policy.takes(name)
        or proof.about.needs_browser
    ):
        raise ApiError(409, "wrong_state", state=now.state)
    return view, proof


async def start(held: Held, request: Request, name: str, target: str) -> m.Asked:
    """Asks for a question to be put; the answer is the same for everybody until something was proven here."""
    view, proof = await _open(held, name)
    s, proven = held.desk.services, view.case is not None

    def ask(tx: Tx) -> tuple[int, dict[str, object]]:
        if methods.ask(tx, held.handle, proof, target if proven else "") and proven:
            issue_requested.issue_requested(tx, s.proofs, s.policy, whole=s.mail_quota)
        want = next(w for w in tx.challenges.requested(held.handle) if w.method == name)
        asked = methods.on_page(s.seals, want, proof, methods.asked_now(tx, held.handle, proof))
        return want.asked_at, dict(proof.form(asked, held.desk.locale(request)))

    asked_at, form = await s.db.write(ask)
    wait = RESEND_AFTER + 999 if proof.carrier else 0
    return m.Asked(resend_at=instant(asked_at + wait), form=form if proof.about.form_for_clients else None)


async def verify(held: Held, request: Request, name: str, typed: str) -> m.Proven:
    """Takes an answer."""
    _, proof = await _open(held, name)
    s = held.desk.services
    if proof.kind == "contact":
        raise ApiError(409, "wrong_state", state="need_more")  # the colleague answers, on the page of the mailed link
    try:
        code, left, new = await methods.answer(s.db, proof, held.handle, typed, held.desk.here(request))
    except Refusal:
        raise ApiError(409, "wrong_state", state="ended") from None
    except Busy:
        raise ApiError(503, "busy", retry_after=2) from None
    if code == "no_tries":
        raise ApiError(429, "no_tries", tries_left=0)
    if code in ("expired", "replaced"):
        raise ApiError(422, "code_over", reason=code, tries_left=left)
    if code not in ("accepted", "done"):
        raise ApiError(422, CODES[code], tries_left=left)
    now = describe(held.desk, "en", await s.db.read(lambda tx: look(tx, held.handle, s)))
    if code == "accepted" and isinstance(now, PROVEN):
        return m.Proven(state=now.state, new_code=new.reveal() if new else None)
    raise ApiError(409, "wrong_state", state=now.state)
