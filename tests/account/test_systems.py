"""What each system says of an account, in the security center: named when silent, ended if it is not theirs."""

from __future__ import annotations

import asyncio
import html
import re
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from keyback.application.account import systems
from keyback.application.asking import ask_each
from keyback.application.ports.connectors import Activity, Capabilities, FoundAccount, Grant, Means, Outcome, SignIn
from keyback.application.ports.connectors import Step as S
from keyback.application.ports.storage import ImportedAccount, Tx
from keyback.connectors.base import ConnectorBase
from keyback.connectors.salesforce import SalesforceConnector, SalesforceOptions
from keyback.demo.vendors import Salesforce, serve
from keyback.demo.vendors.accounts import Account as VendorAccount
from keyback.demo.vendors.accounts import Grant as VendorGrant
from keyback.demo.vendors.accounts import hashed
from keyback.demo.vendors.salesforce.seed import INTEGRATION, register
from keyback.domain.people.person import Account
from keyback.domain.secret import Secret
from keyback.testing.mailbox import Mailbox
from tests.support.centre import PASSWORD, Centre, later
from tests.support.kit import person
from tests.support.live import live

CANARY = f"canary-{secrets.token_hex(6)}"
CAN = Capabilities(lookup=Means.NATIVE, activity=Means.NATIVE, revoke_grants=Means.NATIVE)


class Odd(ConnectorBase):
    """A system that answers as it is told to."""

    capabilities = CAN

    def __init__(self, name: str, how: Any) -> None:
        self.name, self.title, self._how = name, name.title(), how
        self.asked = 0

    async def _answer(self, good: Any) -> Any:
        self.asked += 1
        if self._how == "hangs":
            await asyncio.Event().wait()
        if isinstance(self._how, Exception):
            raise self._how
        return good

    async def find(self, identifier: str) -> Any:
        return await self._answer([FoundAccount("1", "renamed", password_changed_at=1_790_000_000_000)])

    async def activity(self, external_id: str) -> Any:
        grants = (Grant("g1", "Mail merge", 1_790_000_000_000),)
        return await self._answer(Activity((SignIn(1_790_000_000_000, True, "203.0.113.9"),), grants))

    async def revoke_grants(self, external_id: str, grants: Any = None) -> Outcome:
        return await self._answer(Outcome(S.GRANTS, "done"))  # type: ignore[no-any-return]


def account(system: str) -> Account:
    return Account(f"a-{system}", "p1", system, "1", "maya")


@pytest.mark.covers("N11", "INV-I12")
def test_what_one_system_does_harms_no_other_and_costs_no_more_than_the_slowest() -> None:
    odd = {
        "good": Odd("good", "answers"),
        "hangs": Odd("hangs", "hangs"),
        "hangs too": Odd("hangs too", "hangs"),
        "garbage": Odd("garbage", ValueError(CANARY)),
    }

    async def ask() -> Any:
        async with asyncio.timeout(30):  # each alone would wait forever
            names = [*map(account, odd), account("gone")]
            return await ask_each(odd, names, lambda c, a: c.find(a.username), patience_s=0.05)

    found = asyncio.run(ask())
    assert [x.silence for x in found] == ["", "slow", "slow", "broken", "unknown"]
    assert found[0].value[0].username == "renamed"


@dataclass
class Cloud:
    """A Keyback with a CRM in the manner of Salesforce beside it, and maya signed in."""

    centre: Centre
    fake: Salesforce
    theirs: VendorAccount

    @property
    def account(self) -> Account:
        def find(tx: Tx) -> Account:
            mine = tx.people.account_by_username("salesforce", self.theirs.username)
            assert mine
            return mine[0]

        return self.centre.at.read(find)  # type: ignore[no-any-return]


@pytest.fixture
def cloud(sqlite_url: str, tmp_path: Path) -> Iterator[Cloud]:
    fake = Salesforce()
    app = register(fake)
    theirs = VendorAccount(
        "005000000000001AAA", "maya@qingyu.example.com", "maya@example.com", "Maya", hashed(PASSWORD)
    )
    theirs.changed_at = fake.clock() - 200 * 86_400_000
    theirs.grants.append(VendorGrant("0CQ000000000001AAA", "Mail merge", fake.clock(), f"delete-{CANARY}"))
    fake.accounts.add([theirs, VendorAccount("005000000000900AAA", INTEGRATION, None, "Keyback", hashed(CANARY))])
    assert fake.sign_in(theirs.username, PASSWORD) == "ok"
    with serve(fake) as address, Mailbox() as mailbox, live(sqlite_url, tmp_path, mail_port=mailbox.port) as at:
        options = {"url": address, "client_id": app.key, "secret": app.secret, "timeout_s": 20}
        made = SalesforceConnector("salesforce", "Harbour CRM", SalesforceOptions.model_validate(options))
        at.services.connectors["salesforce"] = made  # type: ignore[index]
        at.services.titles["salesforce"] = "Harbour CRM"  # type: ignore[index]
        phc = at.run(at.services.gate.hash(Secret(PASSWORD)))

        def seed(tx: Tx) -> None:
            own = ImportedAccount("builtin", "maya", "maya")
            crm = ImportedAccount("salesforce", theirs.id, theirs.username)
            tx.people.save_imported([replace(person("maya"), accounts=(own, crm))])
            hit = tx.people.account_by_username("builtin", "maya")
            assert hit
            tx.people.set_credential(hit[0].id, phc, "seed")

        at.run(at.services.db.write(seed))
        with at.client() as browser:
            centre = Centre(at, mailbox, browser)
            centre.sign_in()
            yield Cloud(centre, fake, theirs)
            for client in centre.made:
                client.close()


@pytest.mark.slow
@pytest.mark.covers("N-R12", "E7", "F1")
def test_an_app_that_is_not_theirs_is_ended_in_the_system_and_everybody_is_told(cloud: Cloud) -> None:
    centre = cloud.centre
    page = html.unescape(centre.get("/account/systems").text)
    assert "Harbour CRM" in page
    assert "Mail merge" in page
    assert "Password changed" in page or "Password expired" in page
    assert CANARY not in page
    other = centre.another()
    centre.sign_in(client=other)
    ask = re.search(r'href="(/account/systems/end\?account=[^"]+grant=0CQ[^"]+)"', page)
    assert ask
    later(centre, 11)
    assert centre.get(ask[1]).headers["location"] == "/account/confirm?next=/account/systems", "asks who it is first"
    centre.post("/account/confirm", password=PASSWORD, next="/account/systems")
    asked = html.unescape(centre.get(ask[1]).text)
    assert "Nothing has happened yet" in asked
    assert cloud.theirs.grants, "and nothing has"
    done = centre.post("/account/systems/end", account=cloud.account.id, grant="0CQ000000000001AAA")
    assert done.headers["location"] == "/account/systems?done=done"
    assert cloud.theirs.grants == []
    assert cloud.theirs.sessions == []
    shown = html.unescape(centre.get("/account/systems?done=done").text)
    assert "Mail merge" not in shown
    assert 'href="/account/lock"' in shown
    assert other.get("/account").headers["location"] == "/sign-in", "other sessions are over"
    told = centre.mails("maya@example.com", 1)[-1]
    assert "Harbour CRM, Mail merge" in told["text"]
    assert "/l/" in told["text"], "by a link that locks the account"
    kinds = [h.type for h in centre.at.read(lambda tx: tx.audit.of_person(centre.who().id, 2**62, 50))]
    assert kinds.index("access_ended") < kinds.index("access_disowned"), "what is asked for is noted first"


@pytest.mark.covers("E7")
def test_the_systems_sign_ins_stand_in_the_list_of_what_happened_and_in_after_care(cloud: Cloud) -> None:
    centre = cloud.centre
    assert cloud.fake.sign_in(cloud.theirs.username, "wrong") != "ok"
    feed = html.unescape(centre.get("/account/activity").text)
    assert "Signed in to the system" in feed
    assert "Sign-in to the system failed" in feed
    assert feed.count("Harbour CRM") == 2
    after = html.unescape(centre.get("/account/after").text)
    assert "And these, in your other systems?" in after
    assert "Mail merge" in after
    centre.post("/account/after", step="systems")
    assert "All of them are mine" not in centre.get("/account/after").text


@pytest.mark.covers("N11")
def test_a_system_that_hangs_or_answers_garbage_is_named_and_the_rest_is_shown(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    centre = cloud.centre
    monkeypatch.setattr("keyback.application.asking.ask_each.__defaults__", (0.5,))
    at: Any = centre.at
    for name, how in (("hang", "hangs"), ("junk", KeyError(CANARY))):
        at.services.connectors[name] = Odd(name, how)
        at.services.titles[name] = name.title()

    who = centre.who().id

    def add(tx: Tx) -> None:
        mine = tx.people.accounts([who])[who]
        had = tuple(ImportedAccount(a.system, a.external_id, a.username) for a in mine)
        also = (ImportedAccount("hang", "1", "maya"), ImportedAccount("junk", "1", "maya"))
        tx.people.save_imported([replace(person("maya"), accounts=(*had, *also))])

    at.run(at.services.db.write(add))
    page = html.unescape(centre.get("/account/systems").text)
    assert "It didn’t answer in time" in page
    assert "It gave an answer that we can’t use" in page
    assert "Mail merge" in page
    assert CANARY not in page
    asked = at.services.connectors["junk"].asked
    centre.get("/account/systems")
    assert at.services.connectors["junk"].asked > asked, "what was silent is asked again"


@pytest.mark.covers("A-8.2.2")
def test_nobody_ends_anything_in_an_account_of_somebody_else(cloud: Cloud) -> None:
    centre = cloud.centre
    phc = centre.at.run(centre.at.services.gate.hash(Secret(PASSWORD)))

    def seed(tx: Tx) -> None:
        tx.people.save_imported([person("omar")])
        tx.people.set_credential(tx.people.account_by_username("builtin", "omar")[0].id, phc, "seed")  # type: ignore[index]

    centre.at.run(centre.at.services.db.write(seed))
    other = centre.another()
    centre.sign_in("omar", client=other)
    got = other.post("/account/systems/end", data={"account": cloud.account.id, "grant": systems.ALL})
    assert got.headers["location"] == "/account/systems"
    assert cloud.theirs.grants
