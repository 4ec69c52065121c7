"""`/r/{handle}` of a proven recovery that is not about a password: unlocking, a new second step, a new mailbox."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyback.application.doctor.diagnosis import sees_to_factors
from keyback.application.ports.enrolment import EnrolsApp, EnrolsPasskey
from keyback.application.ports.storage import Tx
from keyback.application.recovery import remedy, replace_factor, replace_mailbox, replace_passkey
from keyback.application.recovery import unlock as recovery_unlock
from keyback.application.recovery.evidence import Here
from keyback.application.showing import Fits
from keyback.application.throttling import lockouts
from keyback.domain.characters import is_shown
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.policy.rules import Journey
from keyback.web.portal.over import over_page
from keyback.web.portal.pages_remedy import ReplaceFactor, ReplaceMailbox, Unlock
from keyback.web.portal.view import RecoveryView, step
from keyback.web.ui import shown
from keyback.web.ui.context import AppContext, note_refusal, redirect
from keyback.web.ui.page import Page
from keyback.web.ui.routes import Handler, Values

MAX_FAILING = 3
JOURNEYS = ("locked", "second_factor", "mailbox")


def masked_address(address: str) -> str:
    """`w•••@example.com`."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}•••@{domain}"


async def page(desk: AppContext, request: Request, view: RecoveryView, status: int = 200, **over: Any) -> Response:
    """What this journey's page shows once it may go on."""
    handle, here = view.intake.handle, desk.here(request)
    company = desk.settings.company.of(desk.locale(request))

    def load(tx: Tx) -> Any:
        o = remedy.open_recovery(tx, handle, here)
        if view.intake.journey == "locked":
            can = tuple(a.system for a in recovery_unlock.unlockable(o, desk.services.connectors))
            why = lockouts.locks(tx, o.person.id, desk.services.rules)
            return o, can, why, lockouts.stale_password_sources(tx, o.person.id)[:MAX_FAILING]
        if view.intake.journey == "second_factor":
            maker, challenge = passkey_maker(desk), replace_passkey.waiting(tx, handle)
            asked = (
                replace_passkey.options(tx, maker, o, challenge, view.username, company) if maker and challenge else ""
            )
            old = tuple((f.kind, f.label) for f in replace_factor.bound_factors(tx, o.person.id))
            of = challenge.id if asked and challenge else ""
            mine = (*o.accounts, *o.elsewhere)
            theirs = [a.system for a in mine if sees_to_factors(desk.services.connectors.get(a.system))]
            return o, old, replace_factor.waiting_app(tx, o.person.id, handle), asked, of, theirs
        return o, replace_mailbox.other_mailboxes(tx, o.person.id), replace_mailbox.waiting_mailbox(tx, handle)

    try:
        _, *rest = await desk.services.db.read(load)
    except Refusal as e:
        return await over_page(desk, request, handle, e.code, status)
    model: Page
    if view.intake.journey == "locked":
        titles = tuple(dict.fromkeys(desk.services.titles.get(s, s) for s in rest[0]))
        model = Unlock(handle, view.username, titles, locks=rest[1], failing=rest[2], **over)
    elif view.intake.journey == "second_factor":
        seed = _shown(desk, view.username, rest[1], request)
        model = ReplaceFactor(handle, view.username, rest[0], *seed, passkey_maker(desk) is not None, rest[2], **over)
        titles = tuple(dict.fromkeys(desk.services.titles.get(x, x) for x in rest[4]))
        model = replace(model, of=_mark(desk, rest[3] or (rest[1].id if rest[1] else "")), of_systems=titles)
    else:
        others = tuple((c.id, masked_address(c.address)) for c in rest[0])
        waiting = rest[1].address if rest[1] else ""
        model = ReplaceMailbox(handle, view.username, others, waiting, of=_mark(desk, waiting), **over)
    return desk.page(request, model, status, step=2, path=f"/r/{handle}")


def _mark(desk: AppContext, what: str) -> str:
    return shown.mark_of(desk.services.seals, what) if what else ""


def _app(desk: AppContext) -> EnrolsApp:
    app = desk.services.proofs.get("totp")
    if not isinstance(app, EnrolsApp):
        raise Refusal("not_found")
    return app


def passkey_maker(desk: AppContext) -> EnrolsPasskey | None:
    """What makes passkeys; None where the address can have none, or the policy takes none."""
    found = desk.services.proofs.get("passkey")
    return found if isinstance(found, EnrolsPasskey) and desk.services.policy.takes("passkey") else None


def _shown(desk: AppContext, username: str, new: Any, request: Request) -> tuple[str, str, str]:
    if new is None:
        return "", "", ""
    app, seed = _app(desk), str(new.data["seed"])
    company = desk.settings.company.of(desk.locale(request))
    groups = " ".join(seed[i : i + 4] for i in range(0, len(seed), 4))
    uri = app.uri(seed, username, company)
    return groups, Markup(app.qr_svg(uri)), uri  # noqa: S704 - of our own making, no text in it


@dataclass(frozen=True, slots=True)
class Sent:
    """A form that came from a page which may go on."""

    desk: AppContext
    handle: str
    here: Here
    values: Mapping[str, str]

    @property
    def fits(self) -> Fits:
        """Whether something is what the page showed."""
        return shown.fits(self.desk.services.seals, self.values[shown.FIELD])


Act = Callable[[Sent], Awaitable[dict[str, Any]]]


def _form(journey: Journey, *fields: str, refused: str = "") -> Callable[[Act], Handler]:
    """Makes the handler of one form of a journey's page from what the form does.

    What that returns is what the page has to say about it; nothing, and the page is loaded anew.

    Args:
        fields: what the form holds.
        refused: query of the page to go to where the recovery refuses.
    """

    def of(act: Act) -> Handler:
        @step(*fields, shown.FIELD, limit="proofs")
        @wraps(act)
        async def handler(
            desk: AppContext, request: Request, values: Values, handle: str, view: RecoveryView | None
        ) -> Response:
            at = f"/r/{handle}"
            if view is None or view.case is None or not view.case.open_to(handle) or view.intake.journey != journey:
                note_refusal(request, "wrong_state")
                return redirect(at)
            try:
                over = await act(Sent(desk, handle, desk.here(request), values))
            except Refusal as e:
                note_refusal(request, e.code)
                return redirect(at + refused)
            return await page(desk, request, view, 422 if "error" in over else 200, **over) if over else redirect(at)

        return handler

    return of


@_form("locked", refused="?new=1")
async def unlock(sent: Sent) -> dict[str, Any]:
    """POST `/r/{handle}/unlock`."""
    s = sent.desk.services
    results = await recovery_unlock.unlock(s.db, s.connectors, sent.handle, sent.here)
    failed = tuple(s.titles.get(a.system, a.system) for a, o in results if o.status != "done")
    return {"failed": failed} if failed else {}


@_form("second_factor")
async def new_factor(sent: Sent) -> dict[str, Any]:
    """POST `/r/{handle}/factor/new`: a seed to scan."""
    app = _app(sent.desk)
    await sent.desk.services.db.write(lambda tx: replace_factor.start_app(tx, app, sent.handle, sent.here))
    return {}


@_form("second_factor", "code")
async def factor(sent: Sent) -> dict[str, Any]:
    """POST `/r/{handle}/factor`: the first code of the new app."""
    app, code = _app(sent.desk), sent.values["code"]
    done = await sent.desk.services.db.write(
        lambda tx: replace_factor.replace_factor(tx, app, sent.handle, code, sent.here, sent.fits)
    )
    return {} if done else {"error": "code"}


@_form("second_factor")
async def new_passkey(sent: Sent) -> dict[str, Any]:
    """POST `/r/{handle}/passkey/new`: a challenge for the browser."""
    if passkey_maker(sent.desk) is not None:
        await sent.desk.services.db.write(lambda tx: replace_passkey.start(tx, sent.handle, sent.here))
    return {}


@_form("second_factor", "assertion")
async def passkey(sent: Sent) -> dict[str, Any]:
    """POST `/r/{handle}/passkey`: what the browser made."""
    maker, typed = passkey_maker(sent.desk), sent.values["assertion"]
    if maker is None:
        return {}
    done = await sent.desk.services.db.write(
        lambda tx: replace_passkey.replace(tx, maker, sent.handle, typed, sent.here, sent.fits)
    )
    return {} if done == "done" else {"error": "passkey"}


@_form("mailbox", "contact")
async def mailbox(sent: Sent) -> dict[str, Any]:
    """POST `/r/{handle}/mailbox`: an address that was confirmed long ago."""
    contact = sent.values["contact"]
    await sent.desk.services.db.write(lambda tx: replace_mailbox.choose_mailbox(tx, sent.handle, contact, sent.here))
    return {}


@_form("mailbox", "address")
async def new_mailbox(sent: Sent) -> dict[str, Any]:
    """POST `/r/{handle}/mailbox/new`: a code to a new address."""
    typed = sent.values["address"]
    try:
        await sent.desk.services.db.write(lambda tx: replace_mailbox.start_mailbox(tx, sent.handle, typed, sent.here))
    except BadInput:
        error = "not_mail"
    except Refusal as e:
        if e.code not in ("known", "too_many"):
            raise
        error = e.code
    else:
        return {}
    return {"error": error, "typed": "".join(c for c in typed[:254] if is_shown(c))}


@_form("mailbox", "code")
async def mailbox_code(sent: Sent) -> dict[str, Any]:
    """POST `/r/{handle}/mailbox/code`."""
    code = sent.values["code"]
    done = await sent.desk.services.db.write(
        lambda tx: replace_mailbox.confirm_mailbox(tx, sent.handle, code, sent.here, sent.fits)
    )
    return {} if done else {"error": "wrong"}


@step(many=("remove",), limit="proofs")
async def planted(
    desk: AppContext, request: Request, values: Values, handle: str, _view: RecoveryView | None
) -> Response:
    """POST `/r/{handle}/factors/remove`: after a new password, second steps that are not the owner's."""
    ids = values["remove"].split("\n")
    here = desk.here(request)
    await desk.services.db.write(lambda tx: replace_factor.take_away(tx, handle, ids, here))
    return redirect(f"/r/{handle}")


ROUTES = [
    Route("/r/{handle:str}/factors/remove", planted, methods=["POST"]),
    Route("/r/{handle:str}/unlock", unlock, methods=["POST"]),
    Route("/r/{handle:str}/factor/new", new_factor, methods=["POST"]),
    Route("/r/{handle:str}/factor", factor, methods=["POST"]),
    Route("/r/{handle:str}/passkey/new", new_passkey, methods=["POST"]),
    Route("/r/{handle:str}/passkey", passkey, methods=["POST"]),
    Route("/r/{handle:str}/mailbox", mailbox, methods=["POST"]),
    Route("/r/{handle:str}/mailbox/new", new_mailbox, methods=["POST"]),
    Route("/r/{handle:str}/mailbox/code", mailbox_code, methods=["POST"]),
]
