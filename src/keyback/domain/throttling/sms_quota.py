"""What SMS may cost: a list of prefixes and quotas, so that nobody earns by having us send (toll fraud).

A request costs its sender nothing and us a message. Whoever owns expensive numbers, or is paid for traffic to them,
enrolls them and asks, again and again; a quota per network never sees it. So money is counted where it is spent: by
country prefix, by person and by number (attack invariant I10). What strangers ask for has quotas of its own, so that
they cannot use up what notices and the owner's own browsers are sent with (I9).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from keyback.domain import digests
from keyback.domain.people.phone import country_of, reaches, small_country_of

Withheld = Literal["prefix_not_allowed", "prefix_spent", "person_spent", "number_spent"]
# Who had a message sent: anybody; a browser that its person signed in with; whoever has shown something of theirs, by a
# session or in a recovery; or nobody, as it tells of something that happened.
AskedBy = Literal["stranger", "known", "proven"]  # whoever had a message sent
Asker = Literal["stranger", "known", "proven", "notice"]
KEYS: Mapping[Asker, str] = {"stranger": "sms", "known": "sms/known", "proven": "sms/proven", "notice": "sms/notice"}


@dataclass(frozen=True, slots=True)
class SpendRules:
    """Quotas for SMS. Each is what strangers may use. Known browsers, whoever has proven something, and notices have as
    much again each; of a prefix they share as much again.

    Args:
        prefixes: where messages may go, as `+86`; the longest one that fits a number is the one it counts for. One
            with `!` in front is shut, with all of the country that it names, such as `!+1876` beside `+1`.
        daily_per_prefix: messages in 24 hours to one prefix.
        daily_per_person: messages in 24 hours to one person, and to one number.
        hourly_per_prefix: messages in an hour to one prefix.
        hourly_per_person: messages in an hour to one person, and to one number; notices have `daily_per_person`.
    """

    prefixes: tuple[str, ...]
    daily_per_prefix: int = 1000
    daily_per_person: int = 10
    hourly_per_prefix: int = 250
    hourly_per_person: int = 3


@dataclass(frozen=True, slots=True)
class Quota:
    """A counter to count up before a message is sent, and how far it may go."""

    key: str
    hour: int
    day: int
    why: Withheld


def prefix_of(number: str, rules: SpendRules) -> str | None:
    """The prefix that a number in E.164 counts for; None when no message may go there."""
    fitting = [p for p in rules.prefixes if number.startswith(p.lstrip("!"))]
    best = max(fitting, key=lambda p: (len(p.lstrip("!")), p[0] == "!"), default="!")
    if best.startswith("!"):
        return None
    country = country_of(number)
    shut = [p[1:] for p in rules.prefixes if p.startswith("!") and country and small_country_of(p[1:]) == country]
    if any(len(p) > len(best) for p in shut) or not reaches(best, country):
        return None
    return best


def quotas(number: str, person_id: str, rules: SpendRules, asker: Asker = "stranger") -> Sequence[Quota]:
    """What a message counts for; empty when the number is refused anyway."""
    prefix = prefix_of(number, rules)
    if prefix is None:
        return ()
    key, day = KEYS[asker], rules.daily_per_person
    hour = rules.hourly_per_person if asker != "notice" else day
    to = digests.digest(number.encode()).hex()[:16]
    return (
        Quota(
            f"{'sms' if asker == 'stranger' else 'sms/own'}/{prefix}",
            rules.hourly_per_prefix,
            rules.daily_per_prefix,
            "prefix_spent",
        ),
        Quota(f"{key}/p/{person_id}", hour, day, "person_spent"),
        Quota(f"{key}/to/{to}", hour, day, "number_spent"),
    )


def ruling(counted: Sequence[tuple[Quota, int, int]]) -> Withheld | None:
    """Why a message is not sent, None when it is.

    Args:
        counted: each of `quotas` with the messages of the last hour and day, this one among them.
    """
    if not counted:
        return "prefix_not_allowed"
    over = [q.why for q, hour, day in counted if hour > q.hour or day > q.day]
    return "person_spent" if "person_spent" in over else over[0] if over else None
