"""Security questions of a signed-in person: chosen, replaced, and removed like any factor (`factors.remove`).

Callers make sure that the person has just shown who they are (O-Q2). Answers are judged by the proof's own rules,
hashed, and never given back (G5). A new choice voids the old one at once; every contact is told.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import product
from typing import Final

from keyback.application import locking
from keyback.application.enrolment import factors
from keyback.application.notifications.account_changes import notify_account_change
from keyback.application.origin import Origin
from keyback.application.passwords import validation
from keyback.application.ports.enrolment import EnrolsQuestions
from keyback.application.ports.storage import Session, Tx
from keyback.application.services import Services
from keyback.application.showing import Fits, anything
from keyback.domain.errors import Refusal
from keyback.domain.people.factor import COOLING_OFF, Factor
from keyback.domain.secret import Secret

KIND: Final = "security_questions"
ASKED = 3

Chosen = Sequence[tuple[str, str]]


def maker_of(s: Services) -> EnrolsQuestions | None:
    """What enrols questions, where the policy has them on."""
    found = s.proofs.get(KIND)
    return found if isinstance(found, EnrolsQuestions) and s.policy.takes(KIND) else None


async def choose(
    s: Services, maker: EnrolsQuestions, session: Session, chosen: Chosen, origin: Origin, fits: Fits = anything
) -> tuple[tuple[int, str], ...]:
    """Keeps a choice that has no faults, in place of the last one; else all that is wrong with it, by place from 0.

    Args:
        chosen: (key of the question, answer as typed), `ASKED` of them.
        fits: whether the last choice, by its id, is the one that was shown; empty where there is none.

    Raises:
        Busy: the hashing gate is full; nothing was changed.
        Refusal: `over` when the account changed meanwhile, such as by a lockdown, `wrong_state` when the choice did.
    """
    about, version = await s.db.read(lambda tx: _known(tx, s, session))
    faults = tuple(maker.faults(chosen, about)) or await _passwords(s, session, chosen)
    if faults:
        return faults
    data = dict(await maker.hashed(chosen))
    await s.db.write(lambda tx: _replace(tx, session, version, data, origin, fits))
    return ()


async def _passwords(s: Services, session: Session, chosen: Chosen) -> tuple[tuple[int, str], ...]:
    """Answers that are passwords: common ones, which guessers try first, and the person's own, which must not be kept
    in a second place, nor typed where answers are (G8)."""
    out = [(i, "too_easy") for i, (_, answer) in enumerate(chosen) if any(f in s.blocklist for f in _forms(answer))]
    hashes = [] if out else await s.db.read(lambda tx: _hashes(tx, session))
    for i, (_, answer) in enumerate(chosen):
        for form, phc in product(_forms(answer), hashes):
            if (await s.gate.verify(phc, Secret(form))).ok:
                out.append((i, "own_password"))
                break
    return tuple(out)


def _forms(answer: str) -> tuple[str, ...]:
    """An answer as it may be a password: as typed, with what does not count in answers left out, and in the cases and
    widths that people write one in."""
    text = unicodedata.normalize("NFKC", answer).strip()
    bare = "".join(c for c in text.casefold() if unicodedata.category(c)[0] in "LNM")
    cased = (text.casefold(), text.capitalize(), text.title(), text.upper(), text.swapcase())
    wide = (text.translate(_WIDE), text.casefold().translate(_WIDE))
    return tuple(dict.fromkeys(f for f in (answer, text, *cased, bare, bare.capitalize(), *wide) if f))


_WIDE: Final = {c: c + 0xFEE0 for c in range(0x21, 0x7F)} | {0x20: 0x3000}


def _hashes(tx: Tx, session: Session) -> Sequence[str]:
    own = tx.people.accounts([session.person_id]).get(session.person_id, ())
    return tx.people.hashes([a.id for a in own], 0)


def _known(tx: Tx, s: Services, session: Session) -> tuple[list[str], int]:
    """What others know of the person, so that it is no answer."""
    person = tx.people.person(session.person_id)
    if person is None:
        raise Refusal("over")
    accounts = tx.people.accounts([person.id]).get(person.id, ())
    mails = [c.address for c in tx.people.contacts([person.id]).get(person.id, ()) if c.channel == "mail"]
    c = validation.context_of(s, person, accounts, mails)
    return [*c.companies, *c.systems, *c.usernames, *c.names, *c.mails], person.security_version


def _replace(
    tx: Tx, session: Session, version: int, data: dict[str, object], origin: Origin, fits: Fits = anything
) -> None:
    person = locking.own(tx, session)
    if person.security_version != version:
        raise Refusal("over")
    mine = tx.factors.of_person(person.id)
    if not fits(factors.present(mine, KIND)):
        raise Refusal("wrong_state")
    for old in mine:
        if old.kind == KIND and tx.factors.turn(old.id, "active", "removed"):
            tx.challenges.end_where("stopped", target=old.id)
    factor = Factor(tx.new_id(), person.id, KIND, "", "active", data, 0, tx.now, tx.now + COOLING_OFF)
    tx.factors.add(factor)
    notify_account_change(tx, person.id, "questions_set", origin, data={"factor": factor.id})
