"""How strong a password is, while it is being typed; and the list of common ones."""

from __future__ import annotations

from functools import lru_cache
from importlib import resources
from typing import Final, NamedTuple

from keyback.domain.passwords.rules import Blocklist, Context, Unreadable, context_words, normalize

_METER_LENGTH: Final = 72
_METER_WORK: Final = 1500  # characters times ways to undo substitutions; zxcvbn takes 2 s for 72 signs without this


@lru_cache(maxsize=1)
def load_blocklist() -> Blocklist:
    """The packaged list of common passwords, read once (its origin and licence stand at its head)."""
    text = resources.files("keyback.domain").joinpath("data/common-passwords.txt").read_text("utf-8")
    return Blocklist(line for line in text.splitlines() if line and not line.startswith("#"))


class Strength(NamedTuple):
    """Words for one score; both are message ids."""

    text: str
    suggestion: str


STRENGTH: Final = (
    Strength("Very easy to guess", "Start over with three or four unrelated words."),
    Strength("Easy to guess", "Add two or three unrelated words."),
    Strength("Not hard to guess", "One or two more words will do."),
    Strength("Hard to guess", "One more word makes it even stronger."),
    Strength("Very hard to guess", "Let a password manager remember it."),
)


def strength(password: str, context: Context) -> int:
    """How hard a password is to guess: 0 to 4, index into `STRENGTH`. A hint only, never a rule.

    Costs up to some 60 ms of CPU (and a one-off import), so call it off the event loop. Longer passwords are judged by
    their first 72 characters or fewer; that can only lower the score.

    Args:
        password: as typed; what `normalize` refuses scores 0.
        context: names known around the account.
    """
    from zxcvbn import matching, scoring, time_estimates  # 60 ms and 10 MB that a worker never needs

    try:
        text = normalize(password)[:_METER_LENGTH]
    except Unreadable:
        return 0
    if not text:
        return 0
    while len(text) * _ways(text, matching.L33T_TABLE) > _METER_WORK:
        text = text[:-1]
    # Its own dictionary: zxcvbn() writes the caller's words into a shared one, where other threads would meet them.
    words = {**matching.RANKED_DICTIONARIES, "user_inputs": matching.build_ranked_dict(sorted(context_words(context)))}
    guesses = scoring.most_guessable_match_sequence(text, matching.omnimatch(text, words))["guesses"]
    return int(time_estimates.guesses_to_score(guesses))


def _ways(text: str, substitutions: dict[str, list[str]]) -> int:
    out = 1
    for signs in substitutions.values():
        out *= max(1, sum(s in text for s in signs))
    return out
