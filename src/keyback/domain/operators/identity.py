"""Identities that somebody else verifies: how long an answer may take, and what reviewers look at where names differ.

Sources: NIST SP 800-63A-4 sections 2.5.1 and 3.2.1; OpenID Connect for Identity Assurance 1.0; PIPL 23 and 29.
"""

from __future__ import annotations

from typing import Final, Literal

from keyback.domain.units import HOUR

VERIFIED: Final = "verified"
"""Among kinds of documents: an answer for two people to look at, without a picture."""
CHECKS: Final = ("record", "name", "meant")
"""What a reviewer looks at: there was a record before; the verified name is one of this person's, by records of the
company; this person is meant, and nobody else of that name."""
CONSENT: Final = "2026-11"
"""The version of the text that people agree to; a change of its facts is another one."""
LIFE = HOUR
"""From consent to the answer, in ms."""
A_DAY = 5  # that one page may begin
Counts = Literal["exact", "relaxed", "never"]
