"""What the API refuses (RFC 9457), and what kept it from answering."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from keyback.client.models import FieldError, PasswordViolation, SecondStepNeeded

Json = dict[str, Any]


class Problem(Exception):
    """The API said no.

    Args:
        status: of HTTP.
        code: stable, such as `password_refused`; the manual lists them.
        title: for people, in the language that was asked for.
        retry_after: seconds to wait; 0 where it says nothing.
    """

    def __init__(self, status: int, code: str, title: str, said: Json | None = None, retry_after: int = 0) -> None:
        super().__init__(f"{status} {code}: {title}")
        said = said or {}
        self.status, self.code, self.title, self.retry_after = status, code, title, retry_after
        self.detail: str = said.get("detail") or ""
        self.field: str = said.get("field") or ""
        self.state: str = said.get("state") or ""
        self.tries_left: int | None = said.get("tries_left")
        self.violations = tuple(PasswordViolation.model_validate(v) for v in said.get("violations") or ())
        self.errors = tuple(FieldError.model_validate(e) for e in said.get("errors") or ())
        needed = said.get("second_step")
        self.second_step = SecondStepNeeded.model_validate(needed) if needed else None


class NoAnswer(Exception):
    """Nobody knows what became of it: no connection, no answer in time, or one that is none of Keyback's. What takes an
    idempotency key can be sent again with the same one."""


def problem_of(status: int, said: object, retry_after: str) -> Problem | None:
    """The problem in an answer; None where the answer is not one of Keyback's."""
    if not isinstance(said, dict) or not isinstance(said.get("code"), str) or not isinstance(said.get("title"), str):
        return None
    wait = int(retry_after) if retry_after.isascii() and retry_after.isdigit() else 0
    try:
        return Problem(status, said["code"], said["title"], said, wait)
    except ValidationError:
        return Problem(status, said["code"], said["title"], None, wait)
