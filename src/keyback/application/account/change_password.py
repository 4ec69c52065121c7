"""A signed-in person changes the password of the built-in system (A-6.2.2, A-6.2.3): same rules as everywhere (E8)."""

from __future__ import annotations

from dataclasses import dataclass

from keyback.application import locking
from keyback.application.enrolment.tier import tier_of
from keyback.application.notifications.account_changes import notify_account_change
from keyback.application.origin import Origin
from keyback.application.passwords import validation
from keyback.application.ports.storage import Session, Tx
from keyback.application.services import Services
from keyback.application.signin import step_up
from keyback.application.throttling import password_attempts
from keyback.domain.errors import Refusal
from keyback.domain.passwords.rules import Context, Violation
from keyback.domain.secret import Secret


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose password, and what it is judged by."""

    context: Context
    with_factor: bool


def subject(tx: Tx, s: Services, session: Session) -> Subject:
    person = tx.people.person(session.person_id)
    if person is None:
        raise Refusal("not_found")
    accounts = tx.people.accounts([person.id]).get(person.id, ())
    contacts = tx.people.contacts([person.id]).get(person.id, ())
    mails = tuple(c.address for c in contacts if c.channel == "mail")
    context = validation.context_of(s, person, accounts, mails)
    return Subject(context, tier_of(tx, person, accounts, s.policy) != "standard")


@dataclass(frozen=True, slots=True)
class Faults:
    """What speaks against a change.

    Args:
        current: what is wrong with the password that was typed as the current one.
        broken: everything that speaks against the new one.
    """

    current: step_up.Fault = ""
    broken: tuple[Violation, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.current or self.broken)


async def change(s: Services, session: Session, current: Secret, candidate: Secret, origin: Origin) -> Faults:
    """Takes the new password from whoever knows the current one, if nothing speaks against it: all other sessions end,
    every contact is told.

    Raises:
        Busy: the hashing gate is full.
        Refusal: `conflict` when the password was changed meanwhile, `over` when the session ended.
    """
    who = await s.db.read(lambda tx: subject(tx, s, session))
    fault, before = await step_up.verify_current_password(s.db, s.gate, session, current, origin)
    if fault:  # whether it was used before is for those to hear who know the current one
        return Faults(fault, validation.judge_alone(s, candidate.reveal(), who.context, who.with_factor))
    broken = await validation.judge(s, candidate, who.context, who.with_factor, [session.account_id])
    if broken:
        return Faults(broken=broken)
    phc = await s.gate.hash(candidate)
    await s.db.write(lambda tx: _store(tx, s, session, before, phc, origin))
    return Faults()


def _store(tx: Tx, s: Services, session: Session, before: str | None, phc: str, origin: Origin) -> None:
    locking.own(tx, session)
    if tx.people.credential(session.account_id) != before:
        raise Refusal("conflict")
    tx.people.set_credential(session.account_id, phc, tx.new_id(), keep=s.rules.history)
    tx.counters.reset(f"renew/{session.account_id}")
    for other in tx.sessions.of_person(session.person_id):
        if other.digest != session.digest:
            tx.sessions.end(other.digest)
    tx.people.bump_security(session.person_id)
    password_attempts.renewed(
        tx, session.account_id
    )  # what was guessed about the one before says nothing about this one
    notify_account_change(tx, session.person_id, "password_changed", origin, data={"account": session.account_id})
