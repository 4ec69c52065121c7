"""The second step: after a password, before something is changed (`/account/confirm`); and passkeys alone."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyback.application import known_devices, showing
from keyback.application.ports.enrolment import FindsPasskey
from keyback.application.ports.hashing import Busy
from keyback.application.ports.proofs import PendingChallenge, Proof
from keyback.application.ports.storage import Tx
from keyback.application.signin import passkey, second_step, sign_in, step_up
from keyback.application.signin.sessions import SignedIn
from keyback.application.signin.step_up import StepResult
from keyback.application.throttling import duplicate_answers
from keyback.domain.secret import Secret
from keyback.web.account.pages import SecondStep, SignIn
from keyback.web.account.session import Me, mine, own_path, page
from keyback.web.http.cookies import DEVICE, NEXT, SESSION, TICKET, WAITING
from keyback.web.portal.pages_methods import NewCode
from keyback.web.ui import links, shown
from keyback.web.ui.context import AppContext, context_of, note_refusal, redirect
from keyback.web.ui.routes import Values, anybody, get, post

AT = "/sign-in/second"
FOLLOWING = {"passkeys": "/account/passkeys"}  # what may follow a sign-in, by its name in the address


def let_in(desk: AppContext, request: Request, result: SignedIn, token: str = "") -> Response:
    """Hands out the session's cookie and the one by which this browser is known again.

    Args:
        token: of the half sign-in that is whole now; those of other tabs stay.
    """
    new = result.new_code.reveal() if result.new_code else ""
    if result.must_change:
        if new:
            return desk.page(request, NewCode("/forgot", new, result.must_change), path="/sign-in")
        return desk.page(request, SignIn(result.must_change, 0, result.account.username), path="/sign-in")
    wanted = desk.cookies.get(request, NEXT)
    following = FOLLOWING.get(wanted, "/account")
    response = desk.page(request, NewCode(following, new), path="/account") if new else redirect(following)
    if wanted:
        desk.cookies.drop(response, NEXT)
    desk.cookies.put(response, SESSION, result.token)
    desk.cookies.put(response, DEVICE, result.device, max_age=known_devices.LIFE // 1000)
    if token:
        links.drop(desk, request, response, token, WAITING)
    else:
        desk.cookies.drop(response, WAITING)
    desk.cookies.drop(response, TICKET)
    return response


def to_second(desk: AppContext, request: Request, step: sign_in.SecondStep) -> Response:
    """The page of a half sign-in; named in the address where other tabs have others."""
    mark = shown.mark_of(desk.services.seals, step.token)
    response = redirect(f"{AT}?{shown.FIELD}={mark}" if links.others(desk, request, WAITING) else AT)
    links.keep(desk, request, response, step.token, WAITING)
    return response


def _usable(desk: AppContext, names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(n for n in names if n in desk.services.proofs)


def _draw(
    desk: AppContext,
    request: Request,
    names: tuple[str, ...],
    wanted: str,
    asked: dict[str, list[PendingChallenge]],
    **over: Any,
) -> tuple[SecondStep, str]:
    """The page's model for the proof that is wanted, or for the best one."""
    name = wanted if wanted in names else next(iter(names), "")
    proof = desk.services.proofs.get(name)
    form = proof.form(asked.get(name, []), desk.locale(request)) if proof else {}
    of = shown.mark_of(desk.services.seals, showing.question(proof, asked.get(name, []))) if proof else ""
    model = SecondStep(name, tuple(n for n in names if n != name), form, of=of)
    return replace(model, **over), name


# ── at sign-in ──────────────────────────────────────────────────────────────


async def show(request: Request) -> Response:
    """GET `/sign-in/second`."""
    desk = context_of(request)
    token = links.shown(desk, request, WAITING)
    if not token and links.others(desk, request, WAITING):
        return redirect(AT)
    return await _second(desk, request, token, request.query_params.get("with", "")[:20])


async def _second(
    desk: AppContext, request: Request, token: str, wanted: str, status: int = 200, **over: Any
) -> Response:
    proofs = desk.services.proofs

    def load(tx: Tx) -> tuple[second_step.Pending, dict[str, list[PendingChallenge]]] | None:
        pending = second_step.look(tx, token)
        if pending is None:
            return None
        return pending, {n: step_up.asked(tx, pending.page, proofs[n]) for n in pending.proofs if n in proofs}

    found = await desk.services.db.read(load) if token else None
    if found is None:
        response = redirect("/sign-in")
        links.drop(desk, request, response, token, WAITING)
        return response
    pending, asked = found
    over["username"] = pending.account.username
    model, _ = _draw(desk, request, _usable(desk, pending.proofs), wanted, asked, **over)
    return desk.page(request, model, status, path=AT)


@post(anybody, "proof", "code", "assertion", shown.FIELD, limit="sign_ins", at=AT)
async def take(desk: AppContext, request: Request, values: Values) -> Response:
    """POST `/sign-in/second`."""
    origin, s, name = desk.origin(request), desk.services, values["proof"][:20]
    mark, _, question = values[shown.FIELD].partition(".")
    proof, token = s.proofs.get(name), _sent(desk, request, mark, WAITING)
    if not token:
        return links.stale(request, AT, mark)
    if proof is None or name not in step_up.PROOF_OF.values():
        return redirect(AT)
    typed, fits = _typed(values), shown.fits(s.seals, question)
    # Pressed twice at once, a browser keeps the second answer only: both open the one session that there is.
    key = duplicate_answers.key_of(s.db, "second", name, token, origin.source, origin.agent, answer=typed)
    try:
        done, _ = await duplicate_answers.first(
            key, lambda: second_step.take(s.db, proof, token, typed, origin, s.rules, browser=True, fits=fits), _is_in
        )
    except Busy:
        return _busy(await _second(desk, request, token, name, 503, error="busy"))
    if isinstance(done, SignedIn):
        return let_in(desk, request, done, token)
    if done.code == "stale":
        note_refusal(request, "wrong_state")
        return redirect(f"{AT}?{shown.FIELD}={shown.mark_of(s.seals, token)}&with={name}")
    if done.code == "done":
        waits = await s.db.read(lambda tx: second_step.look(tx, token))
        return redirect(AT if waits else "/account")
    return (
        redirect("/sign-in") if done.code == "over" else await _second(desk, request, token, name, 422, error=done.code)
    )


def _sent(desk: AppContext, request: Request, mark: str, cookie: str) -> str:
    """The token that a form names; the newest for one of the version before, which names none."""
    return links.sent(desk, request, mark, cookie) if mark else links.shown(desk, request, cookie)


def _is_in(done: object) -> bool:
    return isinstance(done, SignedIn)


def _typed(values: dict[str, str]) -> str:
    return values["assertion"] or values["code"]


def _busy(response: Response) -> Response:
    response.headers["retry-after"] = "2"
    return response


# ── a passkey alone ─────────────────────────────────────────────────────────


def sign_in_page(desk: AppContext, request: Request, model: SignIn, now: int, status: int = 200) -> Response:
    """The sign-in page; with a challenge for any passkey where there can be passkeys."""
    s = desk.services
    systems = tuple((s.titles[n], c.url) for n, c in s.connectors.items() if n != "builtin" and c.url and n in s.titles)
    model = replace(model, title=s.titles.get("builtin", "Keyback"), systems=systems)
    proof = s.proofs.get("passkey")
    if proof is None:
        return desk.page(request, model, status, path="/sign-in")
    ticket = passkey.new_ticket(now)
    form = proof.form([passkey.stand_in(desk.services.seals, ticket)], desk.locale(request))
    options = str(form["options"])
    of = shown.mark_of(desk.services.seals, ticket)
    response = desk.page(request, replace(model, passkey_options=options, of=of), status, path="/sign-in")
    links.keep(desk, request, response, ticket, TICKET)
    return response


@post(anybody, "assertion", shown.FIELD)
async def by_passkey(desk: AppContext, request: Request, values: Values) -> Response:
    """POST `/sign-in/passkey`."""
    origin, s = desk.here(request).origin, desk.services
    now = await s.db.read(lambda tx: tx.now)
    if not await desk.allows("sign_ins", request):
        return sign_in_page(desk, request, SignIn("slow_down", 60), now, 429)
    proof, ticket = s.proofs.get("passkey"), _sent(desk, request, values[shown.FIELD], TICKET)
    if not isinstance(proof, FindsPasskey) or not ticket:
        note_refusal(request, "wrong_state")
        return redirect("/sign-in")
    typed = values["assertion"][:8192]
    key = duplicate_answers.key_of(s.db, "passkey", ticket, origin.source, origin.agent, answer=typed)
    lookup = proof.lookup(typed)
    done, _ = await duplicate_answers.first(
        key, lambda: passkey.by_passkey(s.db, proof, ticket, lookup, typed, origin, s.rules, browser=True), _is_in
    )
    if isinstance(done, SignedIn):
        return let_in(desk, request, done)
    return sign_in_page(desk, request, SignIn("passkey"), now, 401)


# ── before something is changed ─────────────────────────────────────────────


@get(mine())
async def confirm(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/confirm`: asks for the second step once more, or for the password of somebody without one."""
    query = request.query_params
    following = own_path(query.get("next", ""))
    if me.fresh:
        return redirect(following)
    return await _confirm(desk, request, me, following, query.get("with", "")[:20])


async def _confirm(
    desk: AppContext, request: Request, me: Me, following: str, wanted: str, status: int = 200, **over: Any
) -> Response:
    s, handle = desk.services, step_up.page_of(me.session)
    if not me.second_step:
        return page(desk, request, me, SecondStep("", next=following, **over), status, path="/account/confirm")

    def load(tx: Tx) -> tuple[tuple[str, ...], dict[str, list[PendingChallenge]]]:
        names = tuple(n for n in step_up.PROOF_OF.values() if n in s.proofs)
        found = {n: step_up.asked(tx, handle, s.proofs[n]) for n in names}
        if not any(found.values()):
            person = tx.people.person(me.person.id) or me.person
            step_up.issue(tx, person, "step_up", handle)
            found = {n: step_up.asked(tx, handle, s.proofs[n]) for n in names}
        return tuple(n for n in names if found[n]), found

    names, asked = await s.db.write(load)
    model, _ = _draw(desk, request, names, wanted, asked, next=following, **over)
    return page(desk, request, me, model, status, path="/account/confirm")


@post(mine(), "proof", "code", "assertion", "password", "next", shown.FIELD, limit="sign_ins", at="/account")
async def confirm_by(desk: AppContext, request: Request, values: Values, me: Me) -> Response:
    """POST `/account/confirm`."""
    s = desk.services
    origin, following = desk.origin(request), own_path(values["next"])
    name = values["proof"][:20]
    try:
        if not me.second_step:
            fault = await step_up.by_password(s.db, s.gate, me.session, Secret(values["password"]), origin)
            done = StepResult("wrong" if fault == "wrong" else "no_tries" if fault else "accepted")
        else:
            proof: Proof | None = s.proofs.get(name) if name in step_up.PROOF_OF.values() else None
            if proof is None:
                return redirect(f"/account/confirm?next={following}")
            fits = shown.fits(s.seals, values[shown.FIELD])
            done = await step_up.once_more(s.db, proof, me.session, _typed(values), origin, fits)
    except Busy:
        return _busy(await _confirm(desk, request, me, following, name, 503, error="busy"))
    if done.code in ("accepted", "done"):
        if done.new_code:
            return page(desk, request, me, NewCode(following, done.new_code.reveal()), path=following)
        return redirect(following)  # which asks again where nothing was shown yet
    if done.code in ("over", "stale"):
        note_refusal(request, "wrong_state")
        return redirect(f"/account/confirm?next={following}" + (f"&with={name}" if done.code == "stale" else ""))
    return await _confirm(desk, request, me, following, name, 422, error=done.code)


ROUTES = [
    Route("/sign-in/second", show, methods=["GET"]),
    Route("/sign-in/second", take, methods=["POST"]),
    Route("/sign-in/passkey", by_passkey, methods=["POST"]),
    Route("/account/confirm", confirm, methods=["GET"]),
    Route("/account/confirm", confirm_by, methods=["POST"]),
]
