"""Somebody with a password, and guesses at it from somewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from argon2 import PasswordHasher

from keyback.application.origin import Origin
from keyback.application.signin import sign_in
from keyback.domain.secret import Secret
from tests.support.kit import Kit, person
from tests.support.steps import HERE, Tray, fit, set_password

Make = Callable[..., Kit]


WRONG = sign_in.NotSignedIn("wrong")


def guess(n: int) -> Secret:
    return Secret(f"a guess of number {n}")


def somewhere(n: int) -> Origin:
    """Networks of strangers."""
    return Origin(f"198.51.{n // 250}.{n % 250}")


def owned(make_kit: Make, **over: Any) -> Kit:
    return tray_and(make_kit, **over)[0]


def tray_and(make_kit: Make, **over: Any) -> tuple[Kit, Tray]:
    """Somebody with a password, whose hashes cost little: hundreds of tries are made here."""
    kit = make_kit(**over)
    kit.services.gate._hasher = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
    tray = fit(kit, person("maya"))
    set_password(kit, "maya")
    return kit, tray


def enter(kit: Kit, who: str, word: Secret, origin: Origin = HERE) -> Any:
    s = kit.services
    return kit.run(sign_in.sign_in(s.db, s.gate, who, word, origin, s.rules))
