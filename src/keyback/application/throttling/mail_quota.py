"""How many messages a person, an address and the whole installation get for requests that anybody can make (A7, A8,
A10), and which of them a stranger cannot use up (ADR 18, I9).

| quota | an hour | a day | what it is for |
|---|---|---|---|
| `mail/{person}` | 3 | 10 | every message that strangers ask for, by whatever method |
| `mail/plain/{person}` | 2 | 5 | of these, the ones without a link, so that a flood leaves links in the mailbox |
| `mail/to/{address}` | 8 | 24 | the same for an address, whoever it belongs to |
| `mail/to/codes/{address}` | 3 | 10 | of these, codes and messages to recovery contacts |
| `mail/all` | setting | setting | mails that strangers ask for, in the whole installation |
| `mail/net/{network}` | a twentieth | a twentieth | of these, once half is gone: what one network may have had |
| `mail/fetched/{person}` | 3 | 5 | mails that such a link fetched; only a reader of the mailbox has one |
| `mail/known/{person}` | 3 | 10 | messages asked for by a browser that the person signed in with |
| `mail/proven/{person}` | 6 | 15 | messages asked for by a page that has proven something of the person's |
| `mail/new/{person}` | 6 | 10 | codes to addresses that somebody signed in, or proven, typed |
| `mail/own/codes/{address}` | 6 | 10 | codes and messages to others' addresses, of the four above |
| `mail/all/own` | setting | setting | mails of these, in the whole installation |

What is told of something that happened (`QUOTA_OF` says `notice`) is never held back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from keyback.application.origin import networks_of
from keyback.application.ports.messages import CONTENTS, MessageKind, RequestedContent
from keyback.application.ports.storage import Count, Tx
from keyback.domain import digests
from keyback.domain.challenges import challenge as ch
from keyback.domain.people.person import Contact
from keyback.domain.throttling.limits import (
    FETCHED_PER_DAY,
    FETCHED_PER_HOUR,
    MAILS_PER_DAY,
    MAILS_PER_HOUR,
    PLAIN_PER_DAY,
    PLAIN_PER_HOUR,
)
from keyback.domain.throttling.sms_quota import AskedBy, Asker

LIMITS: Mapping[str, tuple[int, int]] = {
    "mail": (MAILS_PER_HOUR, MAILS_PER_DAY),
    "mail/plain": (PLAIN_PER_HOUR, PLAIN_PER_DAY),
    "mail/to": (ch.ADDRESS_PER_HOUR, ch.ADDRESS_PER_DAY),
    "mail/to/codes": (MAILS_PER_HOUR, MAILS_PER_DAY),
    "mail/fetched": (FETCHED_PER_HOUR, FETCHED_PER_DAY),
    "mail/known": (MAILS_PER_HOUR, MAILS_PER_DAY),
    "mail/proven": (ch.PROVEN_PER_HOUR, ch.PROVEN_PER_DAY),
    "mail/new": (ch.TYPED_PER_HOUR, ch.TYPED_PER_DAY),
    "mail/own/codes": (ch.TYPED_PER_HOUR, ch.TYPED_PER_DAY),
}
ALL, ALL_OWN, NETWORK = "mail/all", "mail/all/own", "mail/net/"
SHARE = 20  # one network alone uses up half of `mail/all` at most; then a twentieth is the most that it may have had
# Every kind of message: `asked` was asked for by somebody and is counted before it is written down; `notice` tells of
# something that only its owner, or an operator, can make happen, or is bounded where it is written.
QUOTA_OF: Mapping[MessageKind, Literal["asked", "notice"]] = {
    kind: "asked" if issubclass(content, RequestedContent) else "notice" for kind, content in CONTENTS.items()
}
Reason = Literal["person", "address", "installation"]


def lately(count: Count, *, flow: bool) -> tuple[int, int]:
    """How many there were in the last hour and day. One person's are counted in full; what flows all day is weighed."""
    return (count.hour_even, count.day_even) if flow else (count.hour, count.day)


def asker_of(body: Mapping[str, Any]) -> Asker:
    """Who had a message of the outbox sent. Of a kind that can be asked for, and with nothing said: a stranger."""
    asker = body.get("asker")
    if asker in ("stranger", "known", "proven"):
        return asker  # type: ignore[no-any-return]
    kind = str(body.get("letter"))
    return "notice" if kind in QUOTA_OF and QUOTA_OF[MessageKind(kind)] == "notice" else "stranger"


@dataclass(frozen=True, slots=True)
class InstallationQuota:
    """Mails asked for in the whole installation, by strangers, and as many again by owners; 0: no limit."""

    hour: int = 0
    day: int = 0


NO_LIMIT = InstallationQuota()


@dataclass(frozen=True, slots=True)
class Ask:
    """One message that is wanted.

    Args:
        contact: whom it goes to.
        asker: by whom.
        plain: it carries no link that opens this person's recovery.
        code: a code, or a message to somebody else than the person.
        fetched: somebody who reads the mailbox asked for it.
        typed: the address was typed just now, and is not confirmed.
        source: network address that asked.
    """

    person_id: str
    contact: Contact
    asker: AskedBy = "stranger"
    plain: bool = False
    code: bool = False
    fetched: bool = False
    typed: bool = False
    source: str = ""

    def ways(self, address: str) -> list[list[str]]:
        """Counters that may pay, all of one line together; the first line that can does.

        Args:
            address: a digest of the contact's.
        """
        p, mail = self.person_id, self.contact.channel == "mail"
        stranger = [f"mail/{p}", *([f"mail/plain/{p}"] if self.plain else []), f"mail/to/{address}"]
        stranger += [*([f"mail/to/codes/{address}"] if self.code else []), *(self._whole() if mail else [])]
        own = [*([f"mail/own/codes/{address}"] if self.code else []), *([ALL_OWN] if mail else [])]
        if self.typed:
            return [[f"mail/new/{p}", *own]]
        lines = [[f"mail/fetched/{p}", *own]] if self.fetched else []
        if self.asker == "proven":
            return [*lines, [f"mail/proven/{p}", *own]]
        if self.asker == "known":
            lines.append([f"mail/known/{p}", *own])
        return [*lines, stranger]

    def _whole(self) -> list[str]:
        """Counters of the whole installation for what a stranger asks for."""
        if not self.source:
            return [ALL]
        network = networks_of(self.source)[-1][1]
        return [ALL, f"{NETWORK}{digests.digest(network.encode()).hex()[:16]}"]


def reason_of(key: str) -> Reason:
    """What a counter that is used up protects."""
    if key in (ALL, ALL_OWN) or key.startswith(NETWORK):
        return "installation"
    return "address" if key.startswith(("mail/to/", "mail/own/")) else "person"


@dataclass(slots=True)
class MailQuota:
    """The quotas of a batch. Nobody outside sees when one is used up, and only what is really sent counts: a burst of
    requests must not use up a day (INV-I9)."""

    tx: Tx
    asks: Sequence[Ask]
    whole: InstallationQuota = NO_LIMIT
    withheld: Counter[Reason] = field(default_factory=Counter)
    _left: dict[str, float] = field(default_factory=dict)
    _paid: Counter[str] = field(default_factory=Counter)
    _digests: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._digests = {a.contact.address: address_digest(self.tx, a.contact) for a in self.asks}
        keys = sorted({key for ask in self.asks for line in self._ways(ask) for key in line})
        # Counting one beforehand tells, and keeps other nodes waiting until `settle` has put it right.
        for key, count in self.tx.counters.add(keys).items():
            hour, day = lately(count, flow=reason_of(key) == "installation")
            most_hour, most_day = self._limit(key)
            self._left[key] = min(most_hour - (hour - 1), most_day - (day - 1))

    def _ways(self, ask: Ask) -> list[list[str]]:
        return ask.ways(self._digests[ask.contact.address])

    def _limit(self, key: str) -> tuple[float, float]:
        if key in (ALL, ALL_OWN):
            return self.whole.hour or float("inf"), self.whole.day or float("inf")
        if key.startswith(NETWORK):
            hour, day = self._limit(ALL)
            return max(1, hour / SHARE), max(1, day / SHARE)
        return LIMITS[key.rpartition("/")[0]]

    def allows(self, ask: Ask) -> bool:
        """Whether this message may go; it is counted then."""
        spent: list[str] = []
        for line in self._ways(ask):
            spent = [key for key in line if self._left[key] <= 0 and not (key.startswith(NETWORK) and self._plenty())]
            if not spent:
                for key in line:
                    self._left[key] -= 1
                    self._paid[key] += 1
                return True
        self.withheld[reason_of(spent[0])] += 1
        return False

    def _plenty(self) -> bool:
        """Whether half of what strangers may ask for is left, so that no network has to leave it to others."""
        return self._left[ALL] > min(self._limit(ALL)) / 2

    def settle(self) -> None:
        """Leaves as many counted as may go."""
        self.tx.counters.add([key for key, n in self._paid.items() for _ in range(n - 1)])
        self.tx.counters.take_back([key for key in self._left if not self._paid[key]])


def address_digest(tx: Tx, contact: Contact) -> str:
    """A keyed digest of an address, the same for whoever has it as a contact and however its letters are written."""
    text = f"{contact.channel}\0{contact.address.casefold()}"
    return digests.mac(tx.seals.derive("subject"), text.encode()).hex()[:32]


def may_send(tx: Tx, ask: Ask) -> Literal["yes", "person", "address"]:
    """Counts one message of somebody who has shown who they are; what is used up where it may not go. It counts for the
    whole installation, whose quota stops nobody who is there already."""
    quota = MailQuota(tx, [ask])
    allowed = quota.allows(ask)
    quota.settle()
    if allowed:
        return "yes"
    return "address" if quota.withheld["address"] else "person"
