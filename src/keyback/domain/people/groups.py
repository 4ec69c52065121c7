"""Groups and departments that people are in, as files and systems name them: something to choose people by.

They let nobody do anything. What a group means for somebody's tier is `policy.groups`, and a matter of the import.
"""

from __future__ import annotations

from collections.abc import Iterable

from keyback.domain.characters import INVISIBLE, are_shown, compatible

MAX_GROUPS = 100  # of one person, by one source; a directory may name hundreds
MAX_GROUP = 120  # characters


def group_name(text: str) -> str:
    """The one form in which groups are compared: NFKC, case folded, each run of white space one space."""
    return " ".join(compatible(text).split())


def sought_group(text: str) -> str:
    """The form in which a group is compared that somebody asks for; empty for what can be none."""
    kept, _ = tidy_groups([text])
    return group_name(kept[0]) if kept else ""


def tidy_groups(texts: Iterable[str]) -> tuple[tuple[str, ...], int]:
    """The groups that are kept, each once, in the order of their names; and how many could not be: with characters that
    cannot be shown, too long, or beyond `MAX_GROUPS`."""
    kept: dict[str, str] = {}
    left_out = 0
    for text in texts:
        name = " ".join(INVISIBLE.sub("", text).split())
        if not name:
            continue
        folded = group_name(name)
        if len(name) > MAX_GROUP or len(folded) > MAX_GROUP or not are_shown(name):
            left_out += 1
        else:
            kept.setdefault(folded, name)
    names = [kept[folded] for folded in sorted(kept)]
    return tuple(names[:MAX_GROUPS]), left_out + max(0, len(names) - MAX_GROUPS)
