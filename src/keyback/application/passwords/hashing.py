"""Hashing passwords through one bounded gate, the packaged blocklist, and the strength meter.

Stored form: a PHC string, `$argon2id$v=19$m=…,t=…,p=…$salt$hash`. With a pepper it is preceded by `$pepper=1`, and what
argon2id sees is HMAC-SHA256(pepper, password). The mark makes removal of the pepper fail closed (N-P17).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock
from typing import Final

from argon2 import Parameters, PasswordHasher, extract_parameters, low_level
from argon2.exceptions import InvalidHashError, VerificationError

from keyback.application.ports.hashing import Busy, Verified
from keyback.domain import digests
from keyback.domain.passwords.rules import Unreadable, normalize
from keyback.domain.secret import Secret

PEPPERED: Final = "$pepper="  # and an id of the pepper before the hash itself
PEPPER_BYTES: Final = 32
# Least memory in KiB by passes, one lane (ASVS 5.0 11.4.2 appendix C, A-11.4.2); three stands for more.
FLOOR_KIB: Final = {1: 46 * 1024, 2: 19 * 1024, 3: 12 * 1024}
_PASSES_CAP: Final = 64  # of a stored hash; an imported one must not keep a thread for minutes
_SHORTAGE: Final = frozenset(map(low_level.error_to_str, (-22, -33)))  # no memory, no thread: not the password's fault


@dataclass(slots=True, eq=False)
class _Job:
    work: Callable[[], object]
    kib: int
    done: Future[object]


@dataclass(frozen=True, slots=True)
class _Stored:
    phc: str
    pepper: str  # its id; empty for none
    costs: Parameters


def pepper_id(pepper: bytes) -> str:
    """Eight hexadecimal digits that tell peppers apart and nothing about them."""
    return digests.mac(pepper, b"keyback pepper")[:4].hex()


class HashGate:
    """argon2id with bounded memory, bounded threads and a bounded queue (L2, keycloak#28477).

    Memory belongs to the work, not to the request: a caller who gives up frees its place in the queue, but what is
    running keeps its share until it ends. A stored hash that needs more than the usual memory waits for that much.

    Args:
        memory_budget_mib: for all hashing at once, MiB. One permit is given even where it is below `m_kib`.
        t: passes.
        m_kib: memory of one hash, KiB.
        p: lanes.
        queue: callers who may wait.
        pepper: at least 32 random bytes kept apart from the database, or None.
        old_peppers: earlier ones, newest first. Hashes made with them still fit, and are replaced when they do.
        dual_try: hashes were imported from systems that did not normalise: a password that is not NFC is also tried as
            typed, whoever it is for, so that time tells nothing (L6).

    Raises:
        ValueError: below the floor of `FLOOR_KIB`, or a pepper that is too short.

    Attributes:
        permits: hashes at once.
        busy: hashes running now.
        waiting: callers in the queue.
        refused: stored hashes so far that could not be used (damaged, too expensive, or peppered without a pepper).
    """

    def __init__(
        self,
        memory_budget_mib: int,
        t: int,
        m_kib: int,
        p: int,
        queue: int,
        pepper: bytes | None = None,
        *,
        old_peppers: Sequence[bytes] = (),
        dual_try: bool = False,
    ) -> None:
        if t < 1 or m_kib < FLOOR_KIB[min(t, 3)] or not 1 <= p <= 16 or queue < 0:
            raise ValueError(
                "argon2id below t=1 m=46 MiB, t=2 m=19 MiB or t=3 m=12 MiB, or lanes or queue out of range"
            )
        peppers = [*([pepper] if pepper is not None else []), *old_peppers]
        if any(len(p) < PEPPER_BYTES for p in peppers):
            raise ValueError("a pepper must have at least 32 bytes")
        self.permits = max(1, memory_budget_mib * 1024 // m_kib)
        self.busy = 0
        self.refused = 0
        self._budget_kib = self._free_kib = max(memory_budget_mib * 1024, m_kib)
        self._queue = queue
        self._peppers = {pepper_id(p): p for p in peppers}
        self._pepper = pepper_id(pepper) if pepper is not None else ""
        self._dual_try = dual_try
        self._hasher = PasswordHasher(time_cost=t, memory_cost=m_kib, parallelism=p)
        self._pending: deque[_Job] = deque()
        self._lock = Lock()
        self._threads = ThreadPoolExecutor(self.permits, thread_name_prefix="keyback-hash")

    @property
    def waiting(self) -> int:
        return len(self._pending)

    @property
    def pepper(self) -> str:
        """Id of the pepper that new hashes are made with; empty for none."""
        return self._pepper

    def check_values(self) -> dict[str, bytes]:
        """By id of every pepper there is a MAC that tells it from others and says nothing about it."""
        return {pid: digests.mac(p, b"keyback pepper check value") for pid, p in self._peppers.items()}

    def close(self) -> None:
        """Drop who waits, let the running work end. The gate takes no more."""
        with self._lock:
            dropped = list(self._pending)
            self._pending.clear()
        for job in dropped:
            job.done.cancel()
        self._threads.shutdown(wait=True)

    async def hash(self, secret: Secret) -> str:
        """The text to store for a new password.

        Raises:
            keyback.domain.passwords.rules.Unreadable: not text or too long; nothing was hashed (L1).
            Busy: the queue is full.
        """
        message = self._message(normalize(secret.reveal()), self._pepper)
        mark = PEPPERED + self._pepper if self._pepper else ""
        return mark + str(await self._through(lambda: self._hasher.hash(message), self._hasher.memory_cost))

    async def verify(self, phc: str | None, secret: Secret) -> Verified:
        """Whether a password fits what is stored. For no account give None: the same work is done in vain (L10).

        A password that could never have been set is answered at once, for every account alike (L1).

        Raises:
            Busy: the queue is full.
        """
        raw = secret.reveal()
        try:
            text = normalize(raw)
        except Unreadable:
            return Verified(False, False)
        stored = self._read(phc)
        tries = [text, raw] if self._dual_try and raw != text else [text]
        kib = max(stored.costs.memory_cost if stored else 0, self._hasher.memory_cost)
        fits = await self._through(lambda: self._first_fit(stored, tries), kib)
        if not isinstance(fits, int) or stored is None:
            return Verified(False, False)
        old = stored.pepper != self._pepper or self._hasher.check_needs_rehash(stored.phc)
        return Verified(True, fits > 0 or old)

    # ── in the thread ───────────────────────────────────────────────────────

    def _first_fit(self, stored: _Stored | None, tries: list[str]) -> int | None:
        for i, text in enumerate(tries):
            if stored is None:
                self._waste(self._hasher.time_cost)
            elif self._fits(stored, text):
                return i
        return None

    def _fits(self, stored: _Stored, text: str) -> bool:
        try:
            return self._hasher.verify(stored.phc, self._message(text, stored.pepper))
        except (VerificationError, InvalidHashError) as fault:
            if str(fault) in _SHORTAGE:
                raise
            # A cheaper hash from earlier must not answer sooner than no account at all.
            ours = self._hasher
            missing = ours.time_cost * ours.memory_cost - stored.costs.time_cost * stored.costs.memory_cost
            self._waste(round(missing / ours.memory_cost))
            return False

    def _waste(self, passes: int) -> None:
        ours = self._hasher
        if passes > 0:
            low_level.hash_secret_raw(
                b"nobody", b"no account here.", passes, ours.memory_cost, ours.parallelism, ours.hash_len, ours.type
            )

    def _message(self, text: str, pepper: str) -> bytes:
        raw = text.encode()
        return digests.mac(self._peppers[pepper], raw) if pepper else raw

    def _read(self, phc: str | None) -> _Stored | None:
        if phc is None:
            return None
        pepper, bare = "", phc
        if phc.startswith(PEPPERED):
            pepper, _, rest = phc.removeprefix(PEPPERED).partition("$")
            bare = f"${rest}"
        try:
            costs = extract_parameters(bare)
        except InvalidHashError:
            costs = None
        if (
            costs is None
            or (pepper and pepper not in self._peppers)
            or phc.startswith(PEPPERED + "$")
            or costs.memory_cost > self._budget_kib
            or costs.time_cost > _PASSES_CAP
        ):
            self.refused += 1
            return None
        return _Stored(bare, pepper, costs)

    # ── the gate ────────────────────────────────────────────────────────────

    async def _through(self, work: Callable[[], object], kib: int) -> object:
        job = _Job(work, kib, Future())
        with self._lock:
            if len(self._pending) >= self._queue and (self._pending or not self._room(job)):
                raise Busy
            self._pending.append(job)
            self._start()
        job.done.add_done_callback(lambda done: self._forget(job) if done.cancelled() else None)
        return await asyncio.wrap_future(job.done)

    def _room(self, job: _Job) -> bool:
        return self.busy < self.permits and job.kib <= self._free_kib

    def _start(self) -> None:
        """Start what fits, first come first served. The lock is held."""
        while self._pending and self._room(self._pending[0]):
            job = self._pending.popleft()
            if job.done.set_running_or_notify_cancel():
                self.busy += 1
                self._free_kib -= job.kib
                self._threads.submit(self._run, job)

    def _run(self, job: _Job) -> None:
        result: object = None
        fault: BaseException | None = None
        try:
            result = job.work()
        except BaseException as e:
            fault = e
        with self._lock:
            self.busy -= 1
            self._free_kib += job.kib
            self._start()
        if fault is not None:
            job.done.set_exception(fault)
        else:
            job.done.set_result(result)

    def _forget(self, job: _Job) -> None:
        with self._lock:
            if job in self._pending:
                self._pending.remove(job)
            self._start()
