"""How many mails a person gets for requests that anybody can make (A7), and which a stranger cannot use up (ADR 18).

| purse | an hour | a day | what it is for |
|---|---|---|---|
| `mail/{person}` | 3 | 10 | every mail that was asked for |
| `mail/plain/{person}` | 2 | 5 | of these, the ones without a link, so that a flood leaves links in the mailbox |
| `mail/fetched/{person}` | 3 | 5 | mails that such a link fetched; only a reader of the mailbox has one |

A browser that the person signed in with before may get a purse of its own: it would be one more line here, and one more
way in `Ask.ways`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from keyback.application.store import Tx
from keyback.domain import challenge as ch

LIMITS = {
    "mail": (ch.MAILS_PER_HOUR, ch.MAILS_PER_DAY),
    "mail/plain": (ch.PLAIN_PER_HOUR, ch.PLAIN_PER_DAY),
    "mail/fetched": (ch.FETCHED_PER_HOUR, ch.FETCHED_PER_DAY),
}


@dataclass(frozen=True, slots=True)
class Ask:
    """One mail that is wanted.

    Args:
        plain: it carries no link.
        fetched: somebody who reads the mailbox asked for it.
    """

    person_id: str
    plain: bool = False
    fetched: bool = False

    def ways(self) -> list[list[str]]:
        """Keys of the purses that may pay, all of one line together; the first that can does."""
        own = ["mail", "mail/plain"] if self.plain else ["mail"]
        lines = [["mail/fetched"], own] if self.fetched else [own]
        return [[f"{purse}/{self.person_id}" for purse in line] for line in lines]


class Budget:
    """The purses of a batch. Nobody outside sees when one is empty, and only what is really mailed counts: a burst of
    requests must not use up a day (INV-I9)."""

    def __init__(self, tx: Tx, asks: Sequence[Ask]) -> None:
        self._tx = tx
        keys = sorted({key for ask in asks for line in ask.ways() for key in line})
        # Counting one beforehand tells, and keeps other nodes waiting until `settle` has put it right.
        self._left: dict[str, int] = {}
        for key, count in tx.counters.add(keys).items():
            hour, day = LIMITS[key.rpartition("/")[0]]
            self._left[key] = min(hour - (count.hour - 1), day - (count.day - 1))
        self._paid: Counter[str] = Counter()
        self.withheld = 0

    def allows(self, ask: Ask) -> bool:
        """Whether this mail may go; it is counted then."""
        for line in ask.ways():
            if all(self._left[key] > 0 for key in line):
                for key in line:
                    self._left[key] -= 1
                    self._paid[key] += 1
                return True
        self.withheld += 1
        return False

    def settle(self) -> None:
        """Leaves as many counted as may go."""
        self._tx.counters.add([key for key, n in self._paid.items() for _ in range(n - 1)])
        self._tx.counters.take_back([key for key in self._left if not self._paid[key]])
