"""Forgetting in time: every table that grows has a retention."""

from __future__ import annotations

from keyback.application.ports.storage import Tx
from keyback.domain.units import HOUR

DAY = 24 * HOUR
KEEP_INTAKES = 7 * DAY  # after their end
KEEP_CHALLENGES = 30 * DAY  # so that an old link still says why it does not work
KEEP_DEAD_LETTERS = 30 * DAY
KEEP_COUNTERS = 2 * DAY  # those of people keep their consecutive total
KEEP_FAILURES = 7 * DAY  # after the same wrong password was tried last
KEEP_REPLACED = 30 * DAY  # the hash before the current one, to name what still signs in with it
KEEP_SEEN = 30 * DAY  # networks that somebody signed in from, after the last time
KEEP_REQUESTS = 90 * DAY  # for help, after they were made
KEEP_ANSWERS = DAY  # of acts through the admin API, for whoever sends one again
KEEP_TASKS = 180 * DAY  # of administrators, after they were opened


def purge(tx: Tx) -> int:
    """Deletes what is past its time, at most a few thousand rows a call; the number of them."""
    return tx.purge(
        intakes_before=tx.now - KEEP_INTAKES,
        challenges_before=tx.now - KEEP_CHALLENGES,
        dead_before=tx.now - KEEP_DEAD_LETTERS,
        counters_before=tx.now - KEEP_COUNTERS,
        failures_before=tx.now - KEEP_FAILURES,
        replaced_before=tx.now - KEEP_REPLACED,
        seen_before=tx.now - KEEP_SEEN,
        tasks_before=tx.now - KEEP_TASKS,
        requests_before=tx.now - KEEP_REQUESTS,
        answers_before=tx.now - KEEP_ANSWERS,
    )
