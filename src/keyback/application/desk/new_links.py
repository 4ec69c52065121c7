"""An operator who lost what they sign in with gets a new set-up link, approved by two others who outrank them.

One asks, having recognized the colleague in person; another one approves and hands the link over. What the operator
signed in with before ends then. Where no two others are left, it is done on the server, with an alarm and a hold
(`operators.invite_again`).
"""

from __future__ import annotations

from dataclasses import dataclass

from keyback.application.desk.digest import count
from keyback.application.desk.notices import STREAM, tell_officers, tell_operator
from keyback.application.desk.operators import Invited, invite
from keyback.application.desk.sessions import Actor, must_be_fresh
from keyback.application.desk.workbench import one_line
from keyback.application.ports.desk_actions import Action
from keyback.application.ports.storage import Tx
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators.actions import ACTION_LIFE
from keyback.domain.operators.roles import Operator, may_manage
from keyback.domain.recovery.events import Note

MAX_REASON = 500
RECENT = 20
OTHERS = 2


@dataclass(frozen=True, slots=True)
class LinkRequest:
    """A new link that one operator asked for. `mine`: it was the one who looks; `may`: they may decide it."""

    action: Action
    operator: Operator
    asked_by: str
    mine: bool
    may: bool


def waiting(tx: Tx, actor: Actor) -> tuple[LinkRequest, ...]:
    """What waits for the second one, of every operator there is."""
    found = tx.operators.listed()
    names = {o.id: o.name for o in found}
    out = []
    for o in found:
        action = _open(tx, o)
        if action is not None:
            mine, may = action.asked_by == actor.operator.id, not may_manage(actor.operator, o.role, o.id)
            out.append(LinkRequest(action, o, names.get(action.asked_by, ""), mine, may and not mine))
    return tuple(out)


def ask(tx: Tx, actor: Actor, operator_id: str, reason: str) -> Action:
    """The first of two asks.

    Raises:
        Refusal: `not_found`, `yourself`, `rank`; `over` or `step_up`; `asked_already`; `server` where there are no two
            others who outrank the operator.
        BadInput: `empty` or `too_long`.
    """
    reason = one_line(reason)
    if not reason or len(reason) > MAX_REASON:
        raise BadInput("too_long" if reason else "empty")
    operator = _lock(tx, actor, operator_id)
    above = [o for o in tx.operators.listed() if o.state == "active" and not may_manage(o, operator.role, operator.id)]
    if len(above) < OTHERS:
        raise Refusal("server")
    if _open(tx, operator) is not None:
        raise Refusal("asked_already")
    me, now = actor.operator, tx.now
    version = operator.security_version
    action = Action(tx.new_id(), operator.id, "new_link", me.id, now, now + ACTION_LIFE, version, reason=reason)
    tx.actions.add(action)
    tx.audit.record(STREAM, [Note("operator_link_asked", _about(actor, action))])
    tell_officers(tx, "operator_link_asked", operator.name, me.name)
    tell_operator(tx, operator, "your_link_asked", me.name)
    return action


def approve(tx: Tx, actor: Actor, action_id: str) -> Invited:
    """The second one says yes: what the operator signed in with ends, and the link is shown once.

    Raises:
        Refusal: as `ask`; `own_work` for the first one; `wrong_state`, or `conflict` when the operator's sign-in
            changed since.
    """
    action, operator = _waiting(tx, actor, action_id)
    if action.asked_by == actor.operator.id:
        raise Refusal("own_work")
    if action.version != operator.security_version:
        raise Refusal("conflict")
    if not tx.actions.end(action.id, "done", actor.operator.id):
        raise Refusal("wrong_state")
    tx.audit.record(STREAM, [Note("operator_link_approved", _about(actor, action))])
    tx.operators.invite(operator.id)
    count(tx, "operator_invited")
    tell_officers(tx, "operator_link_given", operator.name, actor.operator.name)
    tell_operator(tx, operator, "your_link_given", actor.operator.name)
    return invite(tx, tx.operators.get(operator.id) or operator)


def decline(tx: Tx, actor: Actor, action_id: str) -> None:
    """Any of those who could approve says no, or the first one takes it back.

    Raises:
        Refusal: as `approve`, but for what only an approval minds.
    """
    action, _ = _waiting(tx, actor, action_id)
    if not tx.actions.end(action.id, "declined", actor.operator.id):
        raise Refusal("wrong_state")
    tx.audit.record(STREAM, [Note("operator_link_declined", _about(actor, action))])


def _open(tx: Tx, operator: Operator) -> Action | None:
    mine = tx.actions.of_person(operator.id, RECENT)
    return next((a for a in mine if a.state == "waiting" and tx.now < a.expires_at), None)


def _lock(tx: Tx, actor: Actor, operator_id: str) -> Operator:
    operator = tx.operators.get(operator_id, lock=True)
    if operator is None or operator.state == "removed":
        raise Refusal("not_found")
    stopped = may_manage(actor.operator, operator.role, operator.id)
    if stopped:
        raise Refusal(stopped)
    must_be_fresh(tx, actor)
    return operator


def _waiting(tx: Tx, actor: Actor, action_id: str) -> tuple[Action, Operator]:
    seen = tx.actions.get(action_id)
    if seen is None or seen.kind != "new_link":
        raise Refusal("not_found")
    operator = _lock(tx, actor, seen.person_id)
    action = tx.actions.get(action_id)
    if action is None or action.state != "waiting" or tx.now >= action.expires_at:
        raise Refusal("wrong_state")
    return action, operator


def _about(actor: Actor, action: Action) -> dict[str, str]:
    by = {"by": actor.operator.id, "asked_by": action.asked_by}
    return {"operator": action.person_id, "action": action.id, **by}
