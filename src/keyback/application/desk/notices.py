"""What is mailed to those who work here: decisions about privileged people, emergencies, new operators."""

from __future__ import annotations

from collections.abc import Iterable

from keyback.application.notifications.notify import notify_administrators
from keyback.application.ports.messages import DeskMessage, Pairs
from keyback.application.ports.storage import Tx
from keyback.domain.operators.actions import PAIR_A_DAY
from keyback.domain.operators.roles import Operator, Role
from keyback.domain.recovery.events import Note

STREAM = "operators"  # of the audit log


def tell_officers(
    tx: Tx, what: str, name: str, by: str, *, case_id: str = "", campaign_id: str = "", person_id: str = ""
) -> None:
    """One mail to every active security officer, in the language that they have as a person.

    Args:
        what: a key of `channels.mail.kinds.DECISIONS`.
        name: whom it is about.
        by: the operator who did it, or `server`.
    """
    officers = [o for o in tx.operators.listed() if o.role == Role.SECURITY_OFFICER]
    told = DeskMessage(
        what=what, case=case_id, campaign=campaign_id, about=person_id, person_name=name, operator=by, at=tx.now
    )
    _tell(tx, officers, told)


def tell_everybody(tx: Tx, what: str, name: str, by: str, *, person_id: str = "", reason: str = "") -> None:
    """The same to every active operator, whatever their role, with the reason that was given."""
    told = DeskMessage(what=what, case="", person_name=name, operator=by, at=tx.now, about=person_id, reason=reason)
    _tell(tx, tx.operators.listed(), told)


def tell_operator(tx: Tx, operator: Operator, what: str, by: str) -> None:
    """One mail to an operator about their own sign-in, whether it works still or not."""
    known = tx.people.person(operator.person_id) if operator.person_id else None
    told = DeskMessage(what=what, case="", person_name=operator.name, operator=by, at=tx.now)
    notify_administrators(tx, told, [operator.mail], known.locale if known else "en")


def tell_digest(tx: Tx, day: int, counts: Pairs) -> int:
    """What operators did on a day, to every active security officer; the number of mails.

    Args:
        day: its beginning in ms.
        counts: (what, how often).
    """
    officers = [o for o in tx.operators.listed() if o.role == Role.SECURITY_OFFICER]
    return _tell(tx, officers, DeskMessage(what="digest", case="", person_name="", operator="", at=day, counts=counts))


def tell_of_pair(tx: Tx, asked_by: str, approver: Operator) -> None:
    """Counts what one operator asked for and the same other one approved; security officers hear when it is often: two
    who always agree are one pair of eyes."""
    key = f"ask/pair/{asked_by}/{approver.id}"
    if tx.counters.add([key])[key].day != PAIR_A_DAY:
        return
    first = tx.operators.get(asked_by)
    tx.audit.record(STREAM, [Note("unusual_pair", {"operator": approver.id, "asked_by": asked_by})])
    tell_officers(tx, "unusual_pair", first.name if first else "", approver.name)


def _tell(tx: Tx, operators: Iterable[Operator], told: DeskMessage) -> int:
    active = [o for o in operators if o.state == "active"]
    known = tx.people.people([o.person_id for o in active if o.person_id])
    sent = 0
    for o in active:
        sent += notify_administrators(tx, told, [o.mail], known[o.person_id].locale if o.person_id in known else "en")
    return sent
