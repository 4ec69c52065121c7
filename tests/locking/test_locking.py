"""At least one, at most so many, only one: kept when two nodes act at the same moment (F10).

Two nodes are two `Database` objects over one database. `overlap` makes the moment certain: the first act is done but
not yet committed when the second one begins.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import pyotp
import pytest
from sqlalchemy import event

from keyback.application.account import change_password, lockdown
from keyback.application.enrolment import contacts, security_questions
from keyback.application.enrolment import factors as enrolment_factors
from keyback.application.notifications.account_changes import lock_link
from keyback.application.ports.storage import Session, Tx
from keyback.application.recovery import cancel, evidence, mailed_link, new_password, replace_factor
from keyback.application.recovery.evidence import Here
from keyback.application.signin.sessions import SignedIn, open_session
from keyback.domain.challenges.challenge import key_purpose, link_token
from keyback.domain.errors import Refusal
from keyback.domain.passwords.rules import PRESETS
from keyback.domain.people.factor import BOUND
from keyback.domain.people.person import Contact, Person
from keyback.domain.secret import Secret
from keyback.domain.tokens import token_digest
from keyback.storage.database import SqlDatabase
from tests.support.enrolled import add_codes, add_totp, answer_way, ask_way, person_id
from tests.support.kit import Kit, person
from tests.support.steps import (
    HERE,
    OLD,
    accept,
    ask,
    begin,
    drain,
    fit,
    here,
    secrets_of,
    set_password,
    sign_in,
    types,
)

pytestmark = pytest.mark.both

Make = Callable[..., Kit]
Act = Callable[[Tx], Any]
MANY = 50


class House:
    """A person of tier `mfa` who is signed in, and a second node over the same database."""

    def __init__(self, kit: Kit) -> None:
        self.kit, self.tray = kit, fit(kit, person("maya", tier="mfa"))
        set_password(kit, "maya")
        done = sign_in(kit, "maya", OLD)
        assert isinstance(done, SignedIn)
        found = kit.read(lambda tx: tx.sessions.get(token_digest(done.token)))
        assert found is not None
        self.session: Session = found
        self.pid = person_id(kit)
        first = kit.services.db
        assert isinstance(first, SqlDatabase)
        self.other = SqlDatabase(first.url, first.keyring, clock=kit.clock)
        self.nodes = (first, self.other)

    @property
    def maya(self) -> Person:
        found = self.kit.read(lambda tx: tx.people.person(self.pid))
        assert found is not None
        return found

    def factors(self) -> list[str]:
        return [f.kind for f in self.kit.read(lambda tx: tx.factors.of_person(self.pid))]

    def confirmed(self) -> list[Contact]:
        return [c for c in self.kit.read(lambda tx: tx.contacts.of_person(self.pid)) if c.role != "primary"]

    def overlap(self, first: Act, second: Act) -> list[Any]:
        """Runs the second act on the other node while the first is done and not committed; what each came to."""
        reached, may_end = threading.Event(), threading.Event()

        def held(tx: Tx) -> Any:
            try:
                return first(tx)
            finally:
                reached.set()
                may_end.wait(60)

        def waits(_c: Any, _cursor: Any, statement: str, *_: Any) -> None:
            if "UPDATE" in statement.split("FROM")[-1] or statement.startswith("BEGIN IMMEDIATE"):
                may_end.set()

        async def go() -> list[Any]:
            one = asyncio.ensure_future(_came_to(self.nodes[0].write(held)))
            await asyncio.to_thread(reached.wait, 20)
            two = asyncio.ensure_future(_came_to(self.nodes[1].write(second)))
            if self.other.sqlite:
                may_end.set()  # there the second one cannot even begin
            two.add_done_callback(lambda _: may_end.set())
            return list(await asyncio.gather(one, two))

        event.listen(self.other.engine, "before_cursor_execute", waits)
        try:
            return list(self.kit.run(go()))
        finally:
            event.remove(self.other.engine, "before_cursor_execute", waits)

    def at_once(self, acts: list[Act]) -> list[Any]:
        """All acts at once, by turns on both nodes; what each came to. No node waits for another in a circle."""

        async def go() -> list[Any]:
            return list(await asyncio.gather(*(_came_to(self.nodes[n % 2].write(a)) for n, a in enumerate(acts))))

        with circles(*self.nodes) as seen:
            found = list(self.kit.run(go()))
        assert seen == []
        return found


@pytest.fixture
def house(make_kit: Make, database_url: str) -> Iterator[House]:
    h = House(make_kit(url=database_url))
    yield h
    h.kit.run(h.other.close())


async def _came_to(write: Any) -> Any:
    try:
        return await write
    except Refusal as e:
        return e.code


@contextmanager
def circles(*nodes: SqlDatabase) -> Iterator[list[str]]:
    """Collects deadlocks that the database had to break."""
    seen: list[str] = []

    def note(context: Any) -> None:
        if getattr(context.original_exception, "sqlstate", "") == "40P01":
            seen.append(str(context.statement))

    for node in nodes:
        event.listen(node.engine, "handle_error", note)
    try:
        yield seen
    finally:
        for node in nodes:
            event.remove(node.engine, "handle_error", note)


def remover(h: House, factor_id: str) -> Act:
    return lambda tx: enrolment_factors.remove(tx, h.pid, factor_id, h.kit.services.policy, HERE).id


@pytest.mark.covers("F10", "W-7")
def test_two_removals_at_once_leave_a_second_step(house: House) -> None:
    a, b = add_totp(house.kit), add_totp(house.kit)
    assert house.overlap(remover(house, a), remover(house, b)) == [a, "last_one"]
    assert house.factors() == ["totp"]


@pytest.mark.slow
@pytest.mark.covers("F10", "W-7")
def test_of_fifty_removals_on_two_nodes_one_second_step_is_left(house: House) -> None:
    ids = [add_totp(house.kit) for _ in range(MANY)]
    found = house.at_once([remover(house, i) for i in ids])
    assert found.count("last_one") == 1
    assert house.factors() == ["totp"]


@pytest.mark.covers("F10")
def test_a_removal_and_a_list_of_removals_leave_one(house: House) -> None:
    a, b, who = add_totp(house.kit), add_totp(house.kit), house.maya
    policy = house.kit.services.policy
    house.overlap(remover(house, a), lambda tx: lockdown.drop(tx, who, [b], policy, HERE))
    assert house.factors() == ["totp"]


@pytest.mark.slow
@pytest.mark.covers("F10")
def test_one_seed_waits_and_no_more_apps_than_allowed(house: House) -> None:
    app: Any = house.kit.services.proofs["totp"]
    who = house.maya
    for _ in range(enrolment_factors.MAX_FACTORS["totp"] - 1):
        add_totp(house.kit)
    made = house.overlap(
        lambda tx: enrolment_factors.start_totp(tx, app, who), lambda tx: enrolment_factors.start_totp(tx, app, who)
    )
    assert house.kit.read(lambda tx: len(tx.factors.of_person(house.pid, states=("pending",)))) == 1
    made += house.at_once([lambda tx: enrolment_factors.start_totp(tx, app, who)] * MANY)
    waiting = house.kit.read(lambda tx: tx.factors.of_person(house.pid, states=("pending",)))
    assert [f.id for f in waiting] == [f.id for f in waiting if f.id in made]
    assert len(waiting) == 1
    seed = str(waiting[0].data["seed"])
    code = pyotp.TOTP(seed).at(house.kit.clock() // 1000)
    finish: Act = lambda tx: enrolment_factors.finish_totp(tx, app, house.session, waiting[0].id, code, HERE)  # noqa: E731
    assert house.at_once([finish] * MANY).count(True) == 1
    assert len(house.factors()) == enrolment_factors.MAX_FACTORS["totp"]


@pytest.mark.slow
@pytest.mark.covers("F10")
def test_one_set_of_codes_and_of_questions_is_left(house: House) -> None:
    version = house.maya.security_version

    def codes(tx: Tx) -> None:
        enrolment_factors._replace_codes(tx, house.session, [], HERE)

    def asked(tx: Tx) -> None:
        security_questions._replace(tx, house.session, version, {}, HERE)

    house.overlap(codes, codes)
    house.overlap(asked, asked)
    assert sorted(house.factors()) == ["recovery_codes", "security_questions"]
    house.at_once([codes, asked] * MANY)
    assert sorted(house.factors()) == ["recovery_codes", "security_questions"]


@pytest.mark.slow
@pytest.mark.covers("F10")
@pytest.mark.parametrize("kind", ["mail", "helper"])
def test_no_more_contacts_are_confirmed_than_allowed(house: House, kind: contacts.Kind) -> None:
    """Many wait for their codes, and all codes come back at once."""
    kit, most = house.kit, contacts.MAX_CONTACTS
    who = house.maya
    for n in range(most + 3):
        kit.clock.forward(hours=1)
        kit.write(lambda tx, n=n: contacts.start(tx, who, kind, f"m{n}@example.net", f"M{n}", HERE))
    drain(kit)
    asked = kit.read(lambda tx: tx.challenges.live(person_id=house.pid, purpose="enrol"))
    waiting = kit.read(lambda tx: tx.contacts.of_person(house.pid, states=("pending",)))
    if kind == "mail":  # codes live ten minutes only: put the questions anew
        again = [replace(asked[-1], id=f"q{n}" + "x" * 20, target=c.id) for n, c in enumerate(waiting)]
        kit.write(lambda tx: tx.challenges.issue(again))
        kit.write(lambda tx: tx.challenges.end(asked[-1].id, "replaced"))
        asked = again
    assert len(asked) == most + 3
    found = house.overlap(
        lambda tx: contacts.mark_confirmed(tx, asked[0], HERE), lambda tx: contacts.mark_confirmed(tx, asked[1], HERE)
    )
    found += house.at_once([lambda tx, p=p: contacts.mark_confirmed(tx, p, HERE) for p in asked[2:] * 9])  # type: ignore[misc]
    room = most - (kind == "mail")  # the primary mailbox is one of them
    assert found.count(None) == room
    assert len(house.confirmed()) == room
    assert set(found) <= {None, "over", "too_many"}


@pytest.mark.covers("F10")
def test_an_address_is_written_down_once(house: House) -> None:
    who = house.maya
    start: Act = lambda tx: contacts.start(tx, who, "mail", "m@example.net", "", HERE)  # noqa: E731
    house.overlap(start, start)
    waiting = house.kit.read(lambda tx: tx.contacts.of_person(house.pid, states=("pending",)))
    assert len(waiting) == 1


@pytest.mark.slow
@pytest.mark.covers("F10", "E7")
@pytest.mark.parametrize("what", ["app", "codes", "questions", "contact"])
def test_what_a_thief_adds_at_the_moment_of_a_lockdown_is_not_added(house: House, what: str) -> None:
    app: Any = house.kit.services.proofs["totp"]
    who, version = house.maya, house.maya.security_version
    new = house.kit.write(lambda tx: enrolment_factors.start_totp(tx, app, who))
    seed = house.kit.read(lambda tx: str(tx.factors.get(new).data["seed"]))  # type: ignore[union-attr]
    code = pyotp.TOTP(seed).at(house.kit.clock() // 1000)
    contact = house.kit.write(lambda tx: contacts.start(tx, who, "mail", "m@example.net", "", HERE))
    prompt = next(
        p
        for p in house.kit.read(lambda tx: tx.challenges.live(person_id=house.pid, purpose="enrol"))
        if p.target == contact
    )
    acts: dict[str, Act] = {
        "app": lambda tx: enrolment_factors.finish_totp(tx, app, house.session, new, code, HERE),
        "codes": lambda tx: enrolment_factors._replace_codes(tx, house.session, [], HERE),
        "questions": lambda tx: security_questions._replace(tx, house.session, version, {}, HERE),
        "contact": lambda tx: contacts.mark_confirmed(tx, prompt, HERE),
    }
    found = house.overlap(lambda tx: lockdown.lock(tx, house.pid, True, HERE), acts[what])
    assert found[1] == "over"
    assert house.factors() == []
    assert house.confirmed() == []


@pytest.mark.covers("F10", "A-7.4.3")
def test_of_new_passwords_on_two_nodes_one_is_taken(house: House) -> None:
    s, before = house.kit.services, house.kit.read(lambda tx: tx.people.credential(house.session.account_id))

    def store(n: int) -> Act:
        return lambda tx: change_password._store(tx, s, house.session, before, f"{before}{n}", HERE)

    assert house.overlap(store(1), store(2)) == [None, "conflict"]
    assert types(house.kit).count("password_changed") == 1


@pytest.mark.slow
@pytest.mark.covers("F10", "O-M1")
def test_a_second_step_that_is_added_while_all_are_replaced_does_not_stay(house: House) -> None:
    """The recovery replaces every second step; a thief in a session adds one at that moment."""
    kit, who = house.kit, house.maya
    app: Any = kit.services.proofs["totp"]
    add_totp(kit)
    handle, at = second_factor(house), here(kit)
    thief = kit.write(lambda tx: enrolment_factors.start_passkey(tx, who))
    new = kit.write(lambda tx: replace_factor.start_app(tx, app, handle, at))
    seed = kit.read(lambda tx: str(tx.factors.get(new).data["seed"]))  # type: ignore[union-attr]
    typed = pyotp.TOTP(seed).at(kit.clock() // 1000)
    maker: Any = None  # which is not asked
    found = house.overlap(
        lambda tx: replace_factor.replace_factor(tx, app, handle, typed, at),
        lambda tx: enrolment_factors.finish_passkey(tx, maker, house.session, thief, "{}", "mine", HERE),
    )
    assert found == [True, "over"]
    assert [f.id for f in kit.read(lambda tx: tx.factors.of_person(house.pid)) if f.kind in BOUND] == [new]


def second_factor(house: House) -> str:
    """A recovery of a lost second step that may go on; its handle."""
    kit = house.kit
    codes = add_codes(kit)
    handle = ask(kit, "maya", journey="second_factor").handle
    drain(kit)
    assert accept(kit, secrets_of(house.tray.messages[-1])[0]) is None
    ask_way(kit, handle, "recovery_code")
    assert answer_way(kit, handle, "recovery_code", codes[0]) == "accepted"
    for _ in range(3):  # the wait, in which the thief keeps the session awake
        kit.clock.forward(minutes=25)
        kit.write(lambda tx: tx.sessions.touch(house.session.digest))
    kit.write(evidence.release)
    return handle


@pytest.mark.slow
@pytest.mark.covers("F10", "A-15.4.2")
def test_no_node_waits_for_another_in_a_circle(house: House) -> None:
    """Acts of every kind on several people, those that lock a recovery first and those that lock the person only."""
    kit, people = house.kit, [f"omar{n}" for n in range(6)]
    kit.write(lambda tx: tx.people.save_imported([person(name) for name in people]))
    acts: list[Act] = []
    for name in people:
        set_password(kit, name, job_id=name)
        handle, token, _, stop = begin(kit, house.tray, name)
        pid = person_id(kit, name)
        mine = [add_totp(kit, name) for _ in range(3)]
        acts += everything(house, name, pid, handle, token, stop, mine)
    acts.sort(key=lambda a: id(a) % 97)  # mixed, so that each commit is asked to hold rows of several people
    found = house.at_once(acts * 2)
    assert not [x for x in found if isinstance(x, BaseException)]
    assert types(kit).count("locked_down") >= len(people)


def everything(h: House, name: str, pid: str, handle: str, token: str, stop: str, factors: list[str]) -> list[Act]:
    at, policy = here(h.kit), h.kit.services.policy
    who = h.kit.read(lambda tx: tx.people.person(pid))
    link = h.kit.write(lambda tx: notice(tx, pid))
    assert who is not None
    account = h.kit.read(lambda tx: tx.people.accounts([pid])[pid][0])
    return [
        lambda tx: mailed_link.accept_link(tx, token, held=True, number=None, here=at).problem,
        lambda tx: cancel.stop_by_owner(tx, stop).problem,
        lambda tx: cancel.stop_by_requester(tx, handle),
        lambda tx: lockdown.lock(tx, pid, True, HERE),
        lambda tx: lockdown.lock_by_link(tx, link, True, HERE),
        lambda tx: enrolment_factors.remove(tx, pid, factors[0], policy, HERE).id,
        lambda tx: lockdown.drop(tx, who, factors[1:], policy, HERE),
        lambda tx: contacts.start(tx, who, "mail", f"{name}@example.net", "", HERE),
        lambda tx: open_session(tx, account, who, HERE, PRESETS["nist"]).token,
        lambda tx: chosen(tx, handle, at),
    ]


def notice(tx: Tx, pid: str) -> str:
    """The token of a link by which the reader of a notice locks the account."""
    who = tx.people.person(pid)
    assert who is not None
    prompt = lock_link(tx, who, tx.contacts.of_person(pid)[0])
    assert prompt is not None
    tx.challenges.issue([prompt])
    return link_token(tx.seals.derive(key_purpose(prompt.method)), prompt)


def chosen(tx: Tx, handle: str, at: Here) -> str:
    found = tx.intakes.get(handle)
    if found is None or found.case_id is None:
        return "too early"
    return new_password.choose(tx, found.case_id, handle, Secret("supper ladder teapot 7"), [], "s1", at).id
