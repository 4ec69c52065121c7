"""What a proven recovery puts right besides a password: a lock, a lost second step, a lost mailbox.

Each asks once more whether the page may (`evidence.enough`), acts, ends every session and pending question, and tells
every contact, those that were taken away too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from keyback.application import stepup, throttle
from keyback.application.mail_quota import Ask, may_send
from keyback.application.notifications.account_changes import changed
from keyback.application.notifications.notify import username_of
from keyback.application.ports.connectors import Connector, Means, Outcome, Plan
from keyback.application.ports.enrolment import EnrolsApp
from keyback.application.ports.storage import Database, Job, Tx
from keyback.application.recovery import evidence
from keyback.application.recovery.evidence import Here
from keyback.application.showing import Fits, anything
from keyback.domain import case as dc
from keyback.domain import challenge as ch
from keyback.domain.case import Case
from keyback.domain.errors import BadInput, Refusal
from keyback.domain.factor import BOUND, COOL_IN, Factor
from keyback.domain.person import Account, Contact, Person, canonicalize
from keyback.domain.policy import Journey
from keyback.domain.prompt import SHORT_LIFE, Prompt, short_code

SETUP_LIFE = 20 * ch.MINUTE
SEED_BYTES = 20
AFTERWARDS = ch.HOUR
OVERTAKE = frozenset({"locked_down", "password_chosen", "password_changed", "factor_replaced"})
NEWEST = 1 << 62
DONE = (dc.State.RECOVERED, dc.State.CLOSED)
CAN = (Means.NATIVE, Means.COMPOSED)
What = Literal["unlocked", "factor_replaced", "mailbox_replaced"]


@dataclass(frozen=True, slots=True)
class Opened:
    """A recovery whose page may apply its remedy now.

    Args:
        shut: accounts that their owner locked because somebody else got in: only a new password opens them.
    """

    case: Case
    person: Person
    accounts: tuple[Account, ...]
    shut: frozenset[str] = frozenset()


def opened(tx: Tx, handle: str, here: Here, journey: Journey | None = None) -> Opened:
    """The recovery of a page that may go on.

    Args:
        journey: what the page must have been asked for; None where it does not matter.

    Raises:
        Refusal: `not_found`, `wrong_state` for another journey, `not_enough_evidence` or `expired`.
    """
    intake = tx.intakes.get(handle)
    if intake is not None and journey not in (None, intake.journey):
        raise Refusal("wrong_state")
    case = tx.cases.get(intake.case_id) if intake and intake.case_id else None
    person = tx.people.lock(case.person_id) if case else None
    if case is None or person is None or person.state != "active":
        raise Refusal("not_found")
    accounts = tuple(tx.people.accounts([person.id]).get(person.id, ()))
    if not evidence.enough(tx, case, handle, person, accounts, here.policy):
        raise Refusal("not_enough_evidence")
    if tx.now >= case.expires_at:
        raise Refusal("expired")
    live = tuple(a for a in accounts if a.id in case.accounts and a.state != "disabled")
    return Opened(case, person, live, frozenset(a.id for a in live if tx.counters.get(f"lockdown/{a.id}").total))


def _close(
    tx: Tx, o: Opened, handle: str, what: What, here: Here, detail: str = "", also: Sequence[Contact] = ()
) -> None:
    """The end of a recovery that sets no password: nothing that was pending is good for anything any more (C17)."""
    tx.cases.act(o.case, dc.decide(o.case, dc.Remedy(what, handle, here.policy.loose), tx.now))
    tx.challenges.end_all([o.case.id], "used")
    tx.prompts.end_where("stopped", person_id=o.person.id)
    tx.people.bump_security(o.person.id)
    tx.sessions.end_all(o.person.id)
    changed(tx, o.person.id, what, here.origin, detail=detail, also=also, data={"case": o.case.id})


# ── locked ──────────────────────────────────────────────────────────────────


def unlockable(o: Opened, connectors: Mapping[str, Connector]) -> tuple[Account, ...]:
    """The accounts that can be unlocked without a new password; the others take one."""
    can = {name for name, c in connectors.items() if c.capabilities.unlock in CAN}
    return tuple(a for a in o.accounts if a.system in can and a.id not in o.shut)


async def unlock(
    db: Database, connectors: Mapping[str, Connector], handle: str, here: Here
) -> list[tuple[Account, Outcome]]:
    """Unlocks every account that can be, in every system, without touching passwords.

    Unlocking twice is the same as once, so a lost answer is no harm: the person presses the button again.

    Returns:
        Each account with the last step's outcome. When one did not work, the recovery stays open for another try.

    Raises:
        Refusal: as `opened`; `no_accounts` where only a new password helps.
    """
    o = await db.read(lambda tx: opened(tx, handle, here, "locked"))
    accounts = unlockable(o, connectors)
    if not accounts:
        raise Refusal("no_accounts")
    allowed = o.case.tier == "privileged"
    results = []
    for a in accounts:
        plan = Plan(f"{o.case.id}/{a.id}"[:44], a.external_id, a.username, None, allow_privileged=allowed)
        results.append((a, (await connectors[a.system].apply(plan))[-1]))
    if all(r.status == "done" for _, r in results):
        await db.write(lambda tx: _unlocked(tx, handle, here))
    return results


def _unlocked(tx: Tx, handle: str, here: Here) -> None:
    o = opened(tx, handle, here, "locked")
    for a in o.accounts:
        if a.id in o.shut:
            continue
        if a.state == "locked":
            tx.people.set_account_state(a.id, "active")
        throttle.renewed(tx, a.id, here.origin.source)
    _close(tx, o, handle, "unlocked", here)


# ── a lost second step ──────────────────────────────────────────────────────


def bound_factors(tx: Tx, person_id: str) -> tuple[Factor, ...]:
    """What would be replaced: everything that signs in as a second step."""
    return tuple(f for f in tx.factors.of_person(person_id) if f.kind in BOUND)


def start_app(tx: Tx, app: EnrolsApp, handle: str, here: Here) -> str:
    """A seed for a new authenticator app, which waits to be shown to work; the factor's id.

    Raises:
        Refusal: as `opened`.
    """
    o = opened(tx, handle, here, "second_factor")
    for old in tx.factors.of_person(o.person.id, states=("pending",)):
        tx.factors.turn(old.id, "pending", "removed")
    tx.prompts.end_where("replaced", handle=handle, proof="new_passkey")  # the page shows one of the two
    data = {"seed": app.new_seed(tx.random(SEED_BYTES)), "handle": handle}
    until = tx.now + SETUP_LIFE + COOL_IN
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
    o = opened(tx, handle, here, "second_factor")
    new = waiting_app(tx, o.person.id, handle)
    if new is None:
        raise Refusal("over")
    if not fits(new.id):
        raise Refusal("wrong_state")
    key = f"enrol/{o.person.id}"
    if tx.counters.add([key])[key].hour > ch.WINDOW_TRIES * 2:
        tx.counters.take_back([key])  # not compared, so no try
        return False
    step = app.first_step(str(new.data["seed"]), typed, tx.now)
    if step is None:
        return False
    if not tx.factors.turn(new.id, "pending", "active") or not tx.factors.advance(new.id, step):
        raise Refusal("over")
    put_in_place(tx, o, new.id, handle, here)
    stepup.renewed(tx, o.person.id, "totp")
    return True


def put_in_place(tx: Tx, o: Opened, factor_id: str, handle: str, here: Here) -> None:
    """Removes every second step but the new one, forgets all browsers, and ends the recovery."""
    for old in bound_factors(tx, o.person.id):
        if old.id != factor_id:
            tx.factors.turn(old.id, "active", "removed")
    tx.devices.forget(o.person.id)
    _close(tx, o, handle, "factor_replaced", here)


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
    if tx.now >= done + AFTERWARDS or _overtaken(tx, case.person_id, done):
        return ()
    before = min(e.accepted_at for e in shown)
    return tuple(f for f in bound_factors(tx, case.person_id) if f.added_at < before and tx.now < f.usable_from)


def _overtaken(tx: Tx, person_id: str, since: int) -> bool:
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
        tx.prompts.end_where("stopped", target=f.id)
        tx.people.bump_security(f.person_id)
        tx.sessions.end_all(f.person_id)
        tx.devices.forget(f.person_id)
        what = "passkey_removed" if f.kind == "passkey" else "totp_removed"
        changed(tx, f.person_id, what, here.origin, detail=f.label, data={"factor": f.id})
    return len(gone)


# ── a lost mailbox ──────────────────────────────────────────────────────────


def other_mailboxes(tx: Tx, person_id: str) -> tuple[Contact, ...]:
    """Confirmed addresses that could take the place of the lost one."""
    own = tx.people.contacts([person_id]).get(person_id, ())
    return tuple(c for c in own if c.channel == "mail" and c.role == "backup" and c.usable_from <= tx.now)


def start_mailbox(tx: Tx, handle: str, address: str, here: Here) -> str:
    """Mails a code to a new address, which is used for nothing before it came back (N-R7); the prompt's id.

    Raises:
        BadInput: it cannot be a mail address.
        Refusal: as `opened`; `known` for one that is on record already, `too_many` codes. An address that got too many,
            whoever had them sent, gets no further one, and nothing tells so.
    """
    from email_validator import EmailNotValidError, validate_email  # here: few ever need it, and it takes its time

    o = opened(tx, handle, here, "mailbox")
    canonicalize(address)  # what cannot be an identifier is no address either
    try:
        validate_email(address.strip(), check_deliverability=False)
    except EmailNotValidError:
        raise BadInput("not_mail") from None
    contact = Contact(tx.new_id(), o.person.id, "mail", address.strip(), "backup", "pending", "person", added_at=tx.now)
    allowed = may_send(tx, Ask(o.person.id, contact, "proven", code=True, typed=True))
    # Fewer than whoever is signed in gets: a recovery needs one.
    if allowed == "person" or tx.counters.get(f"mail/new/{o.person.id}").hour > ch.MAILS_PER_HOUR:
        raise Refusal("too_many")
    if not tx.contacts.add(contact):
        raise Refusal("known")
    tx.prompts.end_where("replaced", person_id=o.person.id, proof="new_mailbox")
    prompt = Prompt(
        id=tx.new_id(),
        purpose="enrol",
        proof="new_mailbox",
        person_id=o.person.id,
        nonce=tx.random(32),
        security_version=o.person.security_version,
        created_at=tx.now,
        expires_at=tx.now + SHORT_LIFE,
        handle=handle,
        case_id=o.case.id,
        target=contact.id,
    )
    tx.prompts.add(prompt)
    body = {
        "letter": "mail_code",
        "asker": "proven",
        "person": o.person.id,
        "contact": contact.id,
        "prompt": prompt.id,
        "username": username_of(tx, o.person.id),
        "asked_at": tx.now,
        "source": here.origin.source[:45],
        "device": "",
    }
    if allowed == "yes":
        tx.outbox.put([Job(tx.new_id(), "mail", body, tx.now, prompt.expires_at)])
    return prompt.id


def waiting_mailbox(tx: Tx, handle: str) -> Contact | None:
    """The new address whose code this page waits for."""
    live = [p for p in tx.prompts.asked(handle, "new_mailbox") if p.ended is None and p.expires_at > tx.now]
    return tx.contacts.many([live[-1].target]).get(live[-1].target) if live else None


def confirm_mailbox(tx: Tx, handle: str, typed: str, here: Here, fits: Fits = anything) -> bool:
    """Takes the code of the new address and puts it in place of the lost one; False for a wrong code.

    Args:
        fits: whether the address whose code is waited for is the one that was shown.

    Raises:
        Refusal: as `opened`; `over` when no code is waited for, `wrong_state` when it is that of another address.
    """
    o = opened(tx, handle, here, "mailbox")
    live = [p for p in tx.prompts.asked(handle, "new_mailbox") if p.ended is None and p.expires_at > tx.now]
    key = f"new_mailbox/{o.person.id}"
    new = tx.contacts.many([live[-1].target]).get(live[-1].target) if live else None
    if new is not None and not fits(new.address):
        raise Refusal("wrong_state")
    if not live or tx.counters.add([key])[key].hour > ch.WINDOW_TRIES:
        raise Refusal("over")
    p = live[-1]
    digits = "".join(c for c in typed if not c.isspace() and c != "-")
    if p.key_id not in tx.seals.ids or not ch.same(short_code(tx.seals.derive("prompt", p.key_id), p.nonce), digits):
        return False
    if not tx.prompts.end(p.id, "used") or not tx.contacts.confirm(p.target, tx.now):
        raise Refusal("over")
    _move(tx, o, handle, p.target, here)
    return True


def choose_mailbox(tx: Tx, handle: str, contact_id: str, here: Here) -> None:
    """Puts an address that was confirmed long ago in place of the lost one.

    Raises:
        Refusal: as `opened`; `not_found` for an address that is not the person's.
    """
    o = opened(tx, handle, here, "mailbox")
    if contact_id not in {c.id for c in other_mailboxes(tx, o.person.id)}:
        raise Refusal("not_found")
    _move(tx, o, handle, contact_id, here)


def _move(tx: Tx, o: Opened, handle: str, contact_id: str, here: Here) -> None:
    own = tx.people.contacts([o.person.id]).get(o.person.id, ())
    lost = [c for c in own if c.channel == "mail" and c.role == "primary"]
    for c in lost:
        tx.contacts.remove(c.id)
    tx.contacts.make_primary(contact_id)
    new = tx.contacts.many([contact_id])[contact_id]
    local, _, domain = new.address.rpartition("@")
    told = [replace(c, state="removed") for c in lost]
    _close(tx, o, handle, "mailbox_replaced", here, f"{local[:1]}•••@{domain}", told)
