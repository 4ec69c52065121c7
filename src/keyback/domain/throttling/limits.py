"""How many tries and mails there may be."""

from __future__ import annotations

from keyback.domain.units import MINUTE

TRIES_SHOWN = 5  # wrong codes on one page before a new mail is needed
HARD_CAP = 100  # consecutive failures of one person's proof before it is off (NIST SP 800-63B-4 3.2.2)
WINDOW_TRIES = 10  # wrong codes for one person in an hour, over all of their recoveries
MAILS_PER_HOUR = 3
MAILS_PER_DAY = 10
PLAIN_PER_HOUR, PLAIN_PER_DAY = 2, 5  # of these, mails without a link
FETCHED_PER_HOUR, FETCHED_PER_DAY = 3, 5  # beside these, mails that links of them fetched
RESEND_AFTER = 2 * MINUTE
