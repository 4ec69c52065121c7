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

from keyback.application.desk import caller_check, documents, identity
from keyback.application.enrolment.tier import tier_of
from keyback.application.notifications import returned_mail
from keyback.application.ports.hashing import Busy
from keyback.application.ports.proofs import Proof
from keyback.application.ports.storage import Tx
from keyback.application.recovery import issue_requested, methods, replace_factor
from keyback.domain.challenges.challenge import EMAIL_LINK
from keyback.domain.errors import Refusal
from keyback.domain.people.person import Bounce
from keyback.domain.policy.rules import TIERS, Risk, Ruling, rule
from keyback.domain.recovery import case as dc
from keyback.domain.recovery.case import Case
from keyback.domain.throttling.limits import RESEND_AFTER, TRIES_SHOWN
from keyback.locale import Locale, told
from keyback.web.portal.pages_methods import Held, InReview, MethodOption, Methods, NewCode, OneMethod
from keyback.web.portal.view import RecoveryView, held, look, step
from keyback.web.ui import shown
from keyback.web.ui.context import AppContext, note_refusal, redirect
from keyback.web.ui.page import Page
from keyback.web.ui.routes import Values, get

BACK_WITH = ("away", "denied", "not_fresh", "wrong")  # what a return from a provider may say
MAX_ANSWER = 8192  # a WebAuthn assertion with a large extension; everything else is far shorter


async def _options(desk: AppContext, view: RecoveryView) -> tuple[MethodOption, ...]:
    """What can be offered: to everybody the same until a proof was accepted here."""
    s = desk.services
    if view.case is None:
        return tuple(MethodOption(n) for n in methods.offered(s.proofs, s.policy, view.intake.journey))
    case, handle = view.case, view.intake.handle
    found = await s.db.read(lambda tx: methods.available_methods(tx, s.proofs, s.policy, case, handle))
    return tuple(MethodOption(w.proof, tuple((t.id, t.hint) for t in w.targets)) for w in found)


async def more_page(
    desk: AppContext, request: Request, view: RecoveryView, status: int = 200, refused: Any = ""
) -> Response:
    """The list of ways."""
    handle, case = view.intake.handle, view.case
    only_new = False
    if case is not None and view.intake.journey == "second_factor":
        person_id = case.person_id
        only_new = await desk.services.db.read(lambda tx: replace_factor.only_new(tx, person_id))
    options = await _options(desk, view)
    systems = signed_in_to(case, handle) if case is not None and case.open_to(handle) else ()
    own = tuple(desk.services.titles.get(x, x) for x in systems)
    mailed = bool(own) and _mail_counts(desk, view)
    model = Methods(
        handle=handle,
        proven=case is not None,
        journey=view.intake.journey,
        options=options,
        shown=tuple(dict.fromkeys(e.proof for e in case.shown_by(handle))) if case else (),
        username=view.username,
        version=view.version,
        refused=refused,
        only_new=only_new,
        lost_alone=case is not None and view.intake.journey == "second_factor" and _app_alone(options),
        call=_may_call(desk, view),
        own=own,
        mailed=mailed,
        undelivered=await _mail_undelivered(desk, view) if mailed else "",
        document=await _may_send(desk, view),
        services=await _services(desk, view, desk.locale(request)),
    )
    return desk.page(request, model, status, step=1, path=f"/r/{handle}/ways")


async def waiting_page(desk: AppContext, request: Request, view: RecoveryView, ruling: Ruling) -> Response:
    """A hold or a review, with what would spare it."""
    handle = view.intake.handle
    proofs = desk.services.proofs  # what only knowledge answers shortens no wait
    options = tuple(o for o in await _options(desk, view) if proofs[o.proof].kind != "knowledge")
    if view.intake.journey == "second_factor" and _app_alone(options):
        options = ()  # it was on the phone that is lost
    until = view.case.hold_of(handle) if view.case else 0
    if until:
        left = max(0, until - view.now) // 1000
        reason = ruling.reason or "new_device"
        since = max((e.accepted_at for e in view.case.shown_by(handle)), default=0) if view.case else 0
        of = view.intake.journey
        model: Page = Held(handle, until, reason, view.username, options, view.version, left, of, since)
    else:
        passkeys = tuple(o for o in options if o.proof == "passkey")
        called = ruling.reason == "caller_check"
        left_over = options if called else passkeys
        due = desk.services.hours.due(view.case.opened_at) if view.case else 0
        due = due if due > view.now else 0
        model = InReview(handle, view.username, left_over, view.version, view.intake.journey, called, due)
    return desk.page(request, model, step=1, path=f"/r/{handle}")


def signed_in_to(case: Case, handle: str) -> tuple[str, ...]:
    """Systems that a page showed a sign-in to: their accounts want something else as well."""
    return tuple(dict.fromkeys(e.system for e in case.shown_by(handle) if e.system))


def _mail_counts(desk: AppContext, view: RecoveryView) -> bool:
    """Whether a mail was sent for this page, and its link was not used."""
    shown = view.case.shown_by(view.intake.handle) if view.case else ()
    mails = desk.services.policy.takes(EMAIL_LINK) and view.intake.journey != "mailbox"
    return mails and not any(e.proof == EMAIL_LINK for e in shown)


async def _mail_undelivered(desk: AppContext, view: RecoveryView) -> Bounce:
    person_id, asked_at = view.case.person_id if view.case else "", view.intake.asked_at
    return await desk.services.db.read(lambda tx: returned_mail.primary_undelivered(tx, person_id, asked_at))


def _may_call(desk: AppContext, view: RecoveryView) -> bool:
    shown = view.case.shown_by(view.intake.handle) if view.case else ()
    return desk.services.policy.takes(caller_check.PROOF) and not any(e.proof == caller_check.PROOF for e in shown)


async def _may_send(desk: AppContext, view: RecoveryView) -> bool:
    """Whether an identity document would help this page. Before anything was shown nobody is asked for one."""
    s, handle = desk.services, view.intake.handle
    if s.images is None or view.case is None:
        return False
    return not (await s.db.read(lambda tx: documents.look(tx, handle, s.policy))).closed


async def _services(desk: AppContext, view: RecoveryView, locale: Locale) -> tuple[tuple[str, str], ...]:
    """Services that could verify the identity of this page's person, as in `Methods`."""
    s, handle = desk.services, view.intake.handle
    if not s.identity or view.case is None:
        return ()
    kinds = {service.by_phone for service in s.identity.values()}

    def useful(tx: Tx) -> set[bool]:
        return {k for k in kinds if not identity.look(tx, handle, s.policy, by_phone=k).closed}

    open_to = await s.db.read(useful)
    return tuple((n, told(service.title, locale)) for n, service in s.identity.items() if service.by_phone in open_to)


def _app_alone(options: tuple[MethodOption, ...]) -> bool:
    """Whether one authenticator app is all there is."""
    return [o.proof for o in options] == ["totp"] and len(options[0].targets) < 2


def _ruling(tx: Tx, desk: AppContext, view: RecoveryView, case: Case) -> Ruling:
    """What this page's own evidence comes to, in a browser that is not known: a known one would hardly wait."""
    person, policy, intake = tx.people.person(case.person_id), desk.services.policy, view.intake
    accounts = tx.people.accounts([case.person_id]).get(case.person_id, ())
    now = tier_of(tx, person, accounts, policy) if person else case.tier
    tier, held = max(case.tier, now, key=TIERS.index), case.hold_of(intake.handle) > 0
    return rule(case.shown_by(intake.handle), tier, Risk(), policy, intake.journey, approved=held)


@get(held)
async def show(desk: AppContext, request: Request, handle: str, view: RecoveryView | None) -> Response:
    """GET `/r/{handle}/ways`."""
    if view is None or not may_go_on(view):
        return redirect(f"/r/{handle}")
    return await more_page(desk, request, view)


def may_go_on(view: RecoveryView) -> bool:
    """Whether there is anything left to prove here."""
    if view.case is None:
        return (
            view.intake.state != "stopped" and view.now < view.intake.expires_at and view.intake.journey != "username"
        )
    handle = view.intake.handle
    open_to = view.case.open_to(handle) and not signed_in_to(view.case, handle)
    return view.case.state in dc.JOINABLE and view.now < view.case.expires_at and not open_to


@step("target", limit="recoveries")
async def begin(desk: AppContext, request: Request, values: Values, handle: str, view: RecoveryView | None) -> Response:
    """POST `/r/{handle}/ways/{proof}`: asks for a question to be put."""
    proof = _proof(desk, request, view)
    if view is None or proof is None or not may_go_on(view):
        note_refusal(request, "wrong_state")
        return redirect(f"/r/{handle}")
    target = values["target"] if view.case is not None else ""
    queued = await desk.services.db.write(lambda tx: _ask(tx, desk, view, proof, target))
    if not queued and view.case is None:
        return redirect(f"/r/{handle}/ways/{proof.name}")
    if not queued:
        return await more_page(desk, request, view, 429, "too_early")
    return redirect(f"/r/{handle}/ways/{proof.name}")


def _ask(tx: Tx, desk: AppContext, view: RecoveryView, proof: Proof, target: str) -> bool:
    queued = methods.ask(tx, view.intake.handle, proof, target)
    if queued and view.case is not None:  # nothing to hide any more, so nobody has to wait for the worker
        s = desk.services
        issue_requested.issue_requested(tx, s.proofs, s.policy, whole=s.mail_quota)
    return queued


def _proof(desk: AppContext, request: Request, view: RecoveryView | None) -> Proof | None:
    name = request.path_params["proof"]
    proof = desk.services.proofs.get(name) if desk.services.policy.takes(name) else None
    if proof is None or view is None or name == EMAIL_LINK:  # which the page itself asks for
        return None
    return proof if methods.may_ask(proof, view.case, view.intake.handle) else None


@get(held)
async def one(desk: AppContext, request: Request, handle: str, view: RecoveryView | None) -> Response:
    """GET `/r/{handle}/ways/{proof}`."""
    proof = _proof(desk, request, view)
    if view is None or proof is None or not may_go_on(view):
        return redirect(f"/r/{handle}")
    said = request.query_params.get("said", "")  # by whoever came back from a provider (`sign_in_with`)
    over: dict[str, Any] = {"error": said} if said in BACK_WITH and proof.about.needs_browser else {}
    return await _one(desk, request, view, proof, **over)


async def _one(
    desk: AppContext, request: Request, view: RecoveryView, proof: Proof, status: int = 200, **over: Any
) -> Response:
    handle, seals = view.intake.handle, desk.services.seals
    wants, asked = await desk.services.db.read(
        lambda tx: (tx.challenges.requested(handle), methods.asked_now(tx, handle, proof))
    )  # fmt: skip
    want = next((w for w in wants if w.method == proof.name), None)
    if want is None:
        return redirect(f"/r/{handle}/ways")
    if view.case is not None and not asked and any(e.proof == proof.name for e in view.case.shown_by(handle)):
        return redirect(f"/r/{handle}")  # it was answered, as by a colleague elsewhere: the page goes on by itself
    proven = view.case is not None
    left = max(0, (want.asked_at + proof.life_ms - view.now) // 1000)
    again = max(0, -(-(want.asked_at + RESEND_AFTER - view.now) // 1000)) if proof.carrier else None
    model = OneMethod(
        handle=handle,
        proof=proof.name,
        proven=proven,
        sent=bool(proof.carrier) and proof.kind != "contact",
        form=proof.form(methods.on_page(seals, want, proof, asked), desk.locale(request)),
        hint=asked[0].target.hint if proven and asked else "",
        seconds_left=left,
        resend_in_seconds=again,
        error="no_tries" if want.tries >= TRIES_SHOWN else None,
        tries_left=max(0, TRIES_SHOWN - want.tries),
        version=view.version,
        journey=view.intake.journey,
        undelivered=returned_mail.undelivered(asked) if proven else "",
        of=shown.mark_of(seals, methods.question(seals, want, proof, asked)),
    )
    if model.error == "no_tries":
        over.pop("error", None)
    model = replace(model, **over)
    return desk.page(request, model, status, step=1, path=f"/r/{handle}/ways/{proof.name}")


@step("code", "assertion", shown.FIELD, limit="proofs")
async def answer(
    desk: AppContext, request: Request, values: Values, handle: str, view: RecoveryView | None
) -> Response:
    """POST `/r/{handle}/ways/{proof}/answer`."""
    proof = _proof(desk, request, view)
    if view is None or proof is None or proof.kind == "contact" or not may_go_on(view):
        note_refusal(request, "wrong_state")
        return redirect(f"/r/{handle}")
    typed, mark = (values["assertion"] or values["code"])[:MAX_ANSWER], values[shown.FIELD]
    fits = shown.fits(desk.services.seals, mark) if mark else None
    try:
        code, left, new = await methods.answer(desk.services.db, proof, handle, typed, desk.here(request), fits=fits)
    except Refusal as e:
        note_refusal(request, e.code)
        return redirect(f"/r/{handle}/ways/{proof.name}" if e.code == "wrong_state" else f"/r/{handle}")
    except Busy:
        response = await _one(desk, request, view, proof, 503, error="busy")
        response.headers["retry-after"] = "2"
        return response
    if code in ("accepted", "done"):
        if new is None:
            return redirect(f"/r/{handle}")
        at = f"/r/{handle}"
        return desk.page(request, NewCode(at, new.reveal(), journey=view.intake.journey), path=at)
    fresh = await desk.services.db.read(lambda tx: look(tx, handle))
    if fresh is None:
        return redirect(f"/r/{handle}")
    return await _one(desk, request, fresh, proof, 422, error=code, tries_left=left)


async def further(desk: AppContext, request: Request, view: RecoveryView, case: Case) -> Response:
    """What a page shows whose proofs are not enough yet, or have to wait."""
    ruling = await desk.services.db.read(lambda tx: _ruling(tx, desk, view, case))
    if case.hold_of(view.intake.handle) or ruling.kind == "review":
        return await waiting_page(desk, request, view, ruling)
    return await more_page(desk, request, view)


ROUTES = [
    Route("/r/{handle:str}/ways", show, methods=["GET"]),
    Route("/r/{handle:str}/ways/{proof:str}", one, methods=["GET"]),
    Route("/r/{handle:str}/ways/{proof:str}", begin, methods=["POST"]),
    Route("/r/{handle:str}/ways/{proof:str}/answer", answer, methods=["POST"]),
]
