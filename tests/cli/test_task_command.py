"""`keyback task`: what administrators see of a task, and how they close it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from keyback.application.tasks import lifecycle as tasks
from tests.support.guided import recovered, task_of
from tests.support.kit import Kit

Make = Callable[..., Kit]


@pytest.fixture
def at_kit(place: Any, make_kit: Make, sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> tuple[Kit, Any]:
    """A recovery with a task, and the environment of commands on the same database."""
    kit, _, _, task = recovered(make_kit)
    keyring = kit.settings.keyring
    assert keyring is not None
    monkeypatch.setenv("KEYBACK_KEYRING", keyring.get_secret_value())
    return kit, task


def test_a_task_is_listed_shown_and_done(at_kit: tuple[Kit, Any], keyback: Any) -> None:
    kit, task = at_kit
    listed = keyback("task", "list").output
    assert task.id in listed
    assert "Maya" in listed
    shown = keyback("task", "show", task.id).output
    assert "email_link" in shown
    assert "in person or by phone" in shown
    (fields,) = json.loads(keyback("task", "list", "--json").output)
    assert (fields["username"], fields["verified"][0]["method"], fields["state"]) == ("maya", "email_link", "open")
    keyback("task", "done", task.id, code=2, text="")
    keyback("task", "done", task.id, "--yes", "--note", "by hand")
    assert (task_of(kit, task).state, task_of(kit, task).note) == ("done", "by hand")
    again = keyback("task", "done", task.id, "--yes", code=1).output
    assert "This task is done" in again
    assert keyback("task", "list").output == "None.\n"
    assert task.id in keyback("task", "list", "--state", "all").output


def test_a_declined_task_keeps_its_reason(at_kit: tuple[Kit, Any], keyback: Any) -> None:
    kit, task = at_kit
    keyback("task", "decline", task.id, "--yes", code=2)
    keyback("task", "decline", task.id, "--reason", "Left in May", "--yes")
    assert kit.read(lambda tx: tasks.found(tx, task.id)).task.note == "Left in May"
    assert "No task has this ID" in keyback("task", "show", "x" * 22, code=1).output
