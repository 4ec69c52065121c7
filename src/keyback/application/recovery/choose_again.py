"""A system was away for longer than a sealed password lives: its person chooses again for it, by a mailed link.

Nothing sealed is kept for a system that may come back tomorrow. What is kept is what was verified: within the case's
life the page that chose, or whoever opens the link in the mailbox that was verified, chooses another password.
"""

from __future__ import annotations

from dataclasses import dataclass

from keyback.application.challenges.issue import draft
from keyback.application.notifications.link_endings import why_over
from keyback.application.notifications.notify import mailboxes_of, notify, username_of
from keyback.application.origin import Origin, where
from keyback.application.ports.messages import ChooseAgainMessage
from keyback.application.ports.storage import Tx
from keyback.application.recovery import evidence
from keyback.application.recovery.mailed_link import PROBLEMS, Problem, lock_rows
from keyback.domain.challenges.challenge import CHOOSE_AGAIN, Challenge
from keyback.domain.people.person import Contact, channel_of
from keyback.domain.policy.rules import Policy
from keyback.domain.recovery.case import Case, State
from keyback.domain.recovery.events import Note

OPENED = "choose_again_opened"


@dataclass(frozen=True, slots=True)
class AgainView:
    """What the link leads to. `problem` is None while a password can be chosen.

    Args:
        systems: names of those that wait for one.
        alone: the link is enough: its mailbox is all that was asked for when the person verified.
    """

    problem: Problem | None
    handle: str = ""
    username: str = ""
    systems: tuple[str, ...] = ()
    alone: bool = False


def invite(tx: Tx, case: Case, handle: str) -> int:
    """Mails the link where systems were away too long and the case is open for them again; the number of mails.

    It goes to the mailbox by which the person verified, else to the primary one.

    Args:
        handle: the page that chose.
    """
    if case.state != State.APPROVED:
        return 0
    person, systems = tx.people.person(case.person_id), _systems(tx, case)
    boxes = [c for c in mailboxes_of(tx, case.person_id) if c.usable_from <= tx.now]
    if person is None or not systems or not boxes:
        return 0
    proven = frozenset[str]().union(*(e.channels for e in evidence.still_holds(tx, case, handle)))
    to = next((c for c in boxes if channel_of(c, boxes) in proven), boxes[0])

    def link(c: Contact) -> Challenge:
        life = case.expires_at - tx.now
        return draft(tx, person, "recovery", CHOOSE_AGAIN, life, target=c.id, handle=handle, case_id=case.id)

    told = ChooseAgainMessage(username=username_of(tx, case.person_id), at=tx.now, systems=systems)
    sent = notify(tx, told, [to], life=case.expires_at - tx.now, link_for=link)
    tx.audit.record(case.id, [Note("choose_again_mailed", {"contact_id": to.id, "systems": [s for s, _ in systems]})])
    return sent


def _systems(tx: Tx, case: Case) -> tuple[tuple[str, str], ...]:
    """(system, user name) of what waits for another password."""
    late = {r.account_id for r in case.results if r.timed_out}
    accounts = tx.people.accounts([case.person_id]).get(case.person_id, ())
    return tuple((a.system, a.username) for a in accounts if a.id in late)


def look(tx: Tx, token: str, policy: Policy) -> AgainView:
    """Reads what a link leads to; changes nothing, however often it is called."""
    c = tx.challenges.behind(token, "recovery", CHOOSE_AGAIN)
    return _view(tx, c, policy) if c is not None else AgainView("unknown")


def _view(tx: Tx, c: Challenge, policy: Policy) -> AgainView:
    case = tx.cases.get(c.case_id)
    if case is None or case.state == State.CANCELLED:
        return AgainView("stopped" if case else "over", c.handle)
    if (found := why_over(tx, c)) is not None:
        return AgainView(PROBLEMS.get(found, "used"), c.handle)
    systems = tuple(s for s, _ in _systems(tx, case))
    if not case.open_to(c.handle) or not systems:
        return AgainView("overtaken" if case.state == State.APPROVED else "over", c.handle)
    return AgainView(None, c.handle, username_of(tx, c.person_id), systems, _alone(tx, case, c, policy))


def _alone(tx: Tx, case: Case, c: Challenge, policy: Policy) -> bool:
    """Whether the mailbox that got the link is all that the person had to show: then the link shows it once more."""
    boxes = mailboxes_of(tx, case.person_id)
    box = next((b for b in boxes if b.id == c.target), None)
    person, accounts = tx.people.person(case.person_id), tx.people.accounts([case.person_id]).get(case.person_id, ())
    if box is None or person is None:
        return False
    channel = channel_of(box, boxes)
    return evidence.enough(tx, case, c.handle, person, accounts, policy, only=channel)


def open_here(tx: Tx, token: str, policy: Policy, origin: Origin) -> AgainView:
    """Whether this browser may go on with the recovery; noted, for it is another one than that which verified.

    The link stays good until a password is chosen: whoever closes the page opens it again.
    """
    c = tx.challenges.behind(token, "recovery", CHOOSE_AGAIN)
    if c is None:
        return AgainView("unknown")
    lock_rows(tx, c.handle, c.case_id)
    view = _view(tx, c, policy)
    if view.problem is None and view.alone:
        tx.audit.record(c.case_id, [Note(OPENED, {"intake_id": c.handle, **where(origin.source, origin.agent)})])
    return view
