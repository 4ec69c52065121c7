"""What we ask of password hashing."""

from __future__ import annotations

from typing import NamedTuple


class Busy(Exception):
    """The queue before the gate is full; answer 503 and let the caller come back."""


class Verified(NamedTuple):
    """Whether the password fits, and whether to store a new hash of it now (only ever true together with `ok`)."""

    ok: bool
    needs_rehash: bool
