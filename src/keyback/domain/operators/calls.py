"""Calls of the help desk: numbers that two screens show at once, and how long and how often they are good.

None of them opens anything by itself. What is spoken on the phone is worth something only to an operator who is signed
in, about a page that is open, within minutes, once.
"""

from __future__ import annotations

from keyback.domain import digests
from keyback.domain.units import HOUR, MINUTE

NUMBER_LIFE = 10 * MINUTE  # of the first number
CALLBACK_LIFE = 30 * MINUTE  # to call back, and to type the second one
GATE_LIFE = HOUR  # for which whoever passed a check sees how to reach the person
CALL_LIFE = 15 * MINUTE  # of a call that an operator entered
NUMBERS_AN_HOUR = 3  # for one page
WRONG_AN_HOUR = 10  # first numbers that one operator may mistype
MAX_WRONG = 3  # second numbers that may be mistyped in one check
CALLS_A_DAY = 5  # that operators enter for one person; more would be a nuisance
DIGITS = 6
HELP_CODE_LIFE = 15 * MINUTE  # of a code to the address at which somebody asks for help


def caller_number(key: bytes, check_id: str, part: int) -> str:
    """Six digits that a page shows: the first while its reader calls us, the second while we call back."""
    mac = digests.mac(key, f"caller\0{check_id}\0{part}".encode())
    return f"{int.from_bytes(mac[:8]) % 10**DIGITS:0{DIGITS}}"


def number_digest(key: bytes, number: str) -> bytes:
    """Under what a first number is found; with a key, so that the table tells nobody which numbers are shown."""
    return digests.mac(key, f"digest\0{number}".encode())


def call_number(key: bytes, call_id: str) -> int:
    """Two digits that the operator's screen and the person's show alike during a call of ours."""
    mac = digests.mac(key, f"call\0{call_id}".encode())
    return 10 + int.from_bytes(mac[:8]) % 90


def help_code(key: bytes, handle: str, sent_at: int) -> str:
    """Six digits that show that a message to the address of a request for help was read."""
    mac = digests.mac(key, f"help\0{handle}\0{sent_at}".encode())
    return f"{int.from_bytes(mac[:8]) % 10**DIGITS:0{DIGITS}}"
