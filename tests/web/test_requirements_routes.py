"""Requirements that hold for every address: found by walking the routes, so that a new one is looked at too."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from keyback.application import handles
from keyback.application.account import lockdown
from keyback.application.enrolment import factors, invitations
from keyback.application.notifications import account_changes
from keyback.application.ports.storage import Tx
from keyback.application.recovery import mailed_link
from keyback.application.signin import second_step
from keyback.application.signin import sign_in as signin_sign_in
from keyback.application.signin.sessions import SignedIn, session_of
from keyback.domain.challenges.challenge import LINK_LIFE, holder_secret
from keyback.domain.secret import Secret
from keyback.domain.units import HOUR
from keyback.storage.sql.schema import accounts, people, sessions
from tests.support import reach
from tests.support.enrolled import add_codes, add_contact, add_totp, person_id
from tests.support.forms import Make, Site, filled, protection, ready, token_of
from tests.support.kit import Kit, person
from tests.support.steps import (
    HERE,
    NEW,
    OLD,
    Tray,
    accept,
    ask,
    begin,
    case_of,
    choose,
    drain,
    fit,
    sign_in,
)

# Of a session whose proof is not fresh, and why.
ASK_FOR_NO_MORE = {
    "/account/confirm": "is where it is made fresh",
    "/account/lock": "in an emergency nobody is asked for more; it only ends things",
    "/account/devices": "ends sessions and forgets browsers, adds nothing",
    "/account/password": "asks for the current password, and for a second step where there is one",
    "/account/callers/{id}/refuse": "ends a caller check in no one's favor; confirming asks for more",
    "/account/codes/file": "gives back what was sent with it",
    "/account/after": "ticks a list off; what it removes asks, as below",
}


# ── who is signed in, and how lately ────────────────────────────────────────


@pytest.mark.covers("A-7.5.1", "A-7.5.3", "A-8.2.1")
def test_every_change_in_the_security_centre_asks_for_a_session_and_a_fresh_proof(
    make_kit: Make, database_url: str
) -> None:
    kit, _ = ready(make_kit, database_url)
    site = Site(kit)
    inside = [p for p, _ in site.posts() if p.startswith("/account")]
    assert len(inside) > 12
    assert set(ASK_FOR_NO_MORE) <= set(inside)
    before = protection(kit, "maya")
    assert {site.post(filled(p)) for p in inside} == {(303, "/sign-in")}
    assert protection(kit, "maya") == before
    site.cookies["session"] = token_of(kit, "maya")
    kit.clock.forward(minutes=11)
    before = protection(kit, "maya")
    asked = {p: site.post(filled(p)) for p in inside if p not in ASK_FOR_NO_MORE}
    assert {p: said for p, said in asked.items() if not said[1].startswith("/account/confirm?next=/account")} == {}
    assert site.post("/account/after", remove="x")[1] == "/account/confirm?next=/account/after"
    assert protection(kit, "maya") == before


@pytest.mark.slow
@pytest.mark.covers("N-E3", "N-E2", "A-8.2.1")
def test_nothing_is_enrolled_but_in_a_session_or_by_a_recovery_that_was_proven(
    make_kit: Make, database_url: str
) -> None:
    kit, tray = ready(make_kit, database_url)
    site = Site(kit)
    sinks = (("factors", "add"), ("factors", "put_codes"), ("contacts", "add"), ("contacts", "confirm"))
    enrolling = [p for p, f in site.posts() if any(reach.calls(f, *s) for s in sinks)]
    assert {"/account/totp", "/account/passkeys/{id}", "/account/contacts/add/{kind}", "/r/{handle}/factor/new"} <= set(
        enrolling
    )
    handle, link, _, stop = begin(kit, tray)
    before = protection(kit, "maya")
    secret = holder_secret(kit.services.seals.derive("holder"), handle)
    nobody: list[dict[str, str]] = [{}, {"link": link}, {"link": stop}, {"session": link}, {"second": link}]
    for cookies in (*nobody, {"recovery": f"{handle}.{secret}"}):  # the last one holds its page and has proven nothing
        site.cookies = cookies
        for path in enrolling:
            status, to = site.post(filled(path, handle=handle))
            asks = (path, status) == ("/r/{handle}/code", 422)  # for a code, of whoever holds the page
            assert status in (303, 403, 410) or asks, path
            own = ("", "/sign-in", f"/r/{handle}", f"/r/{handle}/ways", "/sign-in/second")
            assert to in (*own, "/invited", "/link", "/new-address", "/stop", "/vouch", "/wasnt-me"), path
    assert protection(kit, "maya") == before


@pytest.mark.covers("N-E3")
def test_what_binds_an_app_is_shown_in_the_session_and_mailed_to_nobody(make_kit: Make, database_url: str) -> None:
    kit, tray = ready(make_kit, database_url)
    site = Site(kit)
    site.cookies["session"] = token_of(kit, "maya")
    _, setup = site.post("/account/totp")
    pid = person_id(kit)
    (pending,) = kit.read(lambda tx: tx.factors.of_person(pid, states=("pending",)))
    drain(kit)
    site.cookies["session"] = token_of(kit, "omar")
    assert site.post(setup, code="123456") == (303, "/account/ways")
    assert kit.read(lambda tx: tx.factors.of_person(pid)) == ()
    site.cookies["session"] = token_of(kit, "maya")
    kit.clock.forward(minutes=31)
    assert kit.read(lambda tx: factors.pending_totp(tx, pid, pending.id)) is None, "it is good for half an hour"
    assert str(pending.data["seed"]) not in repr([letter.content for letter in tray.messages])
    assert not [x for x in tray.messages if x.kind not in ("account_changed", "signed_in")]


@pytest.mark.covers("A-8.2.2", "INV-I3")
def test_what_is_somebody_elses_is_not_there_for_anybody(make_kit: Make, database_url: str) -> None:
    kit, _ = ready(make_kit, database_url)
    theirs = [
        add_totp(kit),
        add_totp(kit, state="pending"),
        add_contact(kit, "mail", "maya@home.example", state="confirmed"),
        add_contact(kit, "mail", "maya@other.example", state="pending"),
    ]
    add_codes(kit)
    mayas = person_id(kit)
    theirs += [s.digest.hex()[:32] for s in kit.read(lambda tx: tx.sessions.of_person(mayas))]
    site = Site(kit)
    site.cookies["session"] = token_of(kit, "omar")
    before = protection(kit, "maya")
    forms: list[dict[str, str]] = [{}, {"code": "123456"}]
    for path in [p for p, _ in site.posts() if p.startswith("/account") and "{id}" in p]:
        for one in theirs:
            for form in forms:
                status, _ = site.post(filled(path, id=one), **form)
                assert status in (303, 410, 422), path
    for one in theirs:
        site.post("/account/devices", session=one)
        site.post("/account/after", remove=one)
    assert protection(kit, "maya") == before


@pytest.mark.slow
@pytest.mark.covers("A-8.2.3", "A-15.3.3")
def test_no_form_takes_a_field_that_it_does_not_show(make_kit: Make, database_url: str) -> None:
    kit, tray = ready(make_kit, database_url)
    site = Site(kit)
    handle, link, _, _ = begin(kit, tray)
    site.cookies = {
        "recovery": f"{handle}.{holder_secret(kit.services.seals.derive('holder'), handle)}",
        "link": link,
        "session": token_of(kit, "omar"),
    }

    def mine() -> list[Any]:
        whole = kit.read(lambda tx: [tx.people.person(person_id_in(tx, who)) for who in ("maya", "omar")])
        return [*whole, *protection(kit, "maya"), *protection(kit, "omar")]

    before = mine()
    unread = set()
    for pattern, _ in site.posts():
        for name in ("tier", "state", "person_id", "role", "usable_from"):
            status, _ = site.post(filled(pattern, handle=handle), **{name: "privileged"})
            assert status in (303, 403, 415, 422), pattern
            if status not in (415, 422):
                unread.add(pattern)
    assert mine() == before
    # Those that answer before they read what was sent: their step is not due here, or the console knows nobody.
    assert {p for p in unread if not p.startswith(("/r/{handle}/", "/console/"))} == set()


def person_id_in(tx: Tx, who: str) -> str:
    mail = f"{who}@example.com"
    return tx.people.match([mail])[mail][0].person.id


# ── tokens ──────────────────────────────────────────────────────────────────


def every_token(kit: Kit, tray: Tray) -> dict[str, str]:
    """One live token of each kind, all of one person."""
    tokens = {"session": token_of(kit, "maya")}
    add_totp(kit)
    waits = sign_in(kit, "maya", OLD)
    assert isinstance(waits, signin_sign_in.SecondStep)
    pid = person_id(kit)
    kit.write(lambda tx: account_changes.notify_account_change(tx, pid, "totp_removed", HERE))
    drain(kit)
    notice = next(x for x in reversed(tray.messages) if x.kind == "account_changed").content.stop_link
    assert isinstance(notice, Secret)
    handle, link, _, stop = begin(kit, tray)
    secret = holder_secret(kit.services.seals.derive("holder"), handle)
    lock = notice.reveal().rsplit("/", 1)[1]
    return tokens | {"second": waits.token, "lock": lock, "link": link, "stop": stop, "page": f"{handle}.{secret}"}


def opens(kit: Kit, token: str) -> set[str]:
    """The kinds of token that this one is taken for. Looks only."""
    handle, _, secret = token.partition(".")

    def look(tx: Tx) -> set[str]:
        taken: dict[str, bool] = {
            "session": session_of(tx, token, limited=True) is not None,
            "second": second_step.look(tx, token) is not None,
            "lock": not lockdown.look(tx, token).problem,
            "link": mailed_link.look_at_link(tx, token).problem is None,
            "stop": mailed_link.look_at_stop(tx, token).problem is None,
            "page": handles.holds(kit.services.seals, handle, secret or token),
            "invitation": not invitations.look_at_invitation(tx, token).problem,
        }
        return {kind for kind, yes in taken.items() if yes}

    return kit.read(look)


@pytest.mark.covers("A-9.2.2", "A-9.1.1")
def test_a_token_is_good_for_what_it_was_made_for_and_for_nothing_else(make_kit: Make, database_url: str) -> None:
    kit, tray = ready(make_kit, database_url)
    tokens = every_token(kit, tray)
    assert {kind: opens(kit, token) for kind, token in tokens.items()} == {kind: {kind} for kind in tokens}
    for token in tokens.values():
        assert opens(kit, token[:-2]) == opens(kit, token.swapcase()) == set()
    other = ask(kit, "omar").handle
    assert opens(kit, f"{other}.{tokens['page'].partition('.')[2]}") == set()


@pytest.mark.covers("A-9.2.1")
def test_a_token_out_of_its_time_opens_nothing(make_kit: Make, database_url: str) -> None:
    kit, tray = ready(make_kit, database_url)
    tokens = every_token(kit, tray)
    lives = {"link": LINK_LIFE, "second": 10 * 60_000, "session": HOUR, "lock": 7 * 24 * HOUR}
    begun = kit.clock.now
    for life in sorted(set(lives.values())):  # time goes forward only, and two of them live equally long
        kinds = [kind for kind in lives if lives[kind] == life]
        kit.clock.now = begun + life - 1000
        assert [opens(kit, tokens[kind]) for kind in kinds] == [{kind} for kind in kinds]
        kit.clock.now = begun + life
        assert [opens(kit, tokens[kind]) for kind in kinds] == [set() for _ in kinds], kinds


@pytest.mark.covers("A-6.4.1", "A-6.3.2")
def test_nobody_has_a_first_password(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url)
    tray = fit(kit, person("maya"), person("omar"))
    for who in ("maya", "maya@example.com"):
        for guess in (
            "",
            " ",
            "maya",
            "Maya",
            "maya@example.com",
            "password",
            "keyback",
            "123456",
            "None",
            "$argon2id$",
        ):
            assert isinstance(sign_in(kit, who, Secret(guess)), signin_sign_in.NotSignedIn), guess
    assert protection(kit, "maya")[-1] is None
    handle, link, _, _ = begin(kit, tray)  # what activates an account is a recovery: random, an hour, once
    assert accept(kit, link) is None
    case = case_of(kit, handle)
    assert case is not None
    choose(kit, case.id)
    drain(kit)
    assert isinstance(sign_in(kit, "maya", NEW), SignedIn)
    assert protection(kit, "omar")[-1] is None
    assert accept(kit, link) == "used"


@pytest.mark.slow
@pytest.mark.covers("I15", "A-6.3.2")
def test_the_first_visitor_of_a_fresh_installation_becomes_nobody(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url)
    fit(kit)
    site = Site(kit)
    form = {"identifier": "admin", "password": NEW.reveal()}
    assert not [p for p, _ in site.posts() if any(w in p for w in ("setup", "install", "register", "sign-up", "admin"))]
    for path in {filled(p) for p, _ in site.posts()}:
        for given in ({}, form):
            status, to = site.post(path, **given)
            assert status < 500, path
            assert not to.startswith("/account"), path
    drain(kit)
    assert kit.read(lambda tx: [tx.conn.execute(select(t)).first() for t in (people, accounts, sessions)]) == [None] * 3


@pytest.mark.slow
@pytest.mark.covers("B15", "A-6.3.8", "INV-I5")
@pytest.mark.parametrize("typed", ["", " ", "ma\0ya", "\0malformed", "\1malformed", "a" * 5000, "\u202emaya"])
def test_a_name_that_cannot_be_one_is_wrong_like_any_other(make_kit: Make, database_url: str, typed: str) -> None:
    kit, _ = ready(make_kit, database_url)
    assert sign_in(kit, typed, OLD) == sign_in(kit, "nobody", OLD) == signin_sign_in.NotSignedIn("wrong")
