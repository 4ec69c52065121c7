"""Wrong answers to recoveries, counted on two sides: from browsers that a person signed in with, and from elsewhere.

Anybody can ask for a recovery of somebody else and type wrong codes there. What they use up is the part of strangers:
whoever sits at a browser that the person signed in with has a part of their own (INV-I9, ADR 24). Together they stay
within the hundred of NIST SP 800-63B-4 section 3.2.2.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from keyback.application.origin import Origin
from keyback.application.ports.storage import Tx
from keyback.domain.throttling.limits import HARD_CAP, WINDOW_TRIES
from keyback.domain.tokens import token_digest

OWN: Final = 10  # wrong answers in a row from browsers that the person signed in with
CODE: Final = HARD_CAP - OWN  # wrong mailed codes in a row from anywhere else
PROOF: Final = HARD_CAP // 2 - OWN  # of any other proof; half is for signing in, which needs the password first


def count(tx: Tx, name: str, people: Iterable[str], ghost: str, origin: Origin) -> frozenset[str]:
    """Counts an answer before it is compared; the people with whom it is not to be compared (D1, N-T4).

    What the hour does not allow is not compared, so it is no guess: nobody uses up the rest in an afternoon. Costs the
    same statements for one person, for several and for nobody (A3).

    Args:
        name: of the proof; `code` for the mailed one.
        ghost: stands for what was typed, where that is nobody's.
    """
    keys = _keys(tx, name, people, ghost, origin)
    hours = tx.counters.add([f"h/{k}" for k in keys])
    looked = [k for k in keys if hours[f"h/{k}"].hour <= WINDOW_TRIES]
    tx.counters.take_back([f"h/{k}" for k in keys if k not in looked])
    totals = tx.counters.add(looked)
    return frozenset(p for k, p in keys.items() if k not in totals or totals[k].total > _cap(name, k))


def take_back(tx: Tx, name: str, people: Iterable[str], ghost: str, origin: Origin) -> None:
    """An answer that `count` counted was no guess: the same one had been accepted just before (R11)."""
    keys = list(_keys(tx, name, people, ghost, origin))
    tx.counters.take_back([*keys, *(f"h/{k}" for k in keys)])


def _keys(tx: Tx, name: str, people: Iterable[str], ghost: str, origin: Origin) -> dict[str, str]:
    own = tx.devices.owners(token_digest(origin.device))
    return {f"{name}/{'o/' if p in own else ''}{p}": p for p in people} or {f"{name}/g/{ghost}": ""}


ANSWERS_PER_QUESTION: Final = 3  # in a day
ANSWERS_PER_DAY: Final = 10  # over all questions of a person


def count_answer(tx: Tx, person: str, question: str) -> bool:
    """Counts an answer to a question of a person before it is compared; whether it may be compared. Asking again,
    another page and another browser change nothing: answers are short, and found in fewer guesses than codes (G2).

    Args:
        question: another word for each question that is asked.
    """
    keys = [f"ask/{person}", f"ask/{person}/{question}"]
    counts = tx.counters.add(keys)
    fine = counts[keys[0]].day <= ANSWERS_PER_DAY and counts[keys[1]].day <= ANSWERS_PER_QUESTION
    if not fine:
        tx.counters.take_back(keys)  # what is not compared is no guess
    return fine


def _cap(name: str, key: str) -> int:
    """How many in a row a counter allows."""
    return OWN if key.startswith(f"{name}/o/") else CODE if name == "code" else PROOF


def reset(tx: Tx, name: str, person: str) -> None:
    """A right answer, or something new in its place: wrong ones before count for nothing any more (N-T6)."""
    tx.counters.reset(f"{name}/{person}", f"{name}/o/{person}")
