"""What a stranger who only knows a user name can do to its owner's recovery: neither end it nor gain from it (ADR 18)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from keyback.application.store import Imported, ImportedAccount
from keyback.domain import case as dc
from tests.attacks.steps import accept, begin, case_of, fit
from tests.conftest import Kit, person

Make = Callable[..., Kit]


@pytest.mark.covers("C20", "INV-I9")
def test_a_case_that_a_stranger_keeps_open_knows_what_the_person_has_now(make_kit: Make) -> None:
    kit = make_kit()
    one = ImportedAccount("builtin", "maya", "maya")
    maya = Imported("maya", "Maya", "en", "standard", "active", ("maya@example.com",), (one,))
    tray = fit(kit, maya)
    begin(kit, tray)  # a stranger's, and never answered
    kit.clock.forward(hours=20)
    now = replace(maya, accounts=(one, ImportedAccount("builtin", "admin", "maya-admin", privileged=True)))
    kit.write(lambda tx: tx.people.save_imported([now]))
    handle, link, _, _ = begin(kit, tray)
    assert accept(kit, link) is None
    case = case_of(kit, handle)
    assert case is not None
    assert (case.tier, len(case.accounts)) == ("privileged", 2)


@pytest.mark.covers("INV-I9", "INV-I10")
def test_nobody_keeps_a_case_open_for_ever(make_kit: Make) -> None:
    kit = make_kit()
    tray = fit(kit, person("maya"))
    opened = set()
    for _ in range(6):  # one every twenty hours
        begin(kit, tray)
        opened |= {c.id for c in kit.read(lambda tx: tx.cases.listed(state=None, limit=9))}
        kit.clock.forward(hours=20)
    assert len(opened) == 2
    spans = [(c.expires_at - c.opened_at) for c in kit.read(lambda tx: tx.cases.listed(state=None, limit=9))]
    assert max(spans) == dc.MOST_LIFE
