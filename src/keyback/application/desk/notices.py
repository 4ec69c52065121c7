"""What security officers are mailed: decisions about privileged people, and operators who get a set-up link."""

from __future__ import annotations

from keyback.application.notifications.notify import notify_administrators
from keyback.application.ports.messages import DeskMessage
from keyback.application.ports.storage import Tx
from keyback.domain.operators.roles import Role


def tell_officers(tx: Tx, what: str, name: str, by: str, *, case_id: str = "", campaign_id: str = "") -> None:
    """One mail to every active security officer, in the language that they have as a person.

    Args:
        what: a key of `channels.mail.kinds.DECISIONS`.
        name: whom it is about.
        by: the operator who did it, or `server`.
    """
    officers = [o for o in tx.operators.listed() if o.role == Role.SECURITY_OFFICER and o.state == "active"]
    known = tx.people.people([o.person_id for o in officers if o.person_id])
    told = DeskMessage(what=what, case=case_id, campaign=campaign_id, person_name=name, operator=by, at=tx.now)
    for o in officers:
        notify_administrators(tx, told, [o.mail], known[o.person_id].locale if o.person_id in known else "en")
