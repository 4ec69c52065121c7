"""What is used up and what it brings about are one commit (M14): the database goes away at every commit of an act in
turn. After it either both are there or neither, and then the same code, link or challenge works."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pyotp
import pytest
from sqlalchemy import event

from keyback.application.enrolment import contacts, factors
from keyback.application.ports.storage import Session, StorageDown, Tx
from keyback.application.recovery import mailed_link, methods
from keyback.application.signin import passkey, second_step, sessions, sign_in, step_up
from keyback.application.signin.sessions import SignedIn
from keyback.domain.people.factor import Factor
from keyback.domain.secret import Secret
from keyback.domain.tokens import token_digest
from keyback.testing.authenticator import Authenticator
from tests.support.enrolled import add_codes, add_totp, ask_way, person_id, totp_now
from tests.support.kit import Kit, person
from tests.support.steps import HERE, OLD, Tray, ask, drain, fit, here, secrets_of, set_password, types

pytestmark = pytest.mark.both

Make = Callable[..., Kit]
URL = "http://localhost:8080"
MOST = 9  # more commits than any act has


class House:
    """Maya with a second step of every kind; `handles` and `asked` are what an act is about."""

    handles: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()

    def __init__(self, make_kit: Make, url: str) -> None:
        self.kit = kit = make_kit(url=url, public_url=URL)
        self.tray: Tray = fit(kit, person("maya"))
        self.pid = person_id(kit)
        set_password(kit, "maya")
        add_totp(kit)
        self.codes = add_codes(kit)
        self.key = Authenticator(URL, "localhost")
        maker: Any = kit.services.proofs["passkey"]
        options = maker.registration_options(bytes(32), bytes(64), "maya", "Maya", "Qingyu", ())
        made = maker.verify_registration(self.key.create(options), bytes(32), bytes(64))
        new = Factor("key", self.pid, "passkey", "", "active", made.data, lookup=made.lookup)
        kit.write(lambda tx: tx.factors.add(new))

    def session(self) -> Session:
        who, account = self.kit.read(
            lambda tx: (tx.people.person(self.pid), tx.people.accounts([self.pid])[self.pid][0])
        )
        assert who is not None
        rules = self.kit.services.rules
        opened = self.kit.write(lambda tx: sessions.open_session(tx, account, who, HERE, rules))
        found = self.kit.read(lambda tx: tx.sessions.get(token_digest(opened.token)))
        assert found is not None
        return found

    def left(self) -> dict[str, Any]:
        """Whatever an act uses up or brings about, but for counts and the audit of wrong answers."""

        def look(tx: Tx) -> dict[str, Any]:
            found = tx.factors.of_person(self.pid, states=("active", "pending"))
            return {
                "sessions": [(s.proven, s.proven_at) for s in tx.sessions.of_person(self.pid)],
                "browsers": len(tx.devices.of_person(self.pid)),
                "codes": sorted((c.slot, c.used_at) for c in tx.factors.codes([f.id for f in found])),
                "factors": [(f.id, f.state, f.counter, f.used_at) for f in found],
                "contacts": [(c.id, c.state) for c in tx.contacts.of_person(self.pid, states=("confirmed", "pending"))],
                "prompts": [(p.id, p.ended) for p in tx.challenges.many(self.asked).values()],
                "links": [(c.id, c.ended) for h in self.handles for c in tx.challenges.issued(h, "email_link")],
                "cases": [tx.intakes.get(h).case_id for h in self.handles],  # type: ignore[union-attr]
                "jobs": tx.outbox.depth(),
            }

        return self.kit.read(look)


Act = Callable[[], Any]  # an awaitable that is made anew for each try
Plan = Callable[[House], tuple[Act, Callable[[Any], bool]]]


def by_second_step(name: str) -> Plan:
    def plan(h: House) -> tuple[Act, Callable[[Any], bool]]:
        s = h.kit.services
        waits: Any = h.kit.run(sign_in.sign_in(s.db, s.gate, "maya", OLD, HERE))
        page = h.kit.read(lambda tx: second_step.look(tx, waits.token)).page  # type: ignore[union-attr]
        typed = h.codes[0] if name == "recovery_code" else totp_now(h.kit)
        proof = s.proofs[name]
        if name == "passkey":
            asked = h.kit.read(lambda tx: step_up.asked(tx, page, proof))
            typed = h.key.get(str(proof.form(asked, "en")["options"]))
        h.asked = tuple(
            p.id for n in step_up.PROOF_OF.values() for p in h.kit.read(lambda tx, n=n: tx.challenges.issued(page, n))
        )
        act: Act = lambda: second_step.take(s.db, proof, waits.token, typed, HERE, browser=True)  # noqa: E731
        return act, lambda got: bool(got.token and got.device) and (name != "recovery_code" or bool(got.new_code))

    return plan


def by_passkey_alone(h: House) -> tuple[Act, Callable[[Any], bool]]:
    s, proof, ticket = h.kit.services, h.kit.services.proofs["passkey"], passkey.new_ticket(h.kit.clock())
    options = proof.form([passkey.stand_in(s.seals, ticket)], "en")["options"]
    typed = json.dumps(json.loads(h.key.get(str(options))))
    finds: Any = proof
    act: Act = lambda: passkey.by_passkey(  # noqa: E731
        s.db, proof, ticket, finds.lookup(typed), typed, HERE, browser=True
    )
    return act, lambda got: isinstance(got, SignedIn)


def by_step_up(h: House) -> tuple[Act, Callable[[Any], bool]]:
    s, session = h.kit.services, h.session()
    h.kit.write(lambda tx: step_up.issue(tx, tx.people.person(h.pid), "step_up", step_up.page_of(session)))  # type: ignore[arg-type]
    h.kit.clock.forward(minutes=1)
    act: Act = lambda: step_up.once_more(s.db, s.proofs["recovery_code"], session, h.codes[0], HERE)  # noqa: E731
    return act, lambda got: got.code == "accepted" and got.new_code is not None


def begun(h: House) -> tuple[str, str, str]:
    handle = ask(h.kit, "maya").handle
    drain(h.kit)
    h.handles = (handle,)
    return (handle, *secrets_of(h.tray.messages[-1])[:2])


def by_link(h: House) -> tuple[Act, Callable[[Any], bool]]:
    _, token, _ = begun(h)
    at = here(h.kit)
    accept = lambda tx: mailed_link.accept_link(tx, token, held=True, number=None, here=at)  # noqa: E731
    return lambda: h.kit.services.db.write(accept), lambda got: got.problem is None


def by_mailed_code(h: House) -> tuple[Act, Callable[[Any], bool]]:
    handle, _, code = begun(h)
    at = here(h.kit)
    s = h.kit.services
    act: Act = lambda: mailed_link.try_code(s.db, s.proofs["email_link"], handle, code, at)  # noqa: E731
    return act, lambda got: got[0] == "accepted"


def by_saved_code_on_a_page(h: House) -> tuple[Act, Callable[[Any], bool]]:
    handle, _, _ = begun(h)
    ask_way(h.kit, handle, "recovery_code")
    proof, at = h.kit.services.proofs["recovery_code"], here(h.kit)
    h.asked = tuple(p.id for p in h.kit.read(lambda tx: tx.challenges.issued(handle, "recovery_code")))
    act: Act = lambda: methods.answer(h.kit.services.db, proof, handle, h.codes[0], at)  # noqa: E731
    return act, lambda got: got[0] == "accepted" and got[2] is not None


def by_code_to_a_new_address(h: House) -> tuple[Act, Callable[[Any], bool]]:
    s, who = h.kit.services, h.kit.read(lambda tx: tx.people.person(h.pid))
    assert who is not None
    new = h.kit.write(lambda tx: contacts.start(tx, who, "mail", "maya@example.net", "", HERE))
    drain(h.kit)
    code = next(x.content.code for x in h.tray.messages if x.to == "maya@example.net")
    assert isinstance(code, Secret)
    act: Act = lambda: contacts.confirm(s.db, s.proofs, who, new, code.reveal(), HERE)  # noqa: E731
    return act, lambda got: got == "confirmed"


def by_first_code_of_an_app(h: House) -> tuple[Act, Callable[[Any], bool]]:
    app: Any = h.kit.services.proofs["totp"]
    session = h.session()
    new = h.kit.write(lambda tx: factors.start_totp(tx, app, tx.people.person(h.pid)))  # type: ignore[arg-type]
    seed = h.kit.read(lambda tx: str(tx.factors.get(new).data["seed"]))  # type: ignore[union-attr]
    code = pyotp.TOTP(seed).at(h.kit.clock() // 1000)
    finish = lambda tx: factors.finish_totp(tx, app, session, new, code, HERE)  # noqa: E731
    return lambda: h.kit.services.db.write(finish), lambda got: got is True


PLANS: dict[str, Plan] = {
    "sign-in, app": by_second_step("totp"),
    "sign-in, saved code": by_second_step("recovery_code"),
    "sign-in, passkey": by_second_step("passkey"),
    "passkey alone": by_passkey_alone,
    "step-up": by_step_up,
    "mailed link": by_link,
    "mailed code": by_mailed_code,
    "saved code on a page": by_saved_code_on_a_page,
    "new address": by_code_to_a_new_address,
    "new app": by_first_code_of_an_app,
}


@contextmanager
def away_at(kit: Kit, nth: int) -> Iterator[list[int]]:
    """The database goes away in the nth commit from here, in the middle of it."""
    engine: Any = kit.services.db.engine  # type: ignore[attr-defined]
    seen: list[int] = []

    def commit(_conn: Any) -> None:
        seen.append(1)
        if len(seen) == nth:
            raise StorageDown("away")

    event.listen(engine, "commit", commit)
    try:
        yield seen
    finally:
        event.remove(engine, "commit", commit)


@pytest.mark.slow
@pytest.mark.covers("M14")
@pytest.mark.parametrize("name", PLANS)
def test_both_or_neither_and_then_it_works(make_kit: Make, database_url: str, name: str) -> None:
    h = House(make_kit, database_url)
    act, good = PLANS[name](h)
    before, faults = h.left(), 0
    for nth in range(1, MOST):
        with away_at(h.kit, nth) as seen:
            try:
                got = h.kit.run(act())
            except StorageDown:
                faults += 1
                assert h.left() == before, f"half of it is there after commit {nth}"
                continue
        assert len(seen) < nth
        break
    assert faults
    assert good(got), "the same works once the database is back"
    assert h.left() != before


@pytest.mark.covers("M14", "W-1", "M8")
def test_a_challenge_is_over_with_its_first_answer_all_the_same(make_kit: Make, database_url: str) -> None:
    h = House(make_kit, database_url)
    act, good = by_passkey_alone(h)
    assert good(h.kit.run(act()))
    assert h.kit.run(act()) == sign_in.NotSignedIn("wrong")
    second, fits = by_second_step("passkey")(h)
    assert fits(h.kit.run(second()))
    assert h.kit.run(second()).code == "done"
    assert types(h.kit).count("signed_in") == 2
