"""How wrong passwords slow the next try down, and when they switch a password off (NIST SP 800-63B-4 3.2.2).

Waiting goes by the far end (a network, or a browser that the owner signed in with), and by different passwords: a phone
that repeats an old one is no guesser. A hundred in a row switch the password off until it is renewed; the owner's own
browsers and networks have a part of that hundred that no stranger can use up.
"""

from __future__ import annotations

from typing import Literal

from keyback.domain.throttling.limits import HARD_CAP
from keyback.domain.units import HOUR, MINUTE

DAY = 24 * HOUR
FREE_ATTEMPTS = 5  # different wrong passwords before waiting begins
FIRST_WAIT = MINUTE // 2
MAX_WAIT = HOUR
WINDOW = DAY  # what is older makes nobody wait
MAX_PER_SOURCE = 100  # wrong passwords from one network in an hour, whatever the names
OF_56, OF_48 = 400, 1600  # the same from the IPv6 /56 and /48 around it
OF_WIDER = {56: OF_56, 48: OF_48}

SourceClass = Literal["stranger", "network", "browser"]
"""Where a try comes from, for one account: a browser that its owner signed in with, or recovered with today; a network
from which they signed in lately; or anywhere else."""

BUDGET: dict[SourceClass, int] = {"stranger": 60, "network": 20, "browser": 20}
"""Wrong ones in a row from each side; together the hundred of the standard."""

if sum(BUDGET.values()) > HARD_CAP:
    raise AssertionError("more wrong passwords in a row than NIST SP 800-63B-4 3.2.2 allows")


def wait_after(different: int) -> int:
    """Milliseconds from the last of so many different wrong passwords until the next try: 30 seconds after the fifth,
    twice as long after each further one, an hour at most."""
    if different < FREE_ATTEMPTS:
        return 0
    return min(FIRST_WAIT << min(different - FREE_ATTEMPTS, 30), MAX_WAIT)


def wait_left(firsts: list[int], now: int, since: int = 0) -> int:
    """Milliseconds left to wait.

    Args:
        firsts: when each different wrong password was first tried.
        since: what was tried before it is forgotten, such as at the last sign-in.
    """
    counted = [at for at in firsts if at > max(now - WINDOW, since)]
    return max(0, max(counted) + wait_after(len(counted)) - now) if counted else 0


def seconds(ms: int) -> int:
    """Whole seconds to tell, never too few."""
    return -(-ms // 1000)
