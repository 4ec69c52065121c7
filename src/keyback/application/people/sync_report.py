"""What a sync of people came to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from keyback.application.people.saving import MAX_LINES, Changes

# Why an account was left out, or a part of it, in the words of the command; those after `BENIGN` say that the listing
# is odd.
SKIPPED: Mapping[str, str] = {
    "off": "have no access and are new, so there is nothing to recover",
    "no_mail": "have no email address",
    "doubtful": "may belong to someone who is already there; see keyback people links list",
    "waits": "look like someone's who is already there; the next full sync looks at them",
    "bad_phone": "have a mobile number that can't be used, so it's left out; one without a country code needs "
    "people.phone_country",
    "bad_group": "are in groups that can't be kept: too many, or with names that are too long or can't be shown",
    "bad_mail": "have an address that isn't an email address",
    "bad_username": "have no usable username",
    "bad_id": "have no usable ID",
    "taken": "have a username that another account in the list has, too",
    "twice": "are in the list twice",
}
BENIGN = frozenset({"off", "no_mail", "doubtful", "waits", "bad_phone", "bad_group"})


@dataclass(slots=True)
class SyncReport(Changes):
    """What a sync came to.

    Args:
        listed: accounts that the system named.
        skipped: by reason (`SKIPPED`), how many were left out.
        examples: by reason, some of their IDs in the system.
        linked: accounts that were given to somebody who was there already, by their address.
        off: accounts that were switched off, since the system has them no longer or says that they have no access.
        held: how many would have been, where that was too many; nobody was switched off then.
        live: accounts that were on before.
        resumed: it went on with a run that had broken off.
        full: the whole list was read; else only what changed.
    """

    system: str = ""
    dry_run: bool = False
    resumed: bool = False
    full: bool = True
    listed: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    examples: dict[str, list[str]] = field(default_factory=dict)
    linked: int = 0
    off: int = 0
    held: int = 0
    live: int = 0

    def skip(self, why: str, external_id: str) -> None:
        self.skipped[why] = self.skipped.get(why, 0) + 1
        some = self.examples.setdefault(why, [])
        if len(some) < min(5, MAX_LINES):
            some.append(external_id[:80])

    @property
    def faults(self) -> int:
        """How many accounts were left out because of what the system says of them."""
        return sum(n for why, n in self.skipped.items() if why not in BENIGN)

    def counts(self) -> dict[str, int]:
        """What is written down of a run, without a word about anybody."""
        named = {k: getattr(self, k) for k in ("listed", "added", "changed", "same", "off", "held", "linked")}
        return {k: n for k, n in {**named, **self.skipped}.items() if n}
