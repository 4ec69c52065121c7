"""A lost second step is replaced, once the case allows it."""

from __future__ import annotations

from collections.abc import Sequence

from keyback.application.challenges.count import allowed
from keyback.application.notifications.account_changes import notify_account_change
from keyback.application.ports.enrolment import EnrolsApp
from keyback.application.ports.storage import Tx
from keyback.application.recovery.evidence import Here
from keyback.application.recovery.remedy import OpenRecovery, close_case, open_recovery
from keyback.application.showing import Fits, anything
from keyback.application.signin import step_up
from keyback.domain.errors import Refusal
from keyback.domain.people.factor import BOUND, COOLING_OFF, Factor
from keyback.domain.recovery import case as dc
from keyback.domain.throttling.limits import WINDOW_TRIES
from keyback.domain.units import HOUR, MINUTE

SETUP_LIFE = 20 * MINUTE
SEED_BYTES = 20
AFTERWARDS = HOUR
OVERTAKE = frozenset({"locked_down", "password_chosen", "password_changed", "factor_replaced"})
NEWEST = 1 << 62
DONE = (dc.State.RECOVERED, dc.State.CLOSED)


def bound_factors(tx: Tx, person_id: str) -> tuple[Factor, ...]:
    """What would be replaced: everything that signs in as a second step."""
    return tuple(f for f in tx.factors.of_person(person_id) if f.kind in BOUND)


def start_app(tx: Tx, app: EnrolsApp, handle: str, here: Here) -> str:
    """A seed for a new authenticator app, which waits to be shown to work; the factor's id.

    Raises:
        Refusal: as `opened`.
    """
    o = open_recovery(tx, handle, here, "second_factor")
    for old in tx.factors.of_person(o.person.id, states=("pending",)):
        tx.factors.turn(old.id, "pending", "removed")
    tx.challenges.end_where("replaced", handle=handle, method="new_passkey")  # the page shows one of the two
    data = {"seed": app.new_seed(tx.random(SEED_BYTES)), "handle": handle}
    until = tx.now + SETUP_LIFE + COOLING_OFF
    factor = Factor(tx.new_id(), o.person.id, "totp", "", "pending", data, added_at=tx.now, usable_from=until)
    tx.factors.add(factor)
    return factor.id


def waiting_app(tx: Tx, person_id: str, handle: str) -> Factor | None:
    """The seed that waits, for the QR code; nobody sees it again once it works (M5). One that was made elsewhere, by
    whoever sits in a session of the person's, is never shown here."""
    pending = [f for f in tx.factors.of_person(person_id, states=("pending",)) if f.data.get("handle") == handle]
    return next((f for f in pending if f.kind == "totp" and tx.now < f.added_at + SETUP_LIFE), None)


def replace_factor(tx: Tx, app: EnrolsApp, handle: str, typed: str, here: Here, fits: Fits = anything) -> bool:
    """Puts the new app in place of every second step there was, all at once; False for a wrong code (O-M1).

    Args:
        fits: whether the seed that waits, by its factor's id, is the one that was shown.

    Raises:
        Refusal: as `opened`; `over` when no seed waits any more, `wrong_state` when it is another one.
    """
    o = open_recovery(tx, handle, here, "second_factor")
    new = waiting_app(tx, o.person.id, handle)
    if new is None:
        raise Refusal("over")
    if not fits(new.id):
        raise Refusal("wrong_state")
    if not allowed(tx, f"enrol/{o.person.id}", hour=WINDOW_TRIES * 2):
        return False
    step = app.first_step(str(new.data["seed"]), typed, tx.now)
    if step is None:
        return False
    if not tx.factors.turn(new.id, "pending", "active") or not tx.factors.advance(new.id, step):
        raise Refusal("over")
    activate(tx, o, new.id, handle, here)
    step_up.renewed(tx, o.person.id, "totp")
    return True


def activate(tx: Tx, o: OpenRecovery, factor_id: str, handle: str, here: Here) -> None:
    """Removes every second step but the new one, forgets all browsers, and ends the recovery."""
    for old in bound_factors(tx, o.person.id):
        if old.id != factor_id:
            tx.factors.turn(old.id, "active", "removed")
    tx.devices.forget(o.person.id)
    close_case(tx, o, handle, "factor_replaced", here)


def only_new(tx: Tx, person_id: str) -> bool:
    """Whether signing in asks for nothing but what is too new to count in a recovery."""
    found = bound_factors(tx, person_id)
    return bool(found) and all(tx.now < f.usable_from for f in found)


def lately_added(tx: Tx, handle: str) -> tuple[Factor, ...]:
    """Second steps that signing in asks for although they were too new to count, for an hour after a new password from
    this page. Only those from before it proved anything, so that nobody takes away what the owner adds afterwards."""
    intake = tx.intakes.get(handle)
    case = tx.cases.get(intake.case_id) if intake and intake.case_id else None
    shown = case.shown_by(handle) if case else ()
    if case is None or not shown or case.state not in DONE or handle not in case.approved_for:
        return ()
    done = max((r.at for r in case.results if r.result == "done"), default=0)
    before = min(e.accepted_at for e in shown)  # the audit log is read last: hardly anybody has such a factor
    found = tuple(f for f in bound_factors(tx, case.person_id) if f.added_at < before and tx.now < f.usable_from)
    return () if not found or tx.now >= done + AFTERWARDS or overtaken(tx, case.person_id, done) else found


def overtaken(tx: Tx, person_id: str, since: int) -> bool:
    """Whether the person locked the account or has another password since: this page was not theirs, or is over."""
    before = NEWEST
    while found := tx.audit.of_person(person_id, before, 100):
        for h in found:
            if h.at <= since:
                return False
            if h.type in OVERTAKE:
                return True
        before = found[-1].seq
    return False


def take_away(tx: Tx, handle: str, factor_ids: Sequence[str], here: Here) -> int:
    """Removes those of `lately_added` that the owner does not know, so that they can sign in; how many there were.

    The link in the notice about each does the same (`lockdown.lock_by_link`) for whoever reads the same mailbox.
    Whoever signed in by them meanwhile, as a passkey does alone, is out.
    """
    found = lately_added(tx, handle)
    if found:
        tx.people.lock(found[0].person_id)
    gone = [f for f in found if f.id in factor_ids and tx.factors.turn(f.id, "active", "removed")]
    for f in gone:
        tx.challenges.end_where("stopped", target=f.id)
        tx.people.bump_security(f.person_id)
        tx.sessions.end_all(f.person_id)
        tx.devices.forget(f.person_id)
        what = "passkey_removed" if f.kind == "passkey" else "totp_removed"
        notify_account_change(tx, f.person_id, what, here.origin, detail=f.label, data={"factor": f.id})
    return len(gone)
