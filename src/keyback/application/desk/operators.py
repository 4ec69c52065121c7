"""Operators are added, set up by a link that works once, and removed. No operator ever sets another's password."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field

from keyback.application.desk.digest import count
from keyback.application.desk.notices import STREAM as STREAM
from keyback.application.desk.notices import tell_everybody, tell_officers, tell_operator
from keyback.application.ports.desk_storage import SetUpLink
from keyback.application.ports.storage import Tx
from keyback.domain import tokens
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators.roles import Operator, Role, may_manage
from keyback.domain.people.mail_address import read_mail_address
from keyback.domain.people.person import Person, canonicalize
from keyback.domain.recovery.events import Note
from keyback.domain.units import HOUR

LINK_LIFE = 24 * HOUR
SERVER_HOLD = HOUR  # before a link that the server gave to who had a sign-in can be used
TOKEN_BYTES = 16
MAX_NAME = 80
SERVER = "server"  # who acts by the command line


@dataclass(frozen=True, slots=True)
class Invited:
    """An operator who may set up a sign-in from `usable_from` (ms) on; `token` is the end of their link, and is shown
    once."""

    operator: Operator
    token: str = field(repr=False)
    expires_at: int
    usable_from: int = 0


def add(tx: Tx, name: str, mail: str, role: Role, by: Operator | None = None) -> Invited:
    """Adds an operator, or gives one who is there already a new link; what they signed in with before ends once that
    is used.

    Args:
        by: who adds them in the console; None on the server.

    Raises:
        BadInput: `empty`, `too_long` or `not_text`.
        Refusal: `rank` or `yourself`; `exists` when somebody has this address already.
    """
    name, mail = " ".join(name.split())[:MAX_NAME], canonicalize(mail)
    if not name:
        raise BadInput("empty")
    read_mail_address(mail)
    obstacle = may_manage(by, role) if by else ""
    if obstacle:
        raise Refusal(obstacle)
    operator = Operator(tx.new_id(), name, mail, role, "invited", _person(tx, mail), created_at=tx.now)
    if not tx.operators.add(operator):
        raise Refusal("exists")
    tx.audit.record(STREAM, [Note("operator_added", {**_about(operator), "by": by.id if by else SERVER})])
    count(tx, "operator_added")
    tell_officers(tx, "operator_added", operator.name, by.name if by else SERVER)
    return invite(tx, operator)


def invite_again(tx: Tx, mail: str) -> Invited:
    """A new link for an operator who lost what they sign in with, given on the server. Everything they had ends now.

    Who had a sign-in waits for an hour before the link can be used, and everybody in the console is told at once: so
    whoever took over the server does not take over the help desk unseen.

    Raises:
        Refusal: `not_found`.
    """
    operator = tx.operators.by_mail(canonicalize(mail))
    if operator is None:
        raise Refusal("not_found")
    tx.operators.get(operator.id, lock=True)
    tx.operators.invite(operator.id)
    tx.audit.record(STREAM, [Note("operator_invited_again", {**_about(operator), "by": SERVER})])
    count(tx, "operator_invited")
    lost = operator.state == "active"
    if lost:
        tell_everybody(tx, "operator_invited", operator.name, SERVER)
        tell_operator(tx, operator, "your_link_given", SERVER)
    else:
        tell_officers(tx, "operator_invited", operator.name, SERVER)
    fresh = tx.operators.get(operator.id)
    return invite(tx, fresh or operator, SERVER_HOLD if lost else 0)


def remove(tx: Tx, operator_id: str, by: Operator | None = None) -> Operator:
    """Removes an operator: sessions, links and factors end at once, and what they claimed is free again.

    Raises:
        Refusal: `not_found`, `rank`, `yourself`, or `last_one` for the last system administrator.
    """
    operator = tx.operators.get(operator_id, lock=True)
    if operator is None or operator.state == "removed":
        raise Refusal("not_found")
    obstacle = may_manage(by, operator.role, operator.id) if by else ""
    if obstacle:
        raise Refusal(obstacle)
    last = operator.role == Role.SYSTEM_ADMINISTRATOR and tx.operators.holders(operator.role) == 1
    if last and operator.state == "active":
        raise Refusal("last_one")
    tx.operators.remove(operator.id)
    about = {**_about(operator), "by": by.id if by else SERVER, "cases_freed": tx.desk.free(operator.id)}
    tx.audit.record(STREAM, [Note("operator_removed", about)])
    return operator


def operators_who_are(tx: Tx, person: Person) -> tuple[Operator, ...]:
    """Operators who are this person: added under one of their addresses or user names, then or now."""
    contacts = tx.people.contacts([person.id]).get(person.id, ())
    accounts = tx.people.accounts([person.id]).get(person.id, ())
    names = {c.address for c in contacts if c.channel == "mail" and c.role != "recovery"}
    return tuple(tx.operators.of_person(person.id, sorted(_canonical(names | {a.username for a in accounts}))))


def _canonical(names: set[str]) -> set[str]:
    out = set()
    for name in names:
        try:
            out.add(canonicalize(name))
        except BadInput:
            continue
    return out


def _person(tx: Tx, mail: str) -> str:
    """The one person who has this address; empty where none has, or several share it."""
    found = tx.people.match([mail]).get(mail, ())
    return found[0].person.id if len(found) == 1 else ""


def invite(tx: Tx, operator: Operator, hold: int = 0) -> Invited:
    """The set-up link of an operator, in place of every one before.

    Args:
        hold: ms until it can be used.
    """
    token = base64.urlsafe_b64encode(tx.random(TOKEN_BYTES))[:22].decode()
    usable = tx.now + hold
    digest = tokens.token_digest(token)
    tx.operators.add_link(SetUpLink(digest, operator.id, operator.security_version, 0, usable, usable + LINK_LIFE))
    return Invited(operator, token, usable + LINK_LIFE, usable)


def _about(operator: Operator) -> dict[str, str]:
    return {"operator": operator.id, "role": operator.role.value}
