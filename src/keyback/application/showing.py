"""What a page showed, for acts that must find it as it was (C24).

A form names it by a digest; the act compares under its own locks, so that nothing comes between the look and the act.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

from keyback.application.ports.proofs import PendingChallenge, Proof

Fits = Callable[[str], bool]
"""Whether something is what a form was drawn for, from the words for it."""


def anything(_: str) -> bool:
    """For whoever named nothing: the API, whose callers see no page."""
    return True


def question(proof: Proof, asked: Sequence[PendingChallenge]) -> str:
    """Words for the question that a page shows: the same in every language, others for another challenge."""
    return f"{proof.name}\0{json.dumps(dict(proof.form(asked, 'en')), sort_keys=True, default=str)}"
