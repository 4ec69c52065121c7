"""Steps of a recovery, without faces: quick, with messages kept instead of sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import event

from keyback.application.origin import Origin
from keyback.application.ports.channels import Message, Receipt
from keyback.application.ports.storage import Tx
from keyback.application.recovery import mailed_link, new_password, start
from keyback.application.recovery.evidence import Here
from keyback.application.recovery.start import Started
from keyback.application.signin import sign_in as signin_sign_in
from keyback.application.signin.sessions import SignedIn
from keyback.domain.recovery.case import Case
from keyback.domain.secret import Secret
from keyback.worker import Worker
from tests.support.kit import Kit

HERE = Origin("192.0.2.7", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
NEW = Secret("supper ladder teapot 7")
OLD = Secret("an older password 42")


@dataclass
class Tray:
    """A channel that keeps messages. `answer` says what becomes of each."""

    name: str = "mail"
    messages: list[Message] = field(default_factory=list)
    answer: Receipt = field(default_factory=lambda: Receipt("sent"))

    async def send(self, messages: Sequence[Message]) -> Sequence[Receipt]:
        self.messages += messages
        return [self.answer] * len(messages)

    async def close(self) -> None:
        return None

    def to(self, address: str, kind: str = "recovery") -> list[Message]:
        return [x for x in self.messages if x.to == address and x.kind == kind]


def fit(kit: Kit, *people: Any) -> Tray:
    """Puts a tray in place of the mail relay and imports people."""
    tray = Tray()
    old = kit.services.channel
    kit.services = replace(kit.services, channel=tray)
    kit.run(old.close())
    if people:
        kit.write(lambda tx: tx.people.save_imported(people))
    return tray


def ask(kit: Kit, identifier: str, **over: Any) -> Started:
    values = {"journey": "password", "system": "", "locale": "en", "origin": HERE, "now": kit.clock(), **over}
    return kit.run(start.write_down(kit.services.db, kit.services.seals, identifier, **values))


def drain(kit: Kit) -> Worker:
    worker = Worker(kit.services)
    kit.run(worker.drain())
    return worker


def secrets_of(letter: Message) -> tuple[str, str, str]:
    """Token of the link, code, token of the stop link."""
    link, code, stop = (getattr(letter.content, k) for k in ("link", "code", "stop_link"))
    assert isinstance(link, Secret)
    assert isinstance(code, Secret)
    assert isinstance(stop, Secret)
    return link.reveal().rsplit("/", 1)[1], code.reveal(), stop.reveal().rsplit("/", 1)[1]


def begin(kit: Kit, tray: Tray, who: str = "maya") -> tuple[str, str, str, str]:
    """A request and its mail: handle, link token, code, stop token."""
    started = ask(kit, who)
    drain(kit)
    return (started.handle, *secrets_of(tray.messages[-1]))


def try_code(kit: Kit, handle: str, code: str, origin: Origin = HERE) -> str:
    s = kit.services
    return str(kit.run(mailed_link.try_code(s.db, s.proofs["email_link"], handle, code, Here(origin, s.policy)))[0])


def accept(kit: Kit, token: str, *, held: bool = True, number: int | None = None) -> str | None:
    view = kit.write(lambda tx: mailed_link.accept_link(tx, token, held=held, number=number, here=here(kit)))
    return None if view.problem is None else str(view.problem)


def case_of(kit: Kit, handle: str) -> Case | None:
    found = kit.read(lambda tx: tx.intakes.get(handle))
    return kit.read(lambda tx: tx.cases.get(found.case_id)) if found and found.case_id else None


def choose(
    kit: Kit, case_id: str, password: Secret = NEW, submission: str = "s1", accounts: Sequence[str] = ()
) -> Case:
    return kit.write(
        lambda tx: new_password.choose(tx, case_id, page_of(tx, case_id), password, accounts, submission, here(kit))
    )


def here(kit: Kit) -> Here:
    return Here(HERE, kit.services.policy)


def page_of(tx: Tx, case_id: str) -> str:
    """The page that may go on with a case; empty where none may."""
    case = tx.cases.get(case_id)
    return case.approved_for[-1] if case and case.approved_for else ""


def proven(kit: Kit, tray: Tray, who: str = "maya") -> str:
    """A recovery up to the new-password page; the case's id."""
    handle, token, _, _ = begin(kit, tray, who)
    assert accept(kit, token) is None
    case = case_of(kit, handle)
    assert case is not None
    return case.id


def set_password(kit: Kit, username: str, password: Secret = OLD, job_id: str = "seeded") -> None:
    phc = kit.run(kit.services.gate.hash(password))

    def fn(tx: Any) -> None:
        hit = tx.people.account_by_username("builtin", username)
        tx.people.set_credential(hit[0].id, phc, job_id)

    kit.write(fn)


def sign_in(kit: Kit, who: str, password: Secret, origin: Origin = HERE) -> SignedIn | signin_sign_in.NotSignedIn:
    return kit.run(signin_sign_in.sign_in(kit.services.db, kit.services.gate, who, password, origin))


def types(kit: Kit) -> list[str]:
    """Types of all audit events, oldest first."""
    return [r["type"] for r in kit.read(lambda tx: tx.audit.rows(limit=100_000))]


@contextmanager
def statements(kit: Kit) -> Iterator[list[str]]:
    """Collects the SQL that runs inside, first words only, so that two runs can be compared."""
    seen: list[str] = []

    def note(conn: Any, cursor: Any, statement: str, *_: Any) -> None:
        seen.append(" ".join(statement.split())[:60])

    engine = kit.services.db.engine  # type: ignore[attr-defined]
    event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(engine, "before_cursor_execute", note)


def code_in(tray: Tray) -> str:
    code = tray.messages[-1].content.code
    assert isinstance(code, Secret)
    return code.reveal()
