"""The daily digest of security officers: once for a day, over any number of nodes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from keyback.application.desk import actions, digest
from keyback.channels.mail.kinds import DIGEST
from keyback.domain.operators.roles import Role
from tests.support.console import URL, staffed
from tests.support.enrolled import person_id
from tests.support.kit import Kit
from tests.support.races import all_at_once
from tests.support.steps import drain, types

Make = Callable[..., Kit]


def test_every_act_that_is_counted_has_words() -> None:
    assert set(digest.COUNTED) == set(DIGEST)


@pytest.mark.both
@pytest.mark.covers("F10", "I15")
def test_a_day_has_one_digest_however_many_workers_run(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url, public_url=URL)
    staff = staffed(kit)
    staff.actor(Role.SECURITY_OFFICER)
    agent, omar = staff.actor(Role.AGENT), person_id(kit, "omar")
    for _ in range(2):
        kit.write(lambda tx: actions.ask(tx, agent, omar, "end_sessions", "HD-1", kit.services.policy))
    assert kit.write(digest.tell) == 0, "the day is not over"
    kit.clock.forward(hours=24)
    assert all_at_once(kit, [digest.tell] * 20) == {"done": 20}
    drain(kit)
    (mail,) = [m for m in staff.tray.messages if m.kind == "desk" and m.content.what == "digest"]  # type: ignore[attr-defined]
    assert mail.to == "security_officer@example.com"
    assert dict(mail.content.counts) == {"act_end_sessions": "2", "operator_added": "2"}  # type: ignore[attr-defined]
    assert types(kit).count("digest_sent") == 1
    kit.clock.forward(hours=24)
    assert kit.write(digest.tell) == 0, "nothing was done since"
