"""What became of the new password in one account, and which of them may be chosen for again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from keyback.domain.recovery import events as ev

# The system was away until the sealed password was over: a new one is chosen for it alone, without verifying again.
TIMED_OUT: Final = "choose_again"
# The password was set; what was to end the sessions there was refused, or never came to an end.
SESSIONS_OPEN: Final = "sessions_open"


@dataclass(frozen=True, slots=True)
class AccountResult:
    """What became of one account: `waiting` until its job began.

    With the code `choose_again`, `refused` says that the old password still works, and `unsure` that nobody knows.
    """

    account_id: str
    job_id: str
    result: ev.Result = "waiting"
    code: str = ""
    vendor_text: str = ""
    at: int = 0

    @property
    def timed_out(self) -> bool:
        """Whether its system was away until the time of the sealed password was over."""
        return self.code == TIMED_OUT

    @property
    def sessions_open(self) -> bool:
        """Whether the password was set there, and others may still be signed in."""
        return self.result == "done" and self.code == SESSIONS_OPEN

    @property
    def may_choose(self) -> bool:
        """Whether a reopened case takes another password for it."""
        return self.result == "refused" or self.timed_out
