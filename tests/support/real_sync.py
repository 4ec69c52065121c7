"""A sync from a real system: who is renamed stays who they are, who left is switched off, and again changes nothing."""

from __future__ import annotations

from collections.abc import Callable

from keyback.application.people.sync import sync_people
from keyback.application.people.sync_batch import SyncRules
from keyback.application.people.sync_report import SyncReport
from keyback.application.ports.connectors import Connector
from keyback.application.ports.storage import Match
from tests.support.kit import Kit
from tests.support.steps import drain, fit

PEOPLE = ("sync.maya", "sync.omar", "sync.li")
RENAMED = "sync.maya.lee"


def follows(kit: Kit, connector: Connector, rename: Callable[[], object], leave: Callable[[], object]) -> None:
    """A Keyback follows the system that has `PEOPLE`.

    Args:
        rename: makes `sync.maya` `RENAMED` there.
        leave: takes access from `sync.omar` there.
    """
    fit(kit)

    def sync(owner: str) -> SyncReport:
        report: SyncReport = kit.run(sync_people(kit.services.db, connector, owner, SyncRules()))
        drain(kit)
        return report

    def one(name: str) -> Match:
        (found,) = kit.read(lambda tx: tx.people.match([name]))[name]
        return found

    first = sync("first")
    assert first.added >= len(PEOPLE)
    assert [one(name).person.state for name in PEOPLE] == ["active"] * 3
    assert one("sync.li").contacts[0].address == "sync.li@example.com"
    maya = one("sync.maya").person.id
    second = sync("second")
    assert (second.added, second.changed, second.off, second.same) == (0, 0, 0, first.added)
    rename()
    leave()
    third = sync("third")
    assert (third.added, third.changed, third.off) == (0, 1, 1)
    assert (one(RENAMED).person.id, kit.read(lambda tx: tx.people.match(["sync.maya"]))) == (maya, {})
    assert one("sync.omar").person.state == "disabled"
    fourth = sync("fourth")
    assert (fourth.added, fourth.changed, fourth.off) == (0, 0, 0)
    kit.run(connector.close())
