"""Crème CRM, which tests start in an environment of its own."""

from __future__ import annotations

from pathlib import Path

from keyback.testing.environments import environment
from tests.support.house import ROOT


def programs() -> Path:
    """What `start_creme` takes."""
    return environment(ROOT / "requirements" / "creme.txt")
