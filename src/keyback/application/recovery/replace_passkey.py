"""A passkey in place of a lost second step, made on the recovery's own page (WebAuthn level 3, section 7.1).

As for an app (`replace_factor.replace_factor`): everything that signed in as a second step goes in the moment in which
the
new one is there, and every answer of a browser is looked at once.
"""

from __future__ import annotations

from typing import Literal

from keyback.application.challenges.issue import issue
from keyback.application.enrolment import factors
from keyback.application.ports.enrolment import EnrolsPasskey
from keyback.application.ports.storage import Tx
from keyback.application.recovery import remedy, replace_factor
from keyback.application.recovery.evidence import Here
from keyback.application.showing import Fits, anything
from keyback.application.signin import step_up
from keyback.domain.challenges.challenge import SHORT_LIFE, Challenge
from keyback.domain.errors import Refusal
from keyback.domain.people.factor import COOLING_OFF, Factor

METHOD = "new_passkey"  # of the challenge: not `passkey`, which is a question to those who have one


def start(tx: Tx, handle: str, here: Here) -> None:
    """Puts a challenge, in place of an older one of this page.

    Raises:
        Refusal: as `remedy.open_recovery`.
    """
    o = remedy.open_recovery(tx, handle, here, "second_factor")
    tx.challenges.end_where("replaced", handle=handle, method=METHOD)
    issue(tx, o.person, "enrol", METHOD, SHORT_LIFE, handle=handle, case_id=o.case.id)


def waiting(tx: Tx, handle: str) -> Challenge | None:
    """The challenge that this page waits to have answered."""
    live = [p for p in tx.challenges.issued(handle, METHOD) if p.waits(tx.now)]
    return live[-1] if live and live[-1].key_id in tx.seals.ids else None


def options(tx: Tx, maker: EnrolsPasskey, o: remedy.OpenRecovery, asked: Challenge, username: str, company: str) -> str:
    """JSON for the browser. No device is left out: what it holds is being replaced."""
    known = tx.factors.of_person(o.person.id)
    handle = factors.user_handle(tx, maker, asked, known)
    return maker.registration_options(asked.nonce, handle, username, o.person.name, company, ())


def replace(
    tx: Tx, maker: EnrolsPasskey, handle: str, typed: str, here: Here, fits: Fits = anything
) -> Literal["done", "wrong"]:
    """Takes the browser's answer, once: right or wrong, the challenge is over (W-1).

    Args:
        fits: whether the challenge that waits, by its id, is the one that was shown.

    Raises:
        Refusal: as `remedy.open_recovery`; `over` when no challenge waits any more, `wrong_state` when it is another
        one.
    """
    o = remedy.open_recovery(tx, handle, here, "second_factor")
    asked = waiting(tx, handle)
    if asked is not None and not fits(asked.id):
        raise Refusal("wrong_state")
    if asked is None or not tx.challenges.end(asked.id, "used"):
        raise Refusal("over")
    person_id, known = o.person.id, tx.factors.of_person(o.person.id, states=("pending", "active"))
    of_person = factors.user_handle(tx, maker, asked, [f for f in known if f.state == "active"])
    made = maker.verify_registration(typed, asked.nonce, of_person)
    if made is None or tx.factors.by_lookup(made.lookup) is not None:
        return "wrong"
    label = factors.clean_label(here.origin.agent, "Passkey")
    new = Factor(
        tx.new_id(), person_id, "passkey", label, "active", made.data, made.counter, tx.now, tx.now + COOLING_OFF,
        lookup=made.lookup,
    )  # fmt: skip
    tx.factors.add(new)
    for seed in known:
        if seed.state == "pending":
            tx.factors.turn(seed.id, "pending", "removed")
    replace_factor.activate(tx, o, new.id, handle, here)
    step_up.renewed(tx, person_id, "passkey")
    return "done"
