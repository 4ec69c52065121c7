"""A campaign whose worker is killed in the middle, again and again: nobody is left out, nobody gets two messages."""

from __future__ import annotations

import base64
import json
import signal
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from keyback.application.campaigns import lifecycle, run
from keyback.application.campaigns.lifecycle import Draft
from keyback.domain.operators.campaigns import Selection
from keyback.domain.operators.roles import Operator, Role
from keyback.testing.mailbox import Mailbox
from tests.support.console import URL
from tests.support.kit import Kit, person
from tests.support.steps import drain

Make = Callable[..., Kit]
WORKER = Path(__file__).parents[1] / "delivery" / "crash.py"
PEOPLE, AT_ONCE = 160, 40
OFFICER = Operator("o" * 22, "Noor", "noor@example.com", Role.SECURITY_OFFICER, "active")
KILLED_AT = (15, 90)  # messages that had come by then


def killed(kit: Kit, keyring: Any, mailbox: Mailbox, after: int) -> None:
    """Runs a worker in a process of its own and kills it once so many messages came."""
    line = "\n".join(f"{k}:{base64.urlsafe_b64encode(keyring._keys[k]).decode()}" for k in keyring.ids)
    plan = {
        "point": "never",
        "ask": AT_ONCE,
        "url": kit.settings.database_url,
        "port": mailbox.port,
        "data_dir": str(kit.settings.data_dir),
        "keyring": line,
        "now": kit.clock.now,
    }
    with subprocess.Popen([sys.executable, str(WORKER)], stdin=subprocess.PIPE, text=True) as worker:
        assert worker.stdin
        worker.stdin.write(json.dumps(plan))
        worker.stdin.close()
        until = time.monotonic() + 60
        while len(mailbox.messages()) < after and time.monotonic() < until and worker.poll() is None:
            time.sleep(0.005)
        worker.send_signal(signal.SIGKILL)
        assert worker.wait() == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.both
@pytest.mark.covers("Q1", "Q2", "Q10")
def test_a_worker_that_is_killed_leaves_nobody_out_and_writes_to_nobody_twice(
    make_kit: Make, keyring: Any, database_url: str
) -> None:
    with Mailbox() as mailbox:
        kit = make_kit(url=database_url, public_url=URL, mail={"port": mailbox.port})
        kit.write(lambda tx: tx.people.save_imported([person(f"q{n:03}") for n in range(PEOPLE)]))
        made = kit.write(lambda tx: lifecycle.draft(tx, None, Draft("All", "leak", Selection()), ("builtin",)))
        while kit.write(run.collect):
            pass
        version = kit.read(lambda tx: lifecycle.view(tx, made.id)).campaign.version
        kit.write(lambda tx: lifecycle.act(tx, OFFICER, made.id, "approve", version))

        def tally() -> Any:
            return kit.read(lambda tx: lifecycle.view(tx, made.id))

        halfway = []
        for n in KILLED_AT:
            killed(kit, keyring, mailbox, n)
            halfway.append(tally().tally.of("sent"))
            kit.clock.forward(minutes=3)  # what the dead had leased is free again
        assert halfway[0] < PEOPLE, "it was killed before the end"
        drain(kit)  # a worker that nobody kills
        by_person: dict[str, set[str]] = defaultdict(set)
        for m in mailbox.messages():
            by_person[m["to"]].add(m["message_id"])
        assert len(by_person) == PEOPLE, "nobody is left out"
        assert {len(ids) for ids in by_person.values()} == {1}, "one message each; a repeat is the same message"
        done = tally()
        assert (done.campaign.state, done.tally.of("sent"), done.tally.of()) == ("done", PEOPLE, PEOPLE)
