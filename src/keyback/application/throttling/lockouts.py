"""What keeps failing to sign in as somebody, and what keeps them out. Only for whoever has proven who they are (J5)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from keyback.application.ports.storage import Tx
from keyback.application.throttling import password_attempts
from keyback.domain.passwords.rules import Rules
from keyback.domain.throttling.password_attempts import BUDGET, SourceClass

REPEATED = password_attempts.LOOK_BACK_AT  # from so many times of the same on it is a device, not a slip of the finger
MAX_SOURCES = 20


@dataclass(frozen=True, slots=True)
class StalePasswordSource:
    """The same wrong password, again and again from one place.

    Args:
        source: network address of the first time.
        device: words for the browser or program, empty where it does not say.
        count: how often.
        since: ms, the first time; `last` the last one.
        previous: it is the password before the current one.
    """

    source: str
    device: str
    count: int
    since: int
    last: int
    previous: bool


@dataclass(frozen=True, slots=True)
class Lock:
    """What keeps a password from signing in.

    Args:
        reason: `fixed` is the lock of some presets after a few wrong ones, `off` the end after a hundred in a row,
            `system` what the system itself says of the account.
        until: ms, when it ends by itself; None when it does not, and a recovery opens it.
        sides: from where the password is off; all for the other reasons.
    """

    reason: Literal["fixed", "off", "system"]
    until: int | None = None
    sides: tuple[SourceClass, ...] = tuple(BUDGET)


def stale_password_sources(tx: Tx, person_id: str) -> tuple[StalePasswordSource, ...]:
    """Devices and programs that keep trying the same wrong password for a person's accounts, the last one first; what
    was tried in the last week."""
    found = tx.failures.of_names([password_attempts.name_of(a) for a in _accounts(tx, person_id)])
    return tuple(
        StalePasswordSource(f.source, f.device, f.count, f.first_at, f.last_at, bool(f.previous))
        for f in found
        if f.count >= REPEATED
    )[:MAX_SOURCES]


def locks(tx: Tx, person_id: str, rules: Rules) -> tuple[Lock, ...]:
    """What keeps a person out of the built-in system just now; `password_attempts.unlock` opens it all."""
    out = []
    for account_id, state in _accounts(tx, person_id).items():
        if state == "locked":
            out.append(Lock("system"))
        if (until := password_attempts.locked_until(tx, account_id, rules)) is not None:
            out.append(Lock("fixed", until))
        if sides := password_attempts.disabled_for(tx, account_id):
            out.append(Lock("off", None, sides))
    return tuple(out)


def _accounts(tx: Tx, person_id: str) -> dict[str, str]:
    own = tx.people.accounts([person_id]).get(person_id, ())
    return {a.id: a.state for a in own if a.system == password_attempts.SYSTEM}
