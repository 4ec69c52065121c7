"""`/account/ways`: second steps and saved codes, added and removed."""

from __future__ import annotations

import re
from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from keyback.application import locking
from keyback.application.enrolment import factors, security_questions
from keyback.application.ports.enrolment import EnrolsApp, EnrolsPasskey, SignsInElsewhere
from keyback.application.ports.hashing import Busy
from keyback.application.ports.proofs import MakesCodes
from keyback.application.ports.storage import Tx
from keyback.application.throttling import duplicate_answers
from keyback.domain.errors import Refusal
from keyback.domain.people.factor import CODES, Factor, SavedCode
from keyback.domain.policy.rules import PROVIDER_SIGN_IN
from keyback.locale import gettext
from keyback.locale.dates import day
from keyback.web.account.pages import Codes, FactorLine, Factors, NameOne, PasskeySetup, TotpSetup, TotpStart
from keyback.web.account.providers import unconnected
from keyback.web.account.session import Me, mine, page
from keyback.web.ui import shown
from keyback.web.ui.context import AppContext, note_refusal, redirect
from keyback.web.ui.routes import Values, get, post

DONE = frozenset({"totp_added", "passkey_added", "questions_set", "provider_added", "removed", "renamed"})
BUSY_S = "2"
CODE = re.compile(r"[0-9A-Z]{4,6}(-[0-9A-Z]{4,6}){2,4}\Z")


def line(f: Factor, codes: list[SavedCode], now: int) -> FactorLine:
    """A factor as lists show it."""
    left = sum(c.factor_id == f.id and c.used_at is None for c in codes)
    return FactorLine(f.id, f.kind, f.label, f.added_at, f.used_at, f.usable_from if f.usable_from > now else 0, left)


def lines_of(tx: Tx, me: Me) -> tuple[FactorLine, ...]:
    codes = list(tx.factors.codes([f.id for f in me.factors]))
    return tuple(line(f, codes, tx.now) for f in me.factors)


def offered(desk: AppContext) -> tuple[str, ...]:
    """Kinds that this Keyback can enrol and its policy takes."""
    s = desk.services
    able = {
        "passkey": isinstance(s.proofs.get("passkey"), EnrolsPasskey),
        "totp": isinstance(s.proofs.get("totp"), EnrolsApp),
        "recovery_code": isinstance(s.proofs.get("recovery_code"), MakesCodes),
        PROVIDER_SIGN_IN: isinstance(s.proofs.get(PROVIDER_SIGN_IN), SignsInElsewhere),
        security_questions.KIND: security_questions.maker_of(s) is not None,
    }
    return tuple(n for n, there in able.items() if there and s.policy.takes(n))


@get(mine())
async def show(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/ways`."""
    done = request.query_params.get("done", "")
    lines = await desk.services.db.read(lambda tx: lines_of(tx, me))
    left = tuple(n for n in offered(desk) if n != PROVIDER_SIGN_IN or unconnected(desk, me))
    return page(desk, request, me, Factors(lines, left, done if done in DONE else ""))


# ── authenticator apps ──────────────────────────────────────────────────────


def _app(desk: AppContext) -> EnrolsApp | None:
    found = desk.services.proofs.get("totp")
    return found if isinstance(found, EnrolsApp) and "totp" in offered(desk) else None


@get(mine(fresh=True))
async def totp(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/totp`."""
    return page(desk, request, me, TotpStart())


@post(mine(fresh=True))
async def totp_start(desk: AppContext, request: Request, _: Values, me: Me) -> Response:
    """POST `/account/totp`."""
    app = _app(desk)
    if app is None:
        return redirect("/account/ways")
    try:
        factor_id = await desk.services.db.write(lambda tx: factors.start_totp(tx, app, locking.own(tx, me.session)))
    except Refusal:
        return redirect("/account/ways")
    return redirect(f"/account/totp/{factor_id}")


@get(mine(fresh=True))
async def totp_setup(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/totp/{id}`."""
    return await _setup(desk, request, me)


async def _setup(desk: AppContext, request: Request, me: Me, status: int = 200, error: Any = "") -> Response:
    app, factor_id = _app(desk), request.path_params["id"]
    pending = await desk.services.db.read(lambda tx: factors.pending_totp(tx, me.person.id, factor_id))
    if app is None or pending is None:
        return redirect("/account/ways")
    seed = str(pending.data["seed"])
    uri = app.uri(seed, me.account.username, desk.services.company[desk.locale(request)])
    groups = " ".join(seed[i : i + 4] for i in range(0, len(seed), 4))
    qr = Markup(app.qr_svg(uri))  # noqa: S704 - of our own making, no text in it
    return page(desk, request, me, TotpSetup(factor_id, qr, groups, uri, error), status)


@post(mine(fresh=True), "code", limit="proofs", at="/account/ways")
async def totp_finish(desk: AppContext, request: Request, values: Values, me: Me) -> Response:
    """POST `/account/totp/{id}` with the first code."""
    app, factor_id, origin = _app(desk), request.path_params["id"], desk.origin(request)
    if app is None:
        return redirect("/account/ways")
    typed = values["code"][:64]
    try:
        good = await desk.services.db.write(
            lambda tx: factors.finish_totp(tx, app, me.session, factor_id, typed, origin)
        )  # fmt: skip
    except Refusal:
        return redirect("/account/ways")
    return redirect("/account/ways?done=totp_added") if good else await _setup(desk, request, me, 422, "wrong")


# ── passkeys ────────────────────────────────────────────────────────────────


def _maker(desk: AppContext) -> EnrolsPasskey | None:
    found = desk.services.proofs.get("passkey")
    return found if isinstance(found, EnrolsPasskey) and "passkey" in offered(desk) else None


@get(mine(fresh=True))
async def passkey(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/passkeys`: a button that asks the browser at once; its challenge waits for this person already."""
    if _maker(desk) is None:
        return page(desk, request, me, PasskeySetup(possible=False))
    try:
        waiting = await desk.services.db.write(lambda tx: factors.waiting_passkey(tx, locking.own(tx, me.session)))
    except Refusal:
        return redirect("/account/ways")
    return await _ask_browser(desk, request, me, waiting)


@post(mine(fresh=True))
async def passkey_start(desk: AppContext, request: Request, _: Values, me: Me) -> Response:
    """POST `/account/passkeys`: once more, after an answer that was refused."""
    if _maker(desk) is None:
        return redirect("/account/ways")
    try:
        challenge_id = await desk.services.db.write(lambda tx: factors.start_passkey(tx, locking.own(tx, me.session)))
    except Refusal:
        return redirect("/account/ways")
    return redirect(f"/account/passkeys/{challenge_id}")


@get(mine(fresh=True, back="/account/passkeys"))
async def passkey_setup(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/passkeys/{id}`."""
    return await _ask_browser(desk, request, me, request.path_params["id"])


async def _ask_browser(desk: AppContext, request: Request, me: Me, challenge_id: str) -> Response:
    maker, company = _maker(desk), desk.services.company[desk.locale(request)]
    if maker is None:
        return redirect("/account/ways")

    def load(tx: Tx) -> str | None:
        asked = factors.open_passkey(tx, me.person, challenge_id)
        if asked is None:
            return None
        handle = factors.user_handle(tx, maker, asked, me.factors)
        return maker.registration_options(
            asked.nonce, handle, me.account.username, me.person.name, company, me.factors
        )  # fmt: skip

    options = await desk.services.db.read(load)
    if options is None:
        return redirect("/account/passkeys")
    return page(desk, request, me, PasskeySetup(challenge_id, options), path="/account/passkeys")


@post(mine(fresh=True, back="/account/passkeys"), "label", "assertion")
async def passkey_finish(desk: AppContext, request: Request, values: Values, me: Me) -> Response:
    """POST `/account/passkeys/{id}` with what the browser made."""
    maker, challenge_id, origin = _maker(desk), request.path_params["id"], desk.origin(request)
    if maker is None:
        return redirect("/account/ways")
    label = factors.clean_label(values["label"][:200], me.session.device or "Passkey")
    typed = values["assertion"]
    try:
        done = await desk.services.db.write(
            lambda tx: factors.finish_passkey(tx, maker, me.session, challenge_id, typed, label, origin)
        )
    except Refusal:
        return redirect("/account/passkeys")
    if done == "added":
        return redirect("/account/ways?done=passkey_added")
    return page(desk, request, me, PasskeySetup(error=done), 422, path="/account/passkeys")


# ── their names ─────────────────────────────────────────────────────────────


@get(mine())
async def ask_name(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/name/{id}`: the name of a passkey or an app, to be changed."""
    found = await desk.services.db.read(lambda tx: factors.named(tx, me.person.id, request.path_params["id"]))
    return page(desk, request, me, NameOne(found.id, found.kind, found.label)) if found else redirect("/account/ways")


@post(mine(fresh=True, back="/account/ways"), "label")
async def name(desk: AppContext, request: Request, values: Values, me: Me) -> Response:
    """POST `/account/name/{id}`."""
    item, typed = request.path_params["id"], values["label"][:200]
    try:
        await desk.services.db.write(lambda tx: factors.rename(tx, me.session, item, typed))
    except Refusal:
        return redirect("/account/ways")
    return redirect("/account/ways?done=renamed")


# ── saved codes ─────────────────────────────────────────────────────────────


@get(mine(fresh=True))
async def codes(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/codes`: how many are left, and what a new set does."""
    return page(desk, request, me, await _codes(desk, me))


async def _codes(desk: AppContext, me: Me, **over: Any) -> Codes:
    lines = await desk.services.db.read(lambda tx: lines_of(tx, me))
    old = next((x for x in lines if x.kind == "recovery_codes"), None)
    return Codes(left=old.left if old else None, made_at=old.added_at if old else 0, of=_set(desk, me), **over)


def _set(desk: AppContext, me: Me) -> str:
    return shown.mark_of(desk.services.seals, factors.present(me.factors, "recovery_codes"))


@post(mine(fresh=True), shown.FIELD)
async def codes_make(desk: AppContext, request: Request, values: Values, me: Me) -> Response:
    """POST `/account/codes`: the only page that ever shows them."""
    mark = values[shown.FIELD]
    maker, s = desk.services.proofs.get("recovery_code"), desk.services
    if not isinstance(maker, MakesCodes) or "recovery_code" not in offered(desk):
        return redirect("/account/ways")
    try:
        # Pressed twice at once, a browser keeps the second answer only: both show the one set that there is.
        key = duplicate_answers.key_of(s.db, "codes", me.session.digest.hex(), answer=mark)
        fits = shown.fits(s.seals, mark)
        sheet, _ = await duplicate_answers.first(
            key, lambda: factors.make_codes(s.db, maker, me.session, desk.origin(request), fits), lambda _: True
        )
    except Refusal as e:
        note_refusal(request, e.code)
        return redirect("/account/codes")
    except Busy:
        response = page(desk, request, me, await _codes(desk, me, busy=True), 503)
        response.headers["retry-after"] = BUSY_S
        return response
    made = Codes(sheet.texts, len(sheet.texts), me.now, me.account.username, address=s.public_url)
    return page(desk, request, me, made)


@post(mine(), "codes")
async def codes_file(desk: AppContext, request: Request, values: Values, me: Me) -> Response:
    """POST `/account/codes/file`: gives the codes of the page back as a file. Keyback cannot know them any more."""
    lines = values["codes"].split(" ")
    if not 0 < len(lines) <= CODES or not all(CODE.match(x) for x in lines):
        return redirect("/account/codes")
    kept = {"content-disposition": 'attachment; filename="recovery-codes.txt"'}
    locale, company = desk.locale(request), desk.services.company
    head = [
        gettext(
            locale, "Recovery codes for {username} at {company}", username=me.account.username, company=company[locale]
        ),
        gettext(locale, "Created {time}", time=day(locale, me.now, desk.renderer.zone)),
        gettext(
            locale,
            "Each code works once, to sign in or to recover the account, at this address: {address}",
            address=desk.services.public_url,
        ),
    ]
    return PlainTextResponse("\n".join([*head, "", *lines, ""]), headers=kept)


ROUTES = [
    Route("/account/ways", show, methods=["GET"]),
    Route("/account/totp", totp, methods=["GET"]),
    Route("/account/totp", totp_start, methods=["POST"]),
    Route("/account/totp/{id:str}", totp_setup, methods=["GET"]),
    Route("/account/totp/{id:str}", totp_finish, methods=["POST"]),
    Route("/account/passkeys", passkey, methods=["GET"]),
    Route("/account/passkeys", passkey_start, methods=["POST"]),
    Route("/account/passkeys/{id:str}", passkey_setup, methods=["GET"]),
    Route("/account/passkeys/{id:str}", passkey_finish, methods=["POST"]),
    Route("/account/name/{id:str}", ask_name, methods=["GET"]),
    Route("/account/name/{id:str}", name, methods=["POST"]),
    Route("/account/codes", codes, methods=["GET"]),
    Route("/account/codes", codes_make, methods=["POST"]),
    Route("/account/codes/file", codes_file, methods=["POST"]),
]
