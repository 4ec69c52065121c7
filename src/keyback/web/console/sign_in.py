"""Operators sign in, confirm that it is them, and sign out."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from keyback.application.desk import sessions, sign_in, step_up
from keyback.application.desk.sessions import Actor, SignedIn
from keyback.application.ports.hashing import Busy
from keyback.application.ports.storage import Tx
from keyback.application.signin import passkey
from keyback.domain.characters import is_shown
from keyback.domain.operators.roles import Permission
from keyback.domain.secret import Secret
from keyback.web.console import pages
from keyback.web.console.routes import acts, acts_for_anybody, shows, shows_anybody
from keyback.web.console.session import SIGN_IN, own_path, page
from keyback.web.http.cookies import CONSOLE, TICKET
from keyback.web.ui import links, shown
from keyback.web.ui.context import AppContext, redirect
from keyback.web.ui.routes import Values

CONFIRM = "/console/confirm"


async def draw(
    desk: AppContext, request: Request, status: int = 200, *, error: str = "", mail: str = "", done: str = ""
) -> Response:
    """The sign-in page, with a challenge for any passkey where there can be passkeys."""
    s = desk.services
    proof = s.proofs.get("passkey")
    if proof is None:
        return desk.page(request, pages.SignIn(error, mail, done=done), status, path=SIGN_IN)
    ticket = passkey.new_ticket(await s.db.read(lambda tx: tx.now))
    options = str(proof.form([passkey.stand_in(s.seals, ticket)], desk.locale(request))["options"])
    model = pages.SignIn(error, mail, options, shown.mark_of(s.seals, ticket), done)
    response = desk.page(request, model, status, path=SIGN_IN)
    links.keep(desk, request, response, ticket, TICKET)
    return response


@shows_anybody(SIGN_IN)
async def show(desk: AppContext, request: Request) -> Response:
    """GET `/console/sign-in`."""
    return await draw(desk, request)


@acts_for_anybody(SIGN_IN, "email", "password", "code")
async def take(desk: AppContext, request: Request, values: Values) -> Response:
    """POST `/console/sign-in`: password and authenticator app, together."""
    s = desk.services
    typed = "".join(c for c in values["email"][:254] if is_shown(c))
    try:
        done = await sign_in.by_password(
            s.db,
            s.gate,
            s.proofs["totp"],
            values["email"],
            Secret(values["password"]),
            values["code"],
            desk.origin(request),
        )
    except Busy:
        response = await draw(desk, request, 503, error="busy", mail=typed)
        response.headers["retry-after"] = "2"
        return response
    if isinstance(done, SignedIn):
        return _let_in(desk, done)
    return await draw(desk, request, 429 if done.reason == "slow_down" else 401, error=done.reason, mail=typed)


@acts_for_anybody("/console/sign-in/passkey", "assertion", shown.FIELD)
async def by_passkey(desk: AppContext, request: Request, values: Values) -> Response:
    """POST `/console/sign-in/passkey`."""
    s = desk.services
    proof, ticket = s.proofs.get("passkey"), links.sent(desk, request, values[shown.FIELD], TICKET)
    if proof is None or not ticket:
        return redirect(SIGN_IN)
    done = await sign_in.by_passkey(s.db, proof, ticket, values["assertion"], desk.origin(request))
    if isinstance(done, SignedIn):
        return _let_in(desk, done)
    slow = done.reason == "slow_down"
    return await draw(desk, request, 429 if slow else 401, error="slow_down" if slow else "passkey")


def _let_in(desk: AppContext, done: SignedIn) -> Response:
    response = redirect("/console")
    desk.cookies.put(response, CONSOLE, done.token)
    desk.cookies.drop(response, TICKET)
    return response


@acts("/console/sign-out", Permission.SIGNED_IN)
async def sign_out(desk: AppContext, request: Request, _: Values, actor: Actor) -> Response:
    """POST `/console/sign-out`."""
    token = desk.cookies.get(request, CONSOLE)
    await desk.services.db.write(lambda tx: sessions.sign_out(tx, token))
    response = redirect(SIGN_IN)
    desk.cookies.drop(response, CONSOLE)
    return response


async def _draw_confirm(
    desk: AppContext, request: Request, actor: Actor, onward: str, status: int = 200, error: str = ""
) -> Response:
    s, proof = desk.services, desk.services.proofs.get("passkey")

    def load(tx: Tx) -> tuple[bool, str, str]:
        kinds = {f.kind for f in tx.operators.factors(actor.operator.id)}
        if proof is None or "passkey" not in kinds:
            return "totp" in kinds, "", ""
        ticket = passkey.new_ticket(tx.now)
        form = proof.form(step_up.asked(tx, actor, "passkey", ticket), desk.locale(request))
        return "totp" in kinds, ticket, str(form["options"])

    app, ticket, options = await s.db.read(load)
    of = shown.mark_of(s.seals, ticket) if ticket else ""
    response = page(desk, request, actor, pages.Confirm(onward, app, options, of, error), status, path=CONFIRM)
    if ticket:
        links.keep(desk, request, response, ticket, TICKET)
    return response


@shows(CONFIRM, Permission.SIGNED_IN)
async def ask(desk: AppContext, request: Request, actor: Actor) -> Response:
    """GET `/console/confirm`."""
    return await _draw_confirm(desk, request, actor, own_path(request.query_params.get("next", "")))


@acts(CONFIRM, Permission.SIGNED_IN, "next", "code", "assertion", shown.FIELD)
async def confirm(desk: AppContext, request: Request, values: Values, actor: Actor) -> Response:
    """POST `/console/confirm`."""
    s, onward = desk.services, own_path(values["next"])
    kind = "passkey" if values["assertion"] else "totp"
    proof = s.proofs.get(kind)
    if proof is None:
        return redirect(CONFIRM)
    ticket = links.sent(desk, request, values[shown.FIELD], TICKET) if kind == "passkey" else ""
    typed = values["assertion"] or values["code"]
    done = await step_up.confirm(s.db, proof, kind, actor, typed, ticket, desk.origin(request))  # type: ignore[arg-type]
    if done == "done":
        return redirect(onward)
    return await _draw_confirm(desk, request, actor, onward, 429 if done == "slow_down" else 422, done)


ROUTES = [show, take, by_passkey, sign_out, ask, confirm]
