"""Facts of a letter as the type that a text wants; what is of another type is refused."""

from __future__ import annotations

from collections.abc import Iterable

from keyback.domain.secret import Secret


def secret(value: object) -> str:
    if isinstance(value, Secret):
        return value.reveal()
    raise TypeError("not a Secret")


def plain(value: object) -> str:
    if isinstance(value, str):
        return value
    return secret(value)


def instant(value: object) -> int:
    if isinstance(value, int):
        return value
    raise TypeError("not an instant")


def pairs(value: object) -> Iterable[tuple[str, str]]:
    if not isinstance(value, (tuple, list)):
        raise TypeError("not a list of pairs")
    for pair in value:
        first, second = pair
        yield str(first), str(second)
