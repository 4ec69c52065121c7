"""Wrong answers to recoveries, counted on two sides: from browsers that a person signed in with, and from elsewhere.

Anybody can ask for a recovery of somebody else and type wrong codes there. What they use up is the part of strangers:
whoever sits at a browser that the person signed in with has a part of their own (INV-I9, ADR 24). Together they stay
within the hundred of NIST SP 800-63B-4 section 3.2.2.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from keyback.application import devices
from keyback.application.identity import Origin
from keyback.application.store import Tx
from keyback.domain.challenge import HARD_CAP

OWN: Final = 10  # wrong answers in a row from browsers that the person signed in with
CODE: Final = HARD_CAP - OWN  # wrong mailed codes in a row from anywhere else
PROOF: Final = HARD_CAP // 2 - OWN  # of any other proof; half is for signing in, which needs the password first


def counted_at(tx: Tx, name: str, people: Iterable[str], ghost: str, origin: Origin) -> Mapping[str, str]:
    """The counter that an answer from there counts at, with its person, for each; one with nobody where there is none.

    Costs one statement a person, and one for nobody (A3).

    Args:
        name: of the proof; `code` for the mailed one.
        ghost: stands for what was typed, where that is nobody's.
    """
    out = {}
    for person in sorted(set(people)) or [""]:
        own = devices.known(tx, person, origin.device, origin).device
        out[f"{name}/{'o/' if own else ''}{person}" if person else f"{name}/g/{ghost}"] = person
    return out


def cap(name: str, key: str) -> int:
    """How many in a row a counter allows."""
    return OWN if key.startswith(f"{name}/o/") else CODE if name == "code" else PROOF


def forget(tx: Tx, name: str, person: str) -> None:
    """A right answer, or something new in its place: wrong ones before count for nothing any more (N-T6)."""
    tx.counters.reset(f"{name}/{person}", f"{name}/o/{person}")
