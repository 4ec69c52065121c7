"""Counting wrong passwords of the built-in system before anything is compared (D1, N-T4, N-T5).

Known and unknown names are counted by the same statements and answered alike. Whoever guesses sees only what their own
network did, so that nothing the owner does shows in an answer (INV-I5, J5): a password that was switched off answers
`record_failure` to strangers, right or not, and says so to the owner's own browser alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from keyback.application import known_devices
from keyback.application.handles import subject_of
from keyback.application.origin import Origin, network_of, networks_of
from keyback.application.ports.enrolment_storage import Failure
from keyback.application.ports.storage import Seals, Tx
from keyback.application.throttling import spraying
from keyback.domain import digests
from keyback.domain.passwords.rules import PRESETS, FixedLock, Rules, Unreadable, normalize
from keyback.domain.people.person import Account, Person
from keyback.domain.secret import Secret
from keyback.domain.throttling.password_attempts import (
    BUDGET,
    MAX_PER_SOURCE,
    OF_WIDER,
    SourceClass,
    seconds,
    wait_left,
)
from keyback.domain.tokens import token_digest
from keyback.domain.units import MINUTE

SYSTEM = "builtin"
LOCK_STEP = 5 * MINUTE  # a fixed lock ends up to this much later than the rules say, never sooner
MAX_LOCK = max(p.lock.minutes for p in PRESETS.values() if p.lock) * MINUTE
# Of a keyed digest: enough to tell whether the same was tried again, too little to find out what it was.
TRIED_BYTES = 3
LOOK_BACK_AT = 3  # how often the same is tried until we look whether it is the password before
ALL = 10**6
OWN, RECOVERED = "b:", "r:"


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is compared for so many seconds; at least one."""

    seconds: int


@dataclass(frozen=True, slots=True)
class Try:
    """One try that was counted and may be compared now.

    Args:
        name: the counters' name of the account, or of a name that nobody has.
        place: digest of the network, or of the browser or network that has a place of its own.
        sources: counters of its network and of those around it.
        mark: stands for this try until it is known whether it was right.
        again: the same wrong password came from there before; such a one does not count.
        off: too many were wrong in a row: it is compared with nothing.
        replaced: the hash before the current one, where `looks_back`; None for unknown names, for the same work.
    """

    name: str
    place: str
    side: SourceClass
    sources: tuple[str, ...]
    tried: bytes = field(repr=False)
    mark: bytes = field(repr=False)
    again: bool
    off: bool
    looks_back: bool
    replaced: str | None = field(repr=False)

    @property
    def may_know(self) -> bool:
        """Whether it comes from a browser that the owner signed in with, which may hear that the password is off."""
        return self.place.startswith(OWN)

    @property
    def counted(self) -> list[str]:
        """What counted this try, and no other thing than wrong ones."""
        own = [_total(self.name, self.side)]
        return [] if self.again else own if self.side == "browser" else [*own, *self.sources]


def name_of(account_id: str) -> str:
    """The counters' name of an account."""
    return f"pw/{account_id}"


def known_key(account_id: str) -> str:
    """The counter of wrong answers to "your password, once more" from whoever is signed in."""
    return f"step_up/{account_id}"


def count_attempt(
    tx: Tx, found: tuple[Account, Person] | None, canonical: str, password: Secret, origin: Origin, rules: Rules
) -> Try | Wait:
    """Counts a try, unless this far end has to wait."""
    name = name_of(found[0].id) if found else f"pw/g/{subject_of(tx.seals, canonical).hex()}"
    source, tried = place_of(origin.source), _tried(tx.seals, name, password)
    side, place, since = _side(tx, name, found[1].id if found else "", source, origin)
    sources = _of(origin.source)
    near, locks = f"{name}/{place}", [_lock_count(name)] if rules.lock else []
    counts = tx.counters.add([near, *locks])  # holds up whoever tries the same from there on another node
    locked = _lock_left(tx, name, rules.lock) if rules.lock else 0  # behind the count, so that nobody slips past it
    before = tx.failures.of(name, place)
    left = locked or wait_left([f.first_at for f in before], tx.now, since)
    if left:
        tx.counters.take_back([near, *locks])
        return Wait(seconds(left))
    same = next((f for f in before if f.tried == tried), None)
    total = tx.counters.get(_total(name, side))
    if same is None:
        if side != "browser":
            seen = tx.counters.add(list(sources))
            ends = [seen[key].hour_ends for key, most in sources.items() if seen[key].hour > most]
            if ends:
                tx.counters.take_back([near, *locks, *sources])
                return Wait(seconds(max(1, max(ends) - tx.now)))
        total = tx.counters.add([_total(name, side)])[_total(name, side)]
        if side == "stranger" and total.total == BUDGET[side]:
            spraying.note_lock(tx)
    if rules.lock and counts[locks[0]].total % rules.lock.tries == 0:
        tx.counters.add([_lock_key(name, tx.now // LOCK_STEP)])  # taken back if this one is right
        spraying.note_lock(tx)
    mark = tx.random(16)
    if same is None:
        words = origin.agent
        tx.failures.begin(Failure(name, place, mark, origin.source[:45], words, 0, tx.now, tx.now))
    back = same is not None and same.count + 1 == LOOK_BACK_AT
    replaced = tx.people.replaced(found[0].id if found else "") if back else None
    off = total.total > BUDGET[side]
    return Try(name, place, side, tuple(sources), tried, mark, same is not None, off, back, replaced)


def record_failure(tx: Tx, this: Try, previous: bool | None = None) -> None:
    """The try was wrong.

    Args:
        previous: whether it was the password before, where somebody looked.
    """
    folded = tx.failures.settle(this.name, this.place, this.mark, this.tried, previous)
    if folded:
        tx.counters.take_back(this.counted)  # the same was tried twice at once


def record_success(tx: Tx, this: Try, rules: Rules) -> None:
    """The try was right: it counts as none, and nothing is wrong in a row any more (N-T6)."""
    tx.failures.forget(this.name, this.place, this.mark, this.tried)
    tx.counters.take_back(this.counted)
    _reset(tx, this.name)
    near = f"{this.name}/{this.place}"
    if rules.lock:
        # Its own wrong ones only: those of others go on counting, for names that nobody has too.
        tx.counters.take_back([_lock_count(this.name)], tx.counters.get(near).total)
        tx.counters.take_back([_lock_key(this.name, tx.now // LOCK_STEP - ago) for ago in (0, 1)], ALL)
    tx.counters.reset(near)


def roll_back(tx: Tx, this: Try, rules: Rules) -> None:
    """The try was not looked at after all."""
    tx.failures.forget(this.name, this.place, this.mark, this.mark)
    locks = [_lock_count(this.name)] if rules.lock else []
    tx.counters.take_back([*this.counted, f"{this.name}/{this.place}", *locks])


def renewed(tx: Tx, account_id: str, source: str = "", also: Sequence[str] = ()) -> None:
    """A recovery set a new password or opened a lock: nothing keeps the account from signing in.

    Args:
        source: network address that it was done from. There nobody waits for a day, whatever goes on elsewhere.
        also: other counters that begin anew, in the same statement.
    """
    name = name_of(account_id)
    _reset(tx, name, also)
    last = tx.now // LOCK_STEP
    steps = range(last - -(-MAX_LOCK // LOCK_STEP), last + 1)
    tx.counters.take_back([_lock_count(name), known_key(account_id), *(_lock_key(name, n) for n in steps)], ALL)
    if source:
        tx.counters.add([_open_for(name, place_of(source))])


def unlock(tx: Tx, person_id: str, source: str = "") -> None:
    """Opens whatever keeps a person from signing in to the built-in system, as `renewed` does."""
    for account in tx.people.accounts([person_id]).get(person_id, ()):
        if account.system == SYSTEM:
            renewed(tx, account.id, source)


def recovered_from(tx: Tx, account_id: str, source: str) -> bool:
    """Whether a recovery ended from this network today."""
    return tx.counters.get(_open_for(name_of(account_id), place_of(source))).day > 0


def place_of(source: str) -> str:
    """Stands for a network."""
    return _digest(network_of(source))


def is_own(place: str) -> bool:
    """Whether a place is a browser that the owner signed in with, or where they have just recovered."""
    return place.startswith((OWN, RECOVERED))


def disabled_for(tx: Tx, account_id: str) -> tuple[SourceClass, ...]:
    """From where the next different password is compared with nothing."""
    name = name_of(account_id)
    return tuple(side for side, most in BUDGET.items() if tx.counters.get(_total(name, side)).total >= most)


def locked_until(tx: Tx, account_id: str, rules: Rules) -> int | None:
    """When the fixed lock of an account ends, ms; None where there is none."""
    return (_lock_end(tx, name_of(account_id), rules.lock) or None) if rules.lock else None


# ── names and digests ───────────────────────────────────────────────────────


def _digest(text: str) -> str:
    return digests.digest(text.encode()).hex()[:16]


def _tried(seals: Seals, name: str, password: Secret) -> bytes:
    """Bound to the name: what two people try is never comparable."""
    try:
        text = normalize(password.reveal())
    except Unreadable:
        text = password.reveal()
    what = name.encode() + b"\0" + text.encode("utf-8", "surrogatepass")
    return digests.mac(seals.derive("tried"), what)[:TRIED_BYTES]


def _side(tx: Tx, name: str, person_id: str, source: str, origin: Origin) -> tuple[SourceClass, str, int]:
    """Which side a try comes from, its place there, and since when wrong ones count."""
    own = known_devices.standing(tx, person_id, origin)
    opened = tx.counters.get(_open_for(name, source)).day > 0
    if own.device:
        return "browser", f"{OWN}{token_digest(origin.device).hex()[:14]}", own.seen_at
    if opened:
        return "browser", f"{RECOVERED}{source[:14]}", 0
    return ("network" if own.network else "stranger"), source, 0


def _total(name: str, side: SourceClass) -> str:
    """Wrong ones in a row from one side; not among the keys that are purged after a while."""
    return {"stranger": "pw", "network": "pwn", "browser": "pwb"}[side] + name[2:]


def _reset(tx: Tx, name: str, also: Sequence[str] = ()) -> None:
    tx.counters.reset(*(_total(name, side) for side in BUDGET), *also)


def _of(source: str) -> dict[str, int]:
    """Counters of a network and of those around it, each with its most in an hour."""
    wider = {f"pw/n/{_digest(name)}": OF_WIDER.get(length, MAX_PER_SOURCE) for length, name in networks_of(source)}
    return dict(sorted(wider.items()))


def _open_for(name: str, source: str) -> str:
    return f"{name}/o/{source}"


# ── the fixed lock of some presets ──────────────────────────────────────────


def _lock_count(name: str) -> str:
    return f"{name}/f"


def _lock_key(name: str, step: int) -> str:
    return f"{name}/k{step}"


def _steps(lock: FixedLock) -> int:
    return -(-lock.minutes * MINUTE // LOCK_STEP)


def _lock_left(tx: Tx, name: str, lock: FixedLock) -> int:
    """Milliseconds to tell whoever tries a locked name: what the rules say, at the end what is left of it."""
    return max(0, min(lock.minutes * MINUTE, _lock_end(tx, name, lock) - tx.now))


def _lock_end(tx: Tx, name: str, lock: FixedLock) -> int:
    """When the lock of a name ends, known or not, ms; 0 where it has none. Tries while it holds do not prolong it.

    A new password ends it by taking the counts back (`renewed`, D8), not by its time: that is exact, and these steps
    are not (E27).
    """
    last = tx.now // LOCK_STEP
    keys = {_lock_key(name, step): step for step in range(last - _steps(lock), last + 1)}
    steps = [keys[key] for key, count in tx.counters.many(list(keys)).items() if count.total > 0]
    return (max(steps) + _steps(lock) + 1) * LOCK_STEP if steps else 0
