"""The forgotten user names: as the systems know them now, and as they are on record where one is silent."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from keyback.application.people import logins
from keyback.application.ports.connectors import Capabilities, FoundAccount, Means, Unavailable
from keyback.application.ports.storage import ImportedAccount
from keyback.application.recovery import resolve
from keyback.connectors.base import ConnectorBase
from tests.support.kit import Kit, person
from tests.support.steps import Tray, ask, drain, fit

Make = Callable[..., Kit]


class Crm(ConnectorBase):
    """A system with these accounts; or one that hangs, is away or breaks."""

    capabilities = Capabilities(lookup=Means.NATIVE)

    def __init__(self, name: str, *accounts: FoundAccount, how: Any = None) -> None:
        self.name = self.title = name
        self._accounts, self._how = accounts, how

    async def find(self, identifier: str) -> Sequence[FoundAccount]:
        if self._how == "hangs":
            await asyncio.Event().wait()
        if isinstance(self._how, Exception):
            raise self._how
        return [a for a in self._accounts if identifier in (a.username, a.mail)]


def with_systems(make_kit: Make, *crms: Crm, url: str | None = None) -> tuple[Kit, Tray]:
    kit = make_kit(url=url)
    mine = [ImportedAccount("builtin", "maya", "maya")]
    mine += [ImportedAccount(c.name, f"{c.name}-1", f"old.{c.name}") for c in crms if c.name != "never"]
    tray = fit(kit, replace(person("maya"), accounts=tuple(mine)))
    found = {**kit.services.connectors, **{c.name: c for c in crms}}
    titles = {"builtin": "Keyback", **{c.name: c.title for c in crms}}
    kit.services = replace(kit.services, connectors=found, titles=titles)
    return kit, tray


def told(kit: Kit, tray: Tray) -> Any:
    drain(kit)
    (mail,) = tray.to("maya@example.com", "logins")
    return mail.content


@pytest.mark.covers("N11", "INV-I12")
def test_every_system_says_what_it_calls_the_person_now(
    make_kit: Make, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logins, "PATIENCE_S", 0.2)
    mail = "maya@example.com"
    kit, tray = with_systems(
        make_kit,
        Crm("renamed", FoundAccount("renamed-1", "maya.okafor", mail)),
        Crm("never", FoundAccount("77", "m.okafor", mail), FoundAccount("78", "other", "else@example.com")),
        Crm("left", FoundAccount("left-1", "old.left", mail, state="disabled")),
        Crm("hangs", how="hangs"),
        Crm("away", how=Unavailable("unavailable")),
        Crm("junk", how=ValueError("canary")),
        url=database_url,
    )
    ask(kit, mail, journey="username")
    content = told(kit, tray)
    assert content.logins == (
        ("Keyback", "maya"),
        ("renamed", "maya.okafor"),
        ("never", "m.okafor"),
        ("hangs", "old.hangs"),
        ("away", "old.away"),
        ("junk", "old.junk"),
    )
    assert {s for s, _ in content.unasked} == {"hangs", "away", "junk"}, "and the mail says so"
    assert kit.read(lambda tx: tx.outbox.depth()) == {}


@pytest.mark.covers("A1")
def test_nobody_is_told_of_accounts_with_another_mailbox(make_kit: Make) -> None:
    kit, tray = with_systems(make_kit, Crm("never", FoundAccount("9", "maya@example.com", "somebody@example.net")))
    ask(kit, "maya@example.com", journey="username")
    assert told(kit, tray).logins == (("Keyback", "maya"),)


def test_who_asks_for_one_system_hears_of_that_alone(make_kit: Make) -> None:
    mail = "maya@example.com"
    kit, tray = with_systems(
        make_kit, Crm("one", FoundAccount("one-1", "m.one", mail)), Crm("two", FoundAccount("two-1", "m.two", mail))
    )
    ask(kit, mail, journey="username", system="two")
    assert told(kit, tray).logins == (("two", "m.two"),)


@pytest.mark.covers("Q1", "Q2")
def test_a_crash_while_the_systems_are_asked_costs_no_mail_and_sends_one(make_kit: Make) -> None:
    kit, tray = with_systems(make_kit, Crm("one", FoundAccount("one-1", "m.one", "maya@example.com")))
    ask(kit, "maya@example.com", journey="username")
    kit.write(resolve.resolve)
    for _ in range(logins.MAX_ATTEMPTS):  # dies each time with the question in its hands
        assert kit.write(lambda tx: tx.outbox.claim(logins.KIND, 8, logins.LEASE))
        kit.clock.forward(seconds=31)
    content = told(kit, tray)
    assert content.logins == (("Keyback", "maya"), ("one", "old.one")), "then what is on record goes out"
