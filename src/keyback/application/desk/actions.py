"""What operators do about a person: start a recovery, unlock, lock, end sessions, cancel, change a hold.

One operator asks; where the tier wants four eyes for what lets somebody in, another one approves exactly what was asked
for. Whoever is meant is told of every act by every contact. No act is evidence of who somebody is, and none sets or
shows a password.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from keyback.application.account import lockdown
from keyback.application.audit_log import log_of
from keyback.application.desk import keys, unlocking
from keyback.application.desk.approvals import MAX_AN_HOUR
from keyback.application.desk.cases import obstacle
from keyback.application.desk.digest import count
from keyback.application.desk.notices import tell_everybody, tell_of_pair, tell_officers
from keyback.application.desk.sessions import Actor, must_be_fresh
from keyback.application.desk.workbench import one_line
from keyback.application.enrolment.tier import tier_of
from keyback.application.notifications.account_changes import NOBODY, notify_account_change, send_notice
from keyback.application.notifications.notify import mailboxes_of, notify, username_of
from keyback.application.ports.desk_actions import Action
from keyback.application.ports.messages import ReminderMessage
from keyback.application.ports.storage import Tx
from keyback.application.recovery import cancel
from keyback.application.signin import sessions
from keyback.application.throttling import password_attempts
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.operators import actions as rules
from keyback.domain.operators.actions import ActionKind
from keyback.domain.people.person import Person, Tier, canonicalize
from keyback.domain.policy.rules import Journey, Policy
from keyback.domain.recovery import case as dc
from keyback.domain.recovery.case import Case
from keyback.domain.recovery.events import Note
from keyback.domain.units import HOUR

MAX_REASON = 500
RECENT = 50  # acts on one person that are looked through


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom an act is about, locked."""

    person: Person
    case: Case | None
    tier: Tier


def ask(
    tx: Tx, actor: Actor, person_id: str, kind: ActionKind, reason: str, policy: Policy, *, detail: str = ""
) -> Action:
    """Does it, or puts it before a second operator; as it is then.

    Args:
        detail: the kind of recovery to start, the id of the one to cancel, or by how many hours a hold ends later than
            the policy set.

    Raises:
        Refusal: `not_found`, `yourself`, `rank`; `over` or `step_up`, of a program `needs_person`; `asked_already` when
            the same waits; what the act itself refuses: `wrong_state`, `one_thing`, `too_many`, `nothing_locked`,
            `locked_down`, `hold`.
        BadInput: `empty`, `too_long`, `journey` or `hours`.
    """
    reason = _reason(reason)
    who = _lock(tx, actor, person_id, policy, kind)
    action = Action(
        tx.new_id(), who.person.id, kind, actor.operator.id, tx.now, tx.now + rules.ACTION_LIFE, 0, reason=reason
    )
    action = _prepared(tx, replace(action, detail=detail), who, policy)
    recent = tx.actions.of_person(who.person.id, RECENT)
    if any(a.kind == kind and a.state == "waiting" and tx.now < a.expires_at for a in recent):
        raise Refusal("asked_already")
    tx.actions.add(action)
    _record(tx, action, Note("desk_action_asked", _about(actor, action)))
    if rules.needs_second(kind, who.tier):
        return action
    tx.actions.end(action.id, "done", "")
    return _do(tx, actor, replace(action, state="done"), who)


def approve(tx: Tx, actor: Actor, action_id: str, policy: Policy) -> Action:
    """A second operator says yes to exactly what was asked for, and it is done.

    Raises:
        Refusal: as `ask`; `own_work` for whoever asked; `wrong_state` when it was decided, `over` in time, and
            `conflict` when the case or the person's security is not what the first operator saw.
    """
    action, who = _waiting(tx, actor, action_id, policy)
    me = actor.operator.id
    if action.asked_by == me:
        raise Refusal("own_work")
    _must_be_as_seen(action, who)
    key = f"op/approved/{me}"
    if tx.counters.add([key])[key].hour > MAX_AN_HOUR:
        raise Refusal("too_many")
    _prepared(tx, action, who, policy)  # what it needs still holds
    if not tx.actions.end(action.id, "done", me):
        raise Refusal("wrong_state")
    _record(tx, action, Note("desk_action_approved", _about(actor, action)))
    tell_of_pair(tx, action.asked_by, actor.operator)
    return _do(tx, actor, replace(action, state="done", decided_by=me), who)


def withdraw(tx: Tx, actor: Actor, action_id: str, policy: Policy) -> Action:
    """Whoever asked takes it back.

    Raises:
        Refusal: as `decline`; `not_found` for what somebody else asked for.
    """
    seen = tx.actions.get(action_id)
    if seen is None or seen.asked_by != actor.operator.id:
        raise Refusal("not_found")
    return decline(tx, actor, action_id, policy)


def decline(tx: Tx, actor: Actor, action_id: str, policy: Policy) -> Action:
    """A second operator says no.

    Raises:
        Refusal: as `approve`, but for what concerns the act itself.
    """
    action, _ = _waiting(tx, actor, action_id, policy)
    if not tx.actions.end(action.id, "declined", actor.operator.id):
        raise Refusal("wrong_state")
    _record(tx, action, Note("desk_action_declined", _about(actor, action)))
    return replace(action, state="declined", decided_by=actor.operator.id)


def break_glass(tx: Tx, actor: Actor, action_id: str, reason: str, policy: Policy) -> Action:
    """One operator does alone what takes two; everybody who works here is told at once, and so is the person.

    Args:
        reason: why it cannot wait; in the message to everybody.

    Raises:
        Refusal: as `approve`, but for `own_work`.
        BadInput: `empty` or `too_long`.
    """
    reason = _reason(reason)
    action, who = _waiting(tx, actor, action_id, policy)
    _must_be_as_seen(action, who)
    _prepared(tx, action, who, policy)
    if not tx.actions.end(action.id, "done", actor.operator.id, broke_glass=True):
        raise Refusal("wrong_state")
    _record(tx, action, Note("glass_broken", _about(actor, action)))
    count(tx, "glass_broken")
    tell_everybody(tx, "glass_broken", who.person.name, actor.operator.name, person_id=who.person.id, reason=reason)
    send_notice(tx, who.person.id, "desk_broke_glass")
    return _do(tx, actor, replace(action, state="done", decided_by=actor.operator.id, broke_glass=True), who)


# ── what every act needs ────────────────────────────────────────────────────


def _reason(text: str) -> str:
    text = one_line(text)
    if not text:
        raise BadInput("empty")
    if len(text) > MAX_REASON:
        raise BadInput("too_long")
    return text


def _lock(tx: Tx, actor: Actor, person_id: str, policy: Policy, asks: ActionKind | None = None) -> Subject:
    """The person and their open recovery, locked, once it is certain that this operator may act on them now, or this
    program may ask for such an act."""
    case = tx.cases.open_of([person_id]).get(person_id)
    person = tx.people.lock(person_id)
    if person is None:
        raise Refusal("not_found")
    stopped = obstacle(tx, actor.operator, person)
    if stopped:
        raise Refusal(stopped)
    tier = tier_of(tx, person, tx.people.accounts([person.id]).get(person.id, ()), policy)
    if asks is not None and actor.operator.scopes is not None:
        keys.may_ask(tx, actor.operator, asks, tier)
    else:
        must_be_fresh(tx, actor)
    return Subject(person, case, tier)


def _waiting(tx: Tx, actor: Actor, action_id: str, policy: Policy) -> tuple[Action, Subject]:
    seen = tx.actions.get(action_id)
    if seen is None:
        raise Refusal("not_found")
    who = _lock(tx, actor, seen.person_id, policy)
    action = tx.actions.get(action_id)
    if action is None or action.state != "waiting":
        raise Refusal("wrong_state")
    if tx.now >= action.expires_at:
        raise Refusal("over")
    return action, who


def _must_be_as_seen(action: Action, who: Subject) -> None:
    if action.version != _version(action.kind, who):
        raise Refusal("conflict")


def _version(kind: ActionKind, who: Subject) -> int:
    return who.case.version if kind in ("cancel", "hold") and who.case else who.person.security_version


def _prepared(tx: Tx, action: Action, who: Subject, policy: Policy) -> Action:
    """The act with what it is about, once nothing keeps it from being done."""
    action = replace(action, version=_version(action.kind, who))
    match action.kind:
        case "start":
            _may_start(tx, action, who, policy)
        case "unlock":
            _may_unlock(tx, who.person)
        case "cancel":
            if who.case is None or who.case.state not in dc.STOPPABLE:
                raise Refusal("wrong_state")
            if action.detail != who.case.id:
                raise Refusal("conflict")
            action = replace(action, case_id=who.case.id)
        case "hold":
            action = _of_hold(tx, action, who.case)
        case _:
            pass
    return action


def _may_start(tx: Tx, action: Action, who: Subject, policy: Policy) -> None:
    journey: Journey | None = next((j for j in rules.STARTABLE if j == action.detail), None)
    if journey is None:
        raise BadInput("journey")
    if who.person.state != "active" or not mailboxes_of(tx, who.person.id):
        raise Refusal("no_mailbox")
    mine = [a for a in tx.actions.of_person(who.person.id, RECENT) if a.kind == "start" and a.id != action.id]
    if sum(1 for a in mine if a.state == "done" and tx.now < a.asked_at + 24 * HOUR) >= rules.STARTS_A_DAY:
        raise Refusal("too_many")
    earlier = [
        (j, max(a.asked_at, a.decided_at))
        for a in mine
        for j in rules.STARTABLE
        if j == a.detail and a.state in ("done", "waiting")
    ]
    if rules.renews_another(journey, earlier, tx.now, rules.between(policy.holds, who.tier)):
        raise Refusal("one_thing")


def _may_unlock(tx: Tx, person: Person) -> None:
    own = [a for a in tx.people.accounts([person.id]).get(person.id, ()) if a.system == lockdown.SYSTEM]
    if any(tx.counters.get(f"lockdown/{a.id}").total for a in own):
        raise Refusal("locked_down")  # whoever got in knows the password: a recovery alone opens it
    if not own:
        raise Refusal("nothing_locked")


def _of_hold(tx: Tx, action: Action, case: Case | None) -> Action:
    """The hold of the page that waits longest, with its new end in ms."""
    if case is None or not case.waiting:
        raise Refusal("hold")
    page = max(case.waiting, key=lambda w: w[1])[0]
    started = [e["data"] for e in log_of(tx).of_stream(case.id) if e["type"] == "hold_started"]
    ends = [int(d["until"]) for d in started if d["intake_id"] == page]
    if action.page:  # asked for already
        until = int(action.detail)
    else:
        if not (action.detail.isascii() and action.detail.isdecimal() and len(action.detail) < 4) or not ends:
            raise BadInput("hours")
        until = ends[-1] + int(action.detail) * HOUR
    if not rules.hold_fits(until, ends[-1]) or until <= tx.now:
        raise BadInput("hours")
    return replace(action, case_id=case.id, page=page, detail=str(until))


# ── doing it ────────────────────────────────────────────────────────────────


def _do(tx: Tx, actor: Actor, action: Action, who: Subject) -> Action:
    person, told = who.person, {"operator": actor.operator.id, "action": action.id}
    match action.kind:
        case "start":
            _start(tx, action, person, told)
        case "unlock":
            password_attempts.unlock(tx, person.id)
            for a in tx.people.accounts([person.id]).get(person.id, ()):
                if a.system == lockdown.SYSTEM and a.state == "locked":
                    tx.people.set_account_state(a.id, "active")
            unlocking.request(tx, action)
            notify_account_change(tx, person.id, "desk_unlocked", NOBODY, data=dict(told))
        case "lock":
            lockdown.lock(tx, person.id, False, NOBODY, by=actor.operator.id, what="desk_locked_down")
        case "end_sessions":
            sessions.revoke_all(tx, person.id, action.id)
            notify_account_change(tx, person.id, "desk_sessions_ended", NOBODY, data=dict(told))
        case "cancel":
            cancel.cancel(tx, action.case_id, "operator", action.id)
        case "hold":
            case = tx.cases.get(action.case_id)
            if case is None:
                raise Refusal("wrong_state")
            command = dc.ChangeHold(actor.operator.id, action.page, int(action.detail), case.version)
            tx.cases.act(case, dc.decide(case, command, tx.now))
            notify_account_change(tx, person.id, "desk_hold_changed", NOBODY, data=dict(told))
    _record(tx, action, Note("desk_action_done", _about(actor, action)))
    count(tx, f"act_{action.kind}")
    if who.tier == "privileged" or action.kind == "lock":
        tell_officers(tx, f"act_{action.kind}", person.name, actor.operator.name, person_id=person.id)
    return action


def _start(tx: Tx, action: Action, person: Person, told: dict[str, str]) -> None:
    """Every contact hears of it, and mailboxes get the address of a page where the person goes on by themselves. It is
    worth no more than what anybody may type on the first page: evidence comes after it."""
    notify_account_change(tx, person.id, "desk_started", NOBODY, data={**told, "journey": action.detail})
    link = ReminderMessage(username=username_of(tx, person.id), what="start_link", path=f"/start/{action.id}")
    own = [c for c in mailboxes_of(tx, person.id) if c.role != "recovery" and c.usable_from <= tx.now]
    notify(tx, link, own, life=rules.START_LIFE)


def _record(tx: Tx, action: Action, note: Note) -> None:
    tx.audit.record(action.person_id, [note])


def _about(actor: Actor, action: Action) -> dict[str, str]:
    about = {"operator": actor.operator.id, "action": action.id, "kind": action.kind}
    if action.case_id:
        about["case"] = action.case_id
    if action.asked_by != actor.operator.id:
        about["asked_by"] = action.asked_by
    return about


# ── the person goes on ──────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Started:
    """A recovery that an operator started, as its person sees it. `open`: they can go on by it."""

    open: bool
    journey: Journey = "password"
    operator: str = ""
    identifier: str = ""


def started(tx: Tx, action_id: str) -> Started:
    """Reads; what is unknown, over or used is not told apart."""
    action = tx.actions.get(action_id)
    if action is None or action.kind != "start" or action.state != "done" or action.page:
        return Started(False)
    journey = next((j for j in rules.STARTABLE if j == action.detail), None)
    operator = tx.operators.get(action.decided_by or action.asked_by)
    person = tx.people.person(action.person_id)
    begun = max(action.asked_at, action.decided_at)
    if journey is None or person is None or person.state != "active" or tx.now >= begun + rules.START_LIFE:
        return Started(False)
    name = _identifier(tx, person)
    return Started(bool(name), journey, operator.name if operator else "", name)


def _identifier(tx: Tx, person: Person) -> str:
    """What finds this person, and no one else where there is such a name; empty where nothing does."""
    names = [username_of(tx, person.id), *(c.address for c in mailboxes_of(tx, person.id) if c.role == "primary")]
    known = []
    for name in names:
        try:
            known.append(canonicalize(name))
        except BadInput:
            continue
    found = tx.people.match(known)
    mine = [n for n in known if any(m.person.id == person.id for m in found.get(n, ()))]
    return next((n for n in mine if len(found[n]) == 1), mine[0] if mine else "")


def go_on(tx: Tx, action_id: str, page: str) -> int:
    """Keeps by which page the person went on; the address opens nothing again. The instant (ms).

    Raises:
        Refusal: `over`.
    """
    action = tx.actions.get(action_id)
    if action is None or not tx.actions.go_on(action_id, page):
        raise Refusal("over")
    about = {"operator": action.asked_by, "action": action.id, "intake_id": page, "journey": action.detail}
    tx.audit.record(action.person_id, [Note("desk_start_used", about)])
    return tx.now
