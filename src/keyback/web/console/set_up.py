"""An operator's set-up link: a password and an authenticator app, or a passkey."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from keyback.application.desk import set_up
from keyback.application.desk.set_up import SettingUp
from keyback.application.enrolment.factors import clean_label
from keyback.application.ports.enrolment import EnrolsApp, EnrolsPasskey
from keyback.application.ports.hashing import Busy
from keyback.domain.passwords.rules import state_of
from keyback.domain.secret import Secret
from keyback.web.console.pages import LinkOver, SetUp
from keyback.web.console.routes import acts_for_anybody, shows_anybody
from keyback.web.console.sign_in import draw
from keyback.web.http.cookies import SETUP
from keyback.web.ui.context import AppContext, redirect
from keyback.web.ui.password_feedback import asked_twice, beside, reasons_of, rules_of
from keyback.web.ui.routes import Values

AT = "/console/set-up"
TOKEN = re.compile(r"[A-Za-z0-9_-]{22}\Z")
LIFE_S = 3600


@shows_anybody(AT + "/{token:str}")
async def follow(desk: AppContext, request: Request) -> Response:
    """GET `/console/set-up/{token}`: moves the token out of the address bar; changes nothing."""
    token = request.path_params["token"]
    response = redirect(AT)
    if TOKEN.match(token):
        desk.cookies.put(response, SETUP, token, max_age=LIFE_S)
    return response


async def _draw(desk: AppContext, request: Request, status: int = 200, typed: str = "", **over: Any) -> Response:
    s, token = desk.services, desk.cookies.get(request, SETUP)
    found = await s.db.read(lambda tx: set_up.look(tx, token))
    if found is None:
        return desk.page(request, LinkOver(), 410, path=AT)
    o, locale = found.operator, desk.locale(request)
    context = set_up.context_of(s, o)
    states = state_of(typed, s.rules, context, s.blocklist, True, s.leaked)
    more = beside(desk, request, context, True)
    model = SetUp(o.mail, s.rules.shortest(True), rules_of(states, locale), operator=o, **more, **over)
    app, maker, company = s.proofs.get("totp"), s.proofs.get("passkey"), desk.settings.company.of(locale)
    if isinstance(app, EnrolsApp):
        key = app.new_seed(found.seed)
        uri = app.uri(key, o.mail, f"{company} Keyback")
        model = replace(model, qr=Markup(app.qr_svg(uri)), key=key, uri=uri)  # noqa: S704 - made by the proof itself
    if isinstance(maker, EnrolsPasskey):
        model = replace(model, passkey_options=_options(maker, found, company))
    return desk.page(request, model, status, path=AT)


def _options(maker: EnrolsPasskey, found: SettingUp, company: str) -> str:
    o = found.operator
    return maker.registration_options(found.challenge, found.user_handle, o.mail, o.name, f"{company} Keyback", ())


@shows_anybody(AT)
async def show(desk: AppContext, request: Request) -> Response:
    """GET `/console/set-up`."""
    return await _draw(desk, request)


@acts_for_anybody(AT, "username", "new_password", "new_password_again", "code")
async def with_password(desk: AppContext, request: Request, values: Values) -> Response:
    """POST `/console/set-up`: a password, and the first code of the authenticator app."""
    typed, app = values["new_password"], desk.services.proofs.get("totp")
    if not isinstance(app, EnrolsApp):
        return redirect(AT)
    if asked_twice(values):
        return await _draw(desk, request, 422, typed, mismatch=True)
    token, origin = desk.cookies.get(request, SETUP), desk.origin(request)
    try:
        done, broken = await set_up.with_password(desk.services, app, token, Secret(typed), values["code"], origin)
    except Busy:
        response = await _draw(desk, request, 503, busy=True)
        response.headers["retry-after"] = "2"
        return response
    if broken:
        return await _draw(desk, request, 422, typed, errors=reasons_of(broken, desk.locale(request)))
    return await _after(desk, request, done)


@acts_for_anybody(f"{AT}/passkey", "assertion", "label")
async def with_passkey(desk: AppContext, request: Request, values: Values) -> Response:
    """POST `/console/set-up/passkey`."""
    maker = desk.services.proofs.get("passkey")
    if not isinstance(maker, EnrolsPasskey):
        return redirect(AT)
    token, origin, label = desk.cookies.get(request, SETUP), desk.origin(request), clean_label(values["label"])
    done = await desk.services.db.write(
        lambda tx: set_up.with_passkey(tx, maker, token, values["assertion"][:8192], label, origin)
    )
    return await _after(desk, request, done, "passkey")


async def _after(desk: AppContext, request: Request, done: set_up.Outcome, error: str = "code") -> Response:
    if done == "done":
        response = await draw(desk, request, done="set_up")
        desk.cookies.drop(response, SETUP)
        return response
    return await _draw(desk, request, 422, error=error if done == "wrong" else done)


ROUTES = [follow, show, with_password, with_passkey]
