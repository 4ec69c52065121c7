"""`/account/contacts`: added, confirmed, removed; and `/invited`, where somebody agrees to vouch."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal, get_args

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from keyback.application import locking
from keyback.application.enrolment import contacts, invitations
from keyback.application.enrolment import factors as enrolment_factors
from keyback.application.people import address_changes
from keyback.application.ports.storage import Tx
from keyback.domain.challenges.challenge import Challenge
from keyback.domain.characters import is_shown
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.people.ages import DAY, Ages, age_of
from keyback.domain.people.factor import BOUND
from keyback.domain.people.person import Contact, one_domain
from keyback.domain.people.phone import is_country
from keyback.domain.throttling.limits import RESEND_AFTER
from keyback.locale import language
from keyback.locale.countries import countries
from keyback.web.account import factors
from keyback.web.account.chat import title_of
from keyback.web.account.pages_contacts import AddContact, ConfirmContact, ContactLine, Contacts, Invited, RemoveOne
from keyback.web.account.session import Me, Stale, mine, page
from keyback.web.portal.pages_link import LinkOver
from keyback.web.ui import links
from keyback.web.ui.context import AppContext, context_of, redirect
from keyback.web.ui.routes import Values, anybody, get, post

DONE = frozenset({"confirmed", "removed", "invited", "kept", "linked", "known"})
AHEAD = 60 * DAY  # so long before it weighs less a contact can be confirmed


def offered(desk: AppContext) -> tuple[contacts.Kind, ...]:
    """Kinds that this Keyback can reach, and that some proof is put to which its policy takes."""
    s = desk.services
    taken = {p.about.contact for name, p in s.proofs.items() if s.policy.takes(name)}
    return tuple(k for k, proof in contacts.PROOF_OF.items() if proof in s.proofs and k in taken)


def line(c: Contact, now: int, ages: Ages) -> ContactLine:
    """A contact as its owner sees it."""
    ready = c.usable_from if c.state == "confirmed" and c.usable_from > now else 0
    own = (c.origin == "person" and c.role != "primary") or address_changes.refusable(c, now)
    return ContactLine(
        c.id, contacts.kind_of(c), c.address, c.name, c.role, c.state, c.added_at, ready, own, _age(c, now, ages),
        c.bounce, c.bounce_at,
    )  # fmt: skip


def _age(c: Contact, now: int, ages: Ages) -> Literal["", "due", "aged", "over"]:
    age = age_of(c, now, ages) if c.state == "confirmed" else "fresh"
    if age != "fresh":
        return age
    soon = c.state == "confirmed" and age_of(c, now + AHEAD, ages) != "fresh"
    return "due" if soon else ""


def lines_of(tx: Tx, person_id: str, ages: Ages) -> tuple[ContactLine, ...]:
    found = tx.contacts.of_person(person_id, states=("confirmed", "pending"))
    order = {"primary": 0, "backup": 1, "recovery": 2}
    return tuple(line(c, tx.now, ages) for c in sorted(found, key=lambda c: (order[c.role], c.added_at)))


@get(mine())
async def show(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/contacts`."""
    done = request.query_params.get("done", "")
    lines = await desk.services.db.read(lambda tx: lines_of(tx, me.person.id, desk.services.policy.ages))
    same = _same_domain(lines)
    return page(
        desk, request, me, Contacts(lines, offered(desk), done if done in DONE else "", same, title_of(desk, request))
    )


def _same_domain(lines: tuple[ContactLine, ...]) -> bool:
    """Whether a backup mailbox lies where the primary one does: who loses one loses both (F7)."""
    mails = [(x.role, x.address) for x in lines if x.kind == "mail"]
    own = [address for role, address in mails if role == "primary"]
    return any(role == "backup" and one_domain(address, x) for role, address in mails for x in own)


def _kind(request: Request, desk: AppContext) -> contacts.Kind | None:
    wanted: Any = request.path_params["kind"]
    return wanted if wanted in get_args(contacts.Kind) and wanted in offered(desk) else None


@get(mine(fresh=True))
async def add(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/contacts/add/{kind}`."""
    kind = _kind(request, desk)
    if kind is None:
        return redirect("/account/contacts")
    return page(desk, request, me, _form(desk, request, me, kind))


def _form(
    desk: AppContext, request: Request, me: Me, kind: contacts.Kind, error: str = "", values: Values | None = None
) -> AddContact:
    """The form, with what was typed into it."""
    given = values or {"address": "", "name": "", "country": ""}
    typed = "".join(c for c in given["address"][:254] if is_shown(c))
    name = enrolment_factors.clean_label(given["name"][:200]) if kind == "helper" else ""
    if kind != "sms":
        return AddContact(kind, error, typed, name, link=title_of(desk, request) if kind == "im" else "")
    country = _region(desk, request, given["country"]) if values is None or given["country"] else ""
    listed = countries(desk.locale(request))
    return AddContact(kind, error, typed, name, _stronger(desk, me, kind), country, listed)


def _region(desk: AppContext, request: Request, picked: str) -> str:
    """The country of a number without a calling code: the one picked, else the company's, else the language's."""
    if is_country(picked):
        return picked.upper()
    return desk.settings.people.phone_country or language(desk.locale(request)).region


def _stronger(desk: AppContext, me: Me, kind: contacts.Kind) -> tuple[str, ...]:
    """What is offered before a phone number, unless it is there already: nobody reads it along (A-6.6.1)."""
    if kind != "sms":
        return ()
    have = {f.kind for f in me.factors}
    return tuple(k for k in factors.offered(desk) if k in BOUND and k not in have)


def _typed_again(desk: AppContext, request: Request, values: Values, refused: Response) -> Response:
    """The form as it was typed, to be sent from this session; for somebody who may send it."""
    kind = _kind(request, desk)
    if not isinstance(refused, Stale) or kind is None or not refused.me.fresh:
        return refused
    model = _form(desk, request, refused.me, kind, "stale_form", values)
    return page(desk, request, refused.me, model, 403)


@post(mine(fresh=True), "address", "name", "country", refused=_typed_again)
async def add_one(desk: AppContext, request: Request, values: Values, me: Me) -> Response:
    """POST `/account/contacts/add/{kind}`."""
    kind, origin = _kind(request, desk), desk.origin(request)
    if kind is None:
        return redirect("/account/contacts")
    if kind == "im" and desk.services.chat is not None:
        return redirect("/account/contacts/add/im")  # whom a sign-in names is not typed
    name = enrolment_factors.clean_label(values["name"][:200]) if kind == "helper" else ""
    try:
        if kind == "helper" and not name:
            raise BadInput("no_name")
        address = contacts.read_address(kind, values["address"], _region(desk, request, values["country"]))
        contact_id = await desk.services.db.write(
            lambda tx: contacts.start(
                tx, locking.own(tx, me.session), kind, address, name, origin, desk.services.policy.per_colleague
            )
        )
    except (BadInput, Refusal) as e:
        if e.code == "over":
            return redirect("/account/contacts")
        return page(desk, request, me, _form(desk, request, me, kind, e.code, values), 422)
    return redirect("/account/contacts?done=invited" if kind == "helper" else f"/account/contacts/{contact_id}")


@get(mine(fresh=True, back="/account/contacts"))
async def one(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/contacts/{id}`: the code that came to the new address."""
    return await _one(desk, request, me)


async def _one(desk: AppContext, request: Request, me: Me, status: int = 200, **over: Any) -> Response:
    contact_id = request.path_params["id"]

    def load(tx: Tx) -> tuple[Contact, Challenge | None, int] | None:
        found = contacts.pending(tx, me.person.id, contact_id)
        return (*found, tx.now) if found else None

    found = await desk.services.db.read(load)
    if found is None or found[0].role == "recovery":
        return redirect("/account/contacts")
    contact, asked, now = found
    left = max(0, (asked.expires_at - now) // 1000) if asked else 0
    again = max(0, -(-(asked.created_at + RESEND_AFTER - now) // 1000)) if asked else 0
    model = ConfirmContact(contact.id, contacts.kind_of(contact), contact.address, left, again, **over)
    return page(desk, request, me, model, status, path="/account/contacts")


@post(mine(fresh=True, back="/account/contacts"), "code", limit="proofs", at="/account/contacts")
async def confirm_one(desk: AppContext, request: Request, values: Values, me: Me) -> Response:
    """POST `/account/contacts/{id}` with the code."""
    origin, s, contact_id = desk.origin(request), desk.services, request.path_params["id"]
    try:
        done = await contacts.confirm(s.db, s.proofs, me.person, contact_id, values["code"], origin)
    except Refusal as e:
        return await _one(desk, request, me, 410, **({"error": "too_many"} if e.code == "too_many" else {}))
    if done == "confirmed":
        return redirect("/account/contacts?done=confirmed")
    return await _one(desk, request, me, 422, error=done)


@post(mine(fresh=True, back="/account/contacts"))
async def again(desk: AppContext, request: Request, _: Values, me: Me) -> Response:
    """POST `/account/contacts/{id}/again`: a new code or invitation, at most every two minutes."""
    contact_id, origin = request.path_params["id"], desk.origin(request)

    def act(tx: Tx) -> Contact | None:
        person = locking.own(tx, me.session)
        found = contacts.pending(tx, me.person.id, contact_id)
        if found is None:
            return None
        if found[1] is None or found[1].created_at + RESEND_AFTER <= tx.now:
            contacts.send(tx, person, found[0], origin)
        return found[0]

    try:
        found = await desk.services.db.write(act)
    except Refusal as e:
        if e.code == "over":
            return redirect("/account/contacts")
        return await _one(desk, request, me, 429, error="too_often")
    if found is None or found.role == "recovery":
        return redirect("/account/contacts?done=invited" if found else "/account/contacts")
    return redirect(f"/account/contacts/{contact_id}")


# ── removing, of contacts and factors alike ─────────────────────────────────


@get(mine(fresh=True))
async def ask_remove(desk: AppContext, request: Request, me: Me) -> Response:
    """GET `/account/remove/{id}`: what would be removed."""
    item, policy = request.path_params["id"], desk.services.policy

    def load(tx: Tx) -> RemoveOne | None:
        f = tx.factors.get(item)
        if f is not None and f.person_id == me.person.id and f.state == "active":
            return RemoveOne(
                f.id,
                f.kind,
                f.label,
                refused="" if enrolment_factors.may_remove(tx, me.person, f, policy) else "last_one",
            )
        c = tx.contacts.many([item]).get(item)
        if c is None or c.person_id != me.person.id or c.state == "removed":
            return None
        kept = (c.origin == "import" or c.role == "primary") and not address_changes.refusable(c, tx.now)
        label = c.name or c.address
        return RemoveOne(c.id, contacts.kind_of(c), label, contact=True, refused="imported" if kept else "")

    model = await desk.services.db.read(load)
    return page(desk, request, me, model) if model else redirect("/account")


@post(mine(fresh=True))
async def remove(desk: AppContext, request: Request, _: Values, me: Me) -> Response:
    """POST `/account/remove/{id}`."""
    item, s, origin = request.path_params["id"], desk.services, desk.origin(request)

    def act(tx: Tx) -> str:
        locking.own(tx, me.session)
        if tx.factors.get(item) is not None:
            enrolment_factors.remove(tx, me.person.id, item, s.policy, origin)
            return "/account/ways"
        contacts.remove(tx, me.person.id, item, origin)
        return "/account/contacts"

    try:
        return redirect(f"{await s.db.write(act)}?done=removed")
    except Refusal as e:
        return redirect(f"/account/remove/{item}" if e.code not in ("not_found", "over") else "/account")


@post(mine(fresh=True))
async def keep(desk: AppContext, request: Request, _: Values, me: Me) -> Response:
    """POST `/account/contacts/{id}/keep`: it is still mine."""
    item, origin = request.path_params["id"], desk.origin(request)

    def act(tx: Tx) -> None:
        contacts.still_mine(tx, locking.own(tx, me.session).id, item, origin)

    try:
        await desk.services.db.write(act)
    except Refusal:
        return redirect("/account/contacts")
    return redirect("/account/contacts?done=kept")


# ── the one who is asked to vouch ───────────────────────────────────────────


async def invited(request: Request) -> Response:
    """GET `/invited`: who asks, and what they would agree to. Changes nothing."""
    desk = context_of(request)
    token = links.shown(desk, request)
    found = await desk.services.db.read(lambda tx: invitations.look_at_invitation(tx, token))
    if found.problem is not None:
        over = LinkOver("invited", found.problem if token else "no_link", found.person)
        return desk.page(request, over, over.status, path="/invited")
    return desk.page(request, Invited(found.person, found.asked_at), path="/invited")


@post(anybody, "answer", links.FIELD)
async def answer(desk: AppContext, request: Request, values: Values) -> Response:
    """POST `/invited` with `answer` yes or no."""
    token, origin = links.sent(desk, request, values[links.FIELD]), desk.origin(request)
    yes = values["answer"] == "yes"
    if not token:
        return links.stale(request, "/invited", values[links.FIELD])
    seen = await desk.services.db.read(lambda tx: invitations.look_at_invitation(tx, token))
    if not seen.problem:
        act = partial(invitations.accept, per_colleague=desk.services.policy.per_colleague) if yes else _decline
        try:
            done = await desk.services.db.write(lambda tx: act(tx, token, origin))
        except Refusal as e:
            if e.code == "too_many":
                return desk.page(request, Invited(seen.person, problem="full"), 410, path="/invited")
            done = False
        if done:
            answered = Invited(seen.person, problem="accepted" if yes else "declined")
            response = desk.page(request, answered, path="/invited")
            links.drop(desk, request, response, token)
            return response
    return links.stale(request, "/invited", values[links.FIELD])


def _decline(tx: Tx, token: str, origin: Any) -> bool:
    return invitations.decline(tx, token)


ROUTES = [
    Route("/account/contacts", show, methods=["GET"]),
    Route("/account/contacts/add/{kind:str}", add, methods=["GET"]),
    Route("/account/contacts/add/{kind:str}", add_one, methods=["POST"]),
    Route("/account/contacts/{id:str}", one, methods=["GET"]),
    Route("/account/contacts/{id:str}", confirm_one, methods=["POST"]),
    Route("/account/contacts/{id:str}/again", again, methods=["POST"]),
    Route("/account/contacts/{id:str}/keep", keep, methods=["POST"]),
    Route("/account/remove/{id:str}", ask_remove, methods=["GET"]),
    Route("/account/remove/{id:str}", remove, methods=["POST"]),
    Route("/invited", invited, methods=["GET"]),
    Route("/invited", answer, methods=["POST"]),
]
