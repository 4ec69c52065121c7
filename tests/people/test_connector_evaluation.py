"""`keyback evaluate connector`: a draft beside the connector in use, on a real SCIM server, changing nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from keyback.application.people.connector_evaluation import GIVE_UP, Comparison, compare
from keyback.application.ports.connectors import Capabilities, FoundAccount, Means, Unavailable
from keyback.application.ports.storage import ImportedAccount
from keyback.connectors.base import ConnectorBase
from keyback.testing.scim_server import ScimServer, start_scim
from tests.support.commands import Keyback, on_services
from tests.support.kit import Kit, person

Make = Callable[..., Kit]


class Looked(ConnectorBase):
    """Finds what a test says; counts who was asked for."""

    name, title = "crm", "CRM"
    capabilities = Capabilities(lookup=Means.NATIVE)

    def __init__(self, **accounts: FoundAccount | Sequence[FoundAccount]) -> None:
        self.accounts = accounts
        self.asked: list[str] = []
        self.away = False

    async def find(self, identifier: str) -> Sequence[FoundAccount]:
        self.asked.append(identifier)
        if self.away:
            raise Unavailable("unavailable", "gone")
        found = self.accounts.get(identifier, ())
        return (found,) if isinstance(found, FoundAccount) else found


def here(name: str, **over: Any) -> FoundAccount:
    return replace(FoundAccount(f"id-{name}", name, f"{name}@example.com"), **over)


def seed(kit: Kit, *names: str) -> None:
    people = [person(n, system="crm", external_id=f"id-{n}") for n in names]
    kit.write(lambda tx: tx.people.save_imported(people))


def weigh(kit: Kit, in_use: ConnectorBase, draft: ConnectorBase, listed: int = 50) -> Comparison:
    return kit.run(compare(kit.services.db, in_use, draft, pause_s=0, listed=listed))


@pytest.mark.both
def test_each_account_is_asked_about_once_by_both_and_differences_are_named(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url)
    names = ["bob", "eve", "ida", "liu", "maya", "noor", "zoe"]
    seed(kit, *names)
    in_use = Looked(**{n: here(n) for n in names})
    draft = Looked(
        bob=here("bob", external_id="another", mail="BOB@EXAMPLE.com"),
        eve=here("eve", privileged=True, state="disabled"),
        liu=(here("liu"), here("liu", external_id="2")),
        maya=here("maya"),
        noor=here("noor", mail="someone@example.com"),
        zoe=here("zoe", sso_only=True),
    )
    draft.capabilities = Capabilities(lookup=Means.NATIVE, set_password=Means.COMPOSED)
    before = kit.read(lambda tx: tx.audit.head())
    found = weigh(kit, in_use, draft)
    assert sorted(in_use.asked) == sorted(draft.asked) == names
    assert found.capabilities == {"set_password": ("none", "composed")}
    assert (found.asked, found.same, found.unavailable, found.given_up) == (7, 2, 0, False)
    assert {d.username: list(zip(d.fields, d.now, d.then, strict=True)) for d in found.differing} == {
        "eve": [("state", "active", "disabled"), ("privileged", "no", "yes")],
        "ida": [("seen", "one", "none")],
        "liu": [("seen", "one", "several")],
        "noor": [("mail", "noor@example.com", "someone@example.com")],
        "zoe": [("sso_only", "no", "yes")],
    }
    assert found.fields == {"state": 1, "privileged": 1, "seen": 2, "mail": 1, "sso_only": 1}
    assert weigh(kit, in_use, draft, listed=1).differing == found.differing[:1]
    assert kit.read(lambda tx: tx.audit.head()) == before


def test_one_that_cannot_look_up_is_compared_by_what_keyback_has_noted(make_kit: Make) -> None:
    kit = make_kit()
    seed(kit, "bob", "eve")
    guided = Looked()
    guided.capabilities = Capabilities()
    found = weigh(kit, guided, Looked(bob=here("bob"), eve=here("eve", privileged=True)))
    assert guided.asked == []
    assert [(d.username, d.fields) for d in found.differing] == [("eve", ("privileged",))]


def test_a_draft_that_is_away_is_asked_no_more(make_kit: Make) -> None:
    kit = make_kit()
    seed(kit, *[f"p{n:03}" for n in range(60)])
    draft = Looked()
    draft.away = True
    found = weigh(kit, Looked(), draft)
    assert found.given_up
    assert found.asked == found.unavailable == len(draft.asked) == GIVE_UP
    in_use = Looked()
    in_use.away = True
    found = weigh(kit, in_use, Looked())
    assert (found.asked, found.unavailable, found.given_up) == (60, 60, False)


# ── the command, on a real server ───────────────────────────────────────────


@pytest.fixture
def scim() -> Iterator[ScimServer]:
    server = start_scim()
    yield server
    server.stop()


def test_a_guided_system_beside_a_connector_to_be(place: Path, keyback: Keyback, scim: ScimServer) -> None:
    """The way it is used: today people are led through the vendor's page, tomorrow SCIM is to do it."""
    config = place / "keyback.toml"
    config.write_text(
        '[systems.crm]\nkind = "guided"\ntitle = "CRM"\nurl = "https://crm.example.com"\n'
        '[systems.crm.steps]\nen = ["Reset it there"]\nzh_CN = ["在那里重置"]\n'
    )
    section = "\n".join(f"{k} = {json.dumps(v)}" for k, v in scim.section().items())
    draft = place / "draft.toml"
    draft.write_text(f'[systems.crm]\nkind = "scim"\ntitle = "CRM"\n{section}\n')
    ids = {n: scim.add_user(n, f"{n}@example.com", "a password", privileged=n == "eve") for n in ("bob", "eve")}

    async def work(s: Any) -> None:
        accounts = [("bob", ids["bob"]), ("eve", ids["eve"]), ("ida", "id-ida")]
        people = [replace(person(n), accounts=(ImportedAccount("crm", key, n),)) for n, key in accounts]
        await s.db.write(lambda tx: tx.people.save_imported(people))

    on_services(work)
    said = keyback("evaluate", "connector", "crm", str(draft), "--pause", "0").stdout
    assert "3 accounts were looked up; 1 are the same to both, 0 could not be looked up." in said
    assert "set_password: guided now, native with the draft" in said
    assert "Eve" in said
    assert "privileged: no now, yes with the draft" in said
    assert "seen: one now, none with the draft" in said
    assert {u.user_name: u.password for u in scim.storage.resources} == {"bob": "a password", "eve": "a password"}
    told = json.loads(keyback("evaluate", "connector", "crm", str(draft), "--pause", "0", "--json").stdout)
    assert (told["asked"], told["same"], len(told["differing"])) == (3, 1, 2)
    assert "systems.other is not in" in keyback("evaluate", "connector", "other", str(draft), code=1).stderr
