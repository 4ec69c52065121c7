"""What every fake keeps of a person: names, states, password with its history, sessions, grants, factors, sign-ins."""

from __future__ import annotations

import hashlib
import json
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyotp

KEPT_SIGN_INS = 50
STEP_S = 30


@dataclass(slots=True)
class Session:
    """Somewhere a person is signed in. `at` in ms; `parent` is the id of the session that this one hangs on."""

    id: str
    at: int
    source: str = "127.0.0.1"
    kind: str = "UI"
    parent: str = ""


@dataclass(slots=True)
class Factor:
    """A second factor. `kind` is `totp`, `passkey`, `authenticator`, `phone` or `temporary_pass`; `seed` is base32."""

    id: str
    kind: str
    at: int = 0
    label: str = ""
    seed: str = ""
    until: int = 0  # of a temporary pass
    once: bool = False
    used: int = 0  # the newest step that was taken


@dataclass(slots=True)
class Grant:
    """An application that a person allowed to act for them. `token` is what revokes it."""

    id: str
    app: str
    at: int
    token: str
    scope: str = "full refresh_token"
    used: int = 0
    uses: int = 0


@dataclass(slots=True)
class SignIn:
    """A try to sign in, as the vendor writes it down."""

    at: int
    status: str
    source: str = "127.0.0.1"
    kind: str = "Application"
    browser: str = "Chrome 141"
    platform: str = "Windows 11"
    app: str = "Browser"
    code: int = 0  # Entra's errorCode


@dataclass(slots=True)
class Account:
    """One person in one vendor's cloud.

    Args:
        id: the vendor's, never changed.
        active: False for those who left; `frozen`, `locked` and `licensed` as the vendor has them.
        provider: where the password lives, if not here: single sign-on or federation.
        synced: comes from a directory on premises, and its password is set there.
        changed_at: when the password was last set, in ms.
        changes: how often, so that tests see what was set twice.
        stale: hash of a password that a device of theirs still tries.
        extra: what only one vendor has.
    """

    id: str
    username: str
    mail: str | None
    name: str
    hash: str
    active: bool = True
    frozen: bool = False
    locked: bool = False
    licensed: bool = True
    privileged: bool = False
    synced: bool = False
    provider: str = ""
    mobile: str = ""
    locale: str = "en"
    must_change: bool = False
    changed_at: int = 0
    changes: int = 0
    failures: int = 0
    locked_until: int = 0
    history: list[str] = field(default_factory=list)
    sessions: list[Session] = field(default_factory=list)
    factors: list[Factor] = field(default_factory=list)
    grants: list[Grant] = field(default_factory=list)
    sign_ins: list[SignIn] = field(default_factory=list)
    extra: dict[str, Any] = field(default_factory=dict)

    def factor(self, kind: str) -> Factor | None:
        return next((f for f in self.factors if f.kind == kind), None)

    def has_password(self, password: str) -> bool:
        return same(self.hash, password)

    def repeats(self, password: str, last: int) -> bool:
        """Whether it is the present password or one of the `last` before it."""
        kept = [self.hash, *self.history[::-1]]
        return any(same(h, password) for h in kept[: max(0, last)])

    def set_password(self, password: str, now: int, *, must_change: bool = False) -> None:
        self.history = [*self.history, self.hash][-24:]
        self.hash, self.changed_at, self.changes = hashed(password), now, self.changes + 1
        self.must_change = must_change

    def note(self, sign_in: SignIn) -> None:
        self.sign_ins = [*self.sign_ins, sign_in][-KEPT_SIGN_INS:]

    def takes_code(self, code: str, now: int) -> bool:
        """Whether an app of theirs shows this code at `now` (ms) or did a step before; each works once."""
        for f in self.factors:
            if f.kind != "totp":
                continue
            for step in (now // 1000 // STEP_S, now // 1000 // STEP_S - 1):
                if step > f.used and secrets.compare_digest(
                    pyotp.TOTP(f.seed).generate_otp(step).encode(), code.encode()
                ):
                    f.used = step
                    return True
        return False


class Accounts:
    """All people of one cloud.

    Args:
        state_file: JSON file that keeps them over restarts, written atomically; None keeps them in memory.
    """

    def __init__(self, state_file: Path | None = None) -> None:
        self._file = state_file
        self._by_id: dict[str, Account] = {}
        if state_file and state_file.exists():
            for row in json.loads(state_file.read_text("utf-8")):
                account = loaded(row)
                self._by_id[account.id] = account

    def __iter__(self) -> Iterator[Account]:
        return iter(self._by_id.values())

    def __len__(self) -> int:
        return len(self._by_id)

    def add(self, accounts: Iterable[Account]) -> None:
        """Raises `ValueError` for an id or user name that is taken."""
        names = {a.username.casefold() for a in self}
        for a in accounts:
            if a.id in self._by_id or a.username.casefold() in names:
                raise ValueError(f"{a.username} is taken")
            names.add(a.username.casefold())
            self._by_id[a.id] = a
        self.save()

    def get(self, id: str) -> Account | None:
        return self._by_id.get(id)

    def named(self, username: str) -> Account | None:
        wanted = username.strip().casefold()
        return next((a for a in self if a.username.casefold() == wanted), None)

    def first(self, fits: Callable[[Account], bool]) -> Account | None:
        return next((a for a in self if fits(a)), None)

    def save(self) -> None:
        if self._file:
            new = self._file.with_name(self._file.name + ".new")
            with new.open("w", encoding="utf-8") as f:
                json.dump([asdict(a) for a in self], f, ensure_ascii=False, indent=1)
                f.flush()
                os.fsync(f.fileno())
            new.replace(self._file)


def loaded(row: dict[str, Any]) -> Account:
    """The account that `asdict` made a row of."""
    lists: dict[str, Any] = {"sessions": Session, "factors": Factor, "grants": Grant, "sign_ins": SignIn}
    values: dict[str, Any] = {k: [lists[k](**x) for x in v] if k in lists else v for k, v in row.items()}
    return Account(**values)


def hashed(password: str, salt: bytes | None = None) -> str:
    """scrypt at a cost so small that many people can be seeded at once; nothing here is real."""
    salt = salt or secrets.token_bytes(8)
    key = hashlib.scrypt(password.encode(errors="surrogatepass"), salt=salt, n=64, r=8, p=1, dklen=32)
    return f"{salt.hex()}:{key.hex()}"


def same(kept: str, password: str) -> bool:
    return bool(kept) and secrets.compare_digest(kept, hashed(password, bytes.fromhex(kept.partition(":")[0])))
