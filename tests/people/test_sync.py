"""People from a system: matched by the ID that never changes, and by nothing that people can type (ADR 41)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from keyback.application.audit_log import log_of
from keyback.application.people import address_changes, links
from keyback.application.people.scheduled_sync import Ended, Schedule, sync_next
from keyback.application.people.sync import BadListing, sync_people
from keyback.application.people.sync_batch import SyncRules
from keyback.application.people.sync_report import SyncReport
from keyback.application.ports.connectors import FoundAccount, Unavailable
from keyback.application.ports.storage import Imported, ImportedAccount, Match
from keyback.application.ports.syncs import SyncBusy
from keyback.domain.units import HOUR
from keyback.storage.health import backlog
from keyback.worker import Worker
from tests.support.kit import Kit
from tests.support.listing import Listing, account
from tests.support.steps import drain, fit

Make = Callable[..., Kit]
pytestmark = pytest.mark.both


class Company:
    """A Keyback and a system that it syncs from."""

    def __init__(self, kit: Kit) -> None:
        self.kit, self.crm, self.tray = kit, Listing(), fit(kit)
        self.runs = 0

    def sync(self, *pages: Sequence[FoundAccount], rules: SyncRules | None = None, **over: Any) -> SyncReport:
        self.crm.pages = list(pages) or self.crm.pages
        self.runs += 1
        work = sync_people(self.kit.services.db, self.crm, f"run-{self.runs}", rules or SyncRules(), **over)
        report: SyncReport = self.kit.run(work)
        drain(self.kit)
        return report

    def one(self, who: str) -> Match:
        return self.found(who)[0]

    def found(self, who: str) -> Sequence[Match]:
        out: Sequence[Match] = self.kit.read(lambda tx: tx.people.match([who])).get(who, ())
        return out

    def states(self) -> dict[str, str]:
        accounts = self.kit.read(lambda tx: tx.syncs.live_accounts("crm", "", 1000))
        return {a.external_id: a.username for a in accounts}

    def mails(self) -> dict[str, str]:
        people = {
            a.external_id: self.one(a.username)
            for a in self.kit.read(lambda tx: tx.syncs.live_accounts("crm", "", 1000))
        }
        return {i: m.contacts[0].address for i, m in people.items()}

    def told(self) -> list[tuple[str, str]]:
        return sorted((x.to, str(getattr(x.content, "what", ""))) for x in self.tray.messages)

    def types(self, stream: str = "import") -> list[str]:
        return [n["type"] for n in self.kit.read(lambda tx: list(log_of(tx).of_stream(stream)))]

    def add(self, key: str, name: str, mail: str, *accounts: ImportedAccount, **over: Any) -> None:
        person = Imported(key, name, "en", "standard", "active", (mail,), accounts)
        self.kit.write(lambda tx: tx.people.save_imported([replace(person, **over)]))


@pytest.fixture
def company(make_kit: Make, database_url: str) -> Company:
    return Company(make_kit(url=database_url))


def numbers(r: SyncReport) -> tuple[int, int, int, int]:
    return r.added, r.changed, r.same, r.off


def test_people_come_once_and_a_second_run_changes_nothing(company: Company) -> None:
    page = [account(n) for n in range(5)]
    assert numbers(company.sync(page, dry_run=True)) == (5, 0, 0, 0)
    assert company.states() == {}, "a dry run changes nothing"
    assert company.types() == []
    assert numbers(company.sync(page[:3], page[3:])) == (5, 0, 0, 0)
    maya = company.one("user1")
    assert (maya.person.name, maya.contacts[0].address, maya.accounts[0].external_id) == (
        "Person 1", "user1@example.com", "id-1",
    )  # fmt: skip
    assert numbers(company.sync(page)) == (0, 0, 5, 0)
    assert company.told() == []
    assert company.types() == ["people_sync_started", "people_synced"] * 2


def test_who_is_renamed_stays_who_they_are(company: Company) -> None:
    company.sync([account(1), account(2)])
    before = company.one("user1").person.id
    assert company.sync([account(1, username="married"), account(2)]).changed == 1
    assert company.one("married").person.id == before
    assert company.found("user1") == ()


@pytest.mark.parametrize("pages", [1, 2])
def test_two_people_swap_their_names(company: Company, pages: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if pages == 2:
        monkeypatch.setattr("keyback.application.people.sync.BATCH", 1)
    company.sync([account(1), account(2)])
    ids = {n: company.one(f"user{n}").person.id for n in (1, 2)}
    swapped = [account(1, username="user2"), account(2, username="user1")]
    assert numbers(company.sync(swapped, dry_run=True)) == (0, 2, 0, 0)
    assert company.states() == {"id-1": "user1", "id-2": "user2"}
    report = company.sync(swapped)
    assert (numbers(report), report.skipped) == ((0, 2, 0, 0), {})
    assert company.states() == {"id-1": "user2", "id-2": "user1"}
    assert {n: company.one(f"user{n}").person.id for n in (1, 2)} == {1: ids[2], 2: ids[1]}
    assert numbers(company.sync(swapped)) == (0, 0, 2, 0)


@pytest.mark.slow
@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_dry_run_comes_to_what_the_sync_then_comes_to(company: Company, size: int) -> None:
    """User names that wander, and that several accounts claim, in batches of any size."""
    some = random.Random(size)
    taken = 0
    for _ in range(6):
        listed = []
        for n in some.sample(range(9), 8):
            state = some.choice(["active", "active", "active", "disabled"])
            listed.append(account(n, username=f"user{some.randrange(10)}", state=state))
        dry = company.sync(listed, dry_run=True, batch_size=size, any_off=True)
        real = company.sync(listed, batch_size=size, any_off=True)
        assert replace(real, dry_run=True) == dry
        taken += real.skipped.get("taken", 0)
    assert taken > 5


def test_leavers_are_switched_off_and_come_back(company: Company) -> None:
    everybody = [account(n) for n in range(20)]
    company.sync(everybody)
    gone = [*everybody[:18], account(18, state="disabled")]
    assert company.sync(gone, dry_run=True).off == 2
    assert len(company.states()) == 20
    report = company.sync(gone)
    assert (numbers(report), report.held) == ((0, 0, 18, 2), 0)
    assert set(company.states()) == {f"id-{n}" for n in range(18)}
    left = company.one("user19")
    assert (left.person.state, left.accounts[0].state) == ("disabled", "disabled")
    assert company.types(left.person.id) == ["account_off"]
    assert numbers(company.sync(everybody)) == (0, 2, 18, 0)
    assert company.one("user19").person.state == "active"


@pytest.mark.parametrize("left", [0, 10])
def test_an_empty_or_shrunken_list_switches_nobody_off(company: Company, left: int) -> None:
    everybody = [account(n) for n in range(20)]
    company.sync(everybody)
    # What is new does not make what is missing look small.
    short = [*everybody[:left], *(account(f"new{n}") for n in range(500 if left else 0))]
    for dry_run in (True, False):
        report = company.sync(short, dry_run=dry_run)
        assert (report.off, report.held, report.live) == (0, 20 - left, 20)
    assert set(company.states()) >= {f"id-{n}" for n in range(20)}
    assert company.kit.read(lambda tx: tx.syncs.run("crm")).state == "held"
    assert company.sync(short, any_off=True).off == 20 - left


def test_a_list_in_which_nobody_has_access_switches_nobody_off(company: Company) -> None:
    company.sync([account(n) for n in range(20)])
    assert company.sync([account(n, state="disabled") for n in range(20)]).held == 20
    assert len(company.states()) == 20


@pytest.mark.covers("H11", "F1")
def test_a_changed_address_waits_and_the_old_one_is_told(company: Company) -> None:
    company.sync([account(1), account(2)])
    report = company.sync([account(1, mail="evil@example.net"), account(2)])
    assert (report.changed, report.addresses) == (1, 1)
    assert company.told() == [("user1@example.com", "mail_moving")], "the new one may be a stranger's"
    maya = company.one("user1")
    assert [c.address for c in maya.contacts] == ["user1@example.com"]
    assert company.sync().same == 2
    assert company.told() == [("user1@example.com", "mail_moving")], "once"


def test_an_address_that_is_gone_or_no_address_changes_nothing(company: Company) -> None:
    company.sync([account(1), account(2)])
    report = company.sync([account(1, mail=None), account(2, mail="not an address")])
    assert (numbers(report), report.skipped) == ((0, 0, 2, 0), {"bad_mail": 1})
    assert company.mails() == {"id-1": "user1@example.com", "id-2": "user2@example.com"}


# ── whose an account is ─────────────────────────────────────────────────────


def test_nobody_is_matched_by_an_address(company: Company) -> None:
    """Whoever edits their own address in a system gets nobody else's account by it, nor gives theirs to anybody."""
    company.add("7", "Maya", "maya@example.com")
    report = company.sync([account(1, mail="Maya@example.com", name="Maya"), account(2)])
    assert (report.added, report.skipped) == (1, {"doubtful": 1})
    assert company.one("maya@example.com").accounts == ()
    [link] = company.kit.read(lambda tx: tx.syncs.links())
    assert (link.external_id, link.reason, link.person_id) == (
        "id-1",
        "mail",
        company.one("maya@example.com").person.id,
    )
    assert company.sync().skipped == {"doubtful": 1}
    assert [x.id for x in company.kit.read(lambda tx: tx.syncs.links())] == [link.id], "the same one"


def test_an_operator_accepts_a_link_and_the_person_is_told(company: Company) -> None:
    company.add("7", "Maya", "maya@example.com")
    company.sync([account(1, mail="maya@example.com")])
    [link] = company.kit.read(lambda tx: tx.syncs.links())
    company.kit.write(lambda tx: links.accept(tx, link.id, "", "Qingyu CRM", "asked her"))
    drain(company.kit)
    maya = company.one("maya@example.com")
    assert [(a.system, a.external_id, a.username) for a in maya.accounts] == [("crm", "id-1", "user1")]
    assert maya.person.name == "Maya", "what another source says of a person stays"
    assert company.told() == [("maya@example.com", "account_linked")]
    assert "account_linked" in company.types(maya.person.id)
    assert numbers(company.sync()) == (0, 0, 1, 0)
    assert company.kit.read(lambda tx: tx.syncs.links()) == []
    company.sync([account(1, mail="evil@example.net", name="Evil")])
    assert company.one("user1").contacts[0].address == "maya@example.com", "nor does the system change the address"


def test_an_operator_rejects_a_link(company: Company) -> None:
    company.add("7", "Maya", "maya@example.com")
    company.sync([account(1, mail="maya@example.com")])
    [link] = company.kit.read(lambda tx: tx.syncs.links())
    company.kit.write(lambda tx: links.reject(tx, link.id, "another Maya"))
    assert numbers(company.sync()) == (1, 0, 0, 0)
    assert len(company.found("maya@example.com")) == 2
    assert company.kit.read(lambda tx: tx.syncs.links("", None)) == []
    assert numbers(company.sync()) == (0, 0, 1, 0)


def test_a_name_that_goes_to_somebody_new_is_looked_at(company: Company) -> None:
    company.sync([account(n) for n in range(20)])
    again = replace(account(0), external_id="id-again")
    report = company.sync([*(account(n) for n in range(1, 20)), again])
    assert (report.skipped, report.off) == ({"doubtful": 1}, 1)
    [link] = company.kit.read(lambda tx: tx.syncs.links())
    assert (link.reason, link.username) == ("username", "user0")
    company.kit.write(lambda tx: links.accept(tx, link.id, "", "Qingyu CRM", "same one"))
    assert company.one("user0").accounts[0].external_id == "id-again"


def test_one_mailbox_of_two_people_in_the_list_is_two_people(company: Company) -> None:
    page = [account(n, mail="desk@example.com") for n in (1, 2)]
    assert numbers(company.sync(page)) == (2, 0, 0, 0)
    assert len(company.found("desk@example.com")) == 2
    assert numbers(company.sync(page)) == (0, 0, 2, 0)


LINK = SyncRules(link_by_mail=True)


def test_the_one_person_with_the_address_is_linked_where_the_company_says_so(company: Company) -> None:
    company.add("7", "Maya Lee", "maya@example.com")
    report = company.sync([account(1, mail="maya@example.com", name="LEE, Maya")], rules=LINK)
    assert (report.linked, report.skipped) == (1, {})
    assert company.one("maya@example.com").accounts[0].external_id == "id-1"
    assert company.told() == [("maya@example.com", "account_linked")]
    assert numbers(company.sync(rules=LINK)) == (0, 0, 1, 0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "why",
    [
        "two people",
        "two accounts",
        "other name",
        "privileged",
        "an administrator",
        "left",
        "has one",
        "moved",
        "moved to and fro",
    ],
)
def test_a_link_is_never_made_where_anything_is_odd(company: Company, why: str) -> None:
    maya = {"tier": "privileged"} if why == "privileged" else {"state": "disabled"} if why == "left" else {}
    own = (ImportedAccount("crm", "id-old", "old"),) if why == "has one" else ()
    company.add("7", "Person 1", "other@example.com" if "moved" in why else "user1@example.com", *own, **maya)
    if why == "two people":
        company.add("8", "Person 1", "user1@example.com")
    if why in ("moved", "moved to and fro"):  # somebody wrote another's address into their own record, and waited
        theirs, other = "user1@example.com", "other@example.com"
        for mails in ((theirs, other), (other, theirs), (theirs, other))[: 3 if "fro" in why else 1]:
            person = Imported("7", "Person 1", "en", "standard", "active", mails, ())
            company.kit.write(lambda tx, person=person: tx.people.import_batch([person]))
            company.kit.clock.forward(hours=73)
            company.kit.write(address_changes.take_places)
        assert company.one(theirs).contacts[0].address == theirs
    page = [account(1, privileged=why == "an administrator", name="Eve" if why == "other name" else "Person 1")]
    page += [account(2, mail="user1@example.com", name="Person 1")] if why == "two accounts" else []
    report = company.sync(page, rules=LINK)
    assert (report.linked, report.skipped) == (0, {"doubtful": len(page)})


# ── what breaks off, and what systems may send ──────────────────────────────


def test_a_run_that_breaks_off_goes_on(company: Company) -> None:
    pages = [[account(n) for n in range(10)], [account(n) for n in range(10, 20)]]
    company.sync(*pages)
    company.crm.breaks = 1
    changed = [[account(n, name="New") for n in range(10)], pages[1]]
    with pytest.raises(Unavailable):
        company.sync(*changed)
    run = company.kit.read(lambda tx: tx.syncs.run("crm"))
    assert (run.state, run.code, len(company.states())) == ("broken", "unavailable", 20)
    company.crm.breaks = -1
    report = company.sync(*changed)
    assert (report.resumed, report.same, report.off) == (True, 20, 0)
    assert company.kit.read(lambda tx: tx.syncs.run("crm")).generation == run.generation


def test_two_runs_at_once_refuse(company: Company) -> None:
    async def other() -> None:
        with pytest.raises(SyncBusy):
            await sync_people(company.kit.services.db, Listing(), "other", SyncRules())

    company.crm.between = other
    assert company.sync([account(1)], [account(2)]).added == 2


def test_a_list_without_an_end_is_none(company: Company) -> None:
    page = [account(1), account(2)]
    with pytest.raises(BadListing, match="endless"):
        company.sync(*[page] * 100)
    with pytest.raises(BadListing, match="too_many"):
        company.sync(*[[account(n)] for n in range(20)], rules=SyncRules(max_accounts=10))


def test_garbage_costs_only_its_own_rows(company: Company) -> None:
    page = [
        account(1),
        account(1, username="twice"),
        account(2, name="\u202egnp.exe", mail="rtl@example.com"),
        account(3, name="x" * 100_000),
        account(4, username=""),
        account(5, username="u" * 10_000),
        account(6, mail="m" * 10_000 + "@example.com"),
        account(7, mail=None),
        account(8, username="USER1"),
        replace(account(9), external_id=""),
        replace(account(10), external_id="x" * 300),
        replace(account(11), external_id="a\x00b"),
        account(12, synced_from="\u202e" * 500, name="نور"),
        account(13, state="disabled"),
    ]
    report = company.sync(page)
    assert report.skipped == {
        "twice": 1, "bad_username": 2, "bad_mail": 1, "no_mail": 1, "taken": 1, "bad_id": 3, "off": 1,
    }  # fmt: skip
    assert set(company.states()) == {"id-1", "id-2", "id-3", "id-12"}
    assert company.one("user12").accounts[0].provider == "SSO"
    assert company.one("user12").person.name == "نور"
    assert "\u202e" not in company.one("user2").person.name
    assert numbers(company.sync(page))[:3] == (0, 0, 4)


# ── by the clock ────────────────────────────────────────────────────────────


def test_a_sync_is_due_once_in_its_time_and_soon_after_it_broke_off(company: Company) -> None:
    db, systems = company.kit.services.db, {"crm": company.crm}
    schedule = Schedule(("crm",), 24 * HOUR)

    def look() -> Ended | None:
        ended: Ended | None = company.kit.run(sync_next(db, systems, schedule))
        return ended

    company.crm.pages = [[account(1)]]
    first = look()
    assert first is not None
    assert first.report is not None
    assert first.report.added == 1
    assert look() is None
    company.kit.clock.forward(hours=25)
    company.crm.breaks = 0
    broken = look()
    assert broken is not None
    assert (broken.report, broken.code) == (None, "unavailable")
    assert company.kit.read(backlog).syncs == {"crm": (25 * HOUR, True)}
    assert look() is None
    company.crm.breaks = -1
    company.kit.clock.forward(hours=0.3)
    again = look()
    assert again is not None
    assert again.report is not None
    assert again.report.resumed
    assert company.kit.read(backlog).syncs == {"crm": (0, False)}
    assert company.tray.messages == [], "nobody hears of a sync"


def test_a_worker_that_stops_lets_go_of_its_sync(make_kit: Make, database_url: str) -> None:
    kit = make_kit(url=database_url)
    crm, begun = Listing(), asyncio.Event()

    async def wait() -> None:
        begun.set()
        await asyncio.Event().wait()

    crm.pages, crm.between = [[account(1)], [account(2)]], wait
    services = replace(kit.services, connectors={"crm": crm}, people_sync=Schedule(("crm",)))

    async def work() -> None:
        worker = Worker(services)
        worker.start()
        await begun.wait()
        await worker.stop()

    kit.run(work())
    run = kit.read(lambda tx: tx.syncs.run("crm"))
    assert (run.state, run.code, run.lease_until) == ("broken", "stopped", 0)


def test_a_connector_with_a_fault_switches_nobody_off(company: Company) -> None:
    company.sync([account(n) for n in range(20)])

    async def fail() -> None:
        raise KeyError("a field that the author took for granted")

    company.crm.between = fail
    with pytest.raises(KeyError):
        company.sync([account(1)], [account(2)])
    run = company.kit.read(lambda tx: tx.syncs.run("crm"))
    assert (run.state, run.code, len(company.states())) == ("broken", "failed", 20)


def test_the_manager_is_whom_the_systems_name(company: Company) -> None:
    def manager(who: str) -> tuple[str, int] | None:
        whose = company.one(who).person.id
        found = company.kit.read(lambda tx: tx.people.manager_of(whose))
        return (found.person.name, found.since) if found else None

    # The manager comes later in the list than who reports to them.
    team = [account(1, manager="id-2"), account(2, manager=""), account(3, manager="id-3"), account(4, manager="id-9")]
    company.sync(team)
    since = company.kit.clock()
    assert [manager(f"user{n}") for n in (1, 2, 3, 4)] == [("Person 2", since), None, None, None]
    company.kit.clock.now += HOUR
    assert numbers(company.sync(team)) == (0, 0, 4, 0)
    assert manager("user1") == ("Person 2", since), "it was the same all the time"
    company.sync([replace(team[0], manager="id-4"), replace(team[1], manager=None), *team[2:]])
    assert manager("user1") == ("Person 4", company.kit.clock())
    company.sync([replace(team[0], manager=None), *team[1:]])
    assert manager("user1") is not None, "a system that does not say takes nothing back"
    company.sync([replace(team[0], manager="id-2"), *team[1:]])
    company.sync([replace(team[0], manager="id-4"), *team[1:3], account(4, state="disabled")], any_off=True)
    assert manager("user1") is None, "who left confirms nothing"
    company.sync([replace(team[0], manager=""), *team[1:]])
    assert manager("user1") is None


def test_two_systems_that_name_different_managers_name_none(company: Company) -> None:
    company.sync([account(1, manager="id-2"), account(2), account(3)])
    maya = company.one("user1").person.id
    theirs = ImportedAccount("hr", "h1", "maya"), ImportedAccount("hr", "h3", "boss")
    for who, login in ((maya, theirs[0]), (company.one("user3").person.id, theirs[1])):
        company.kit.write(lambda tx, who=who, login=login: links.connect(tx, login, who, 1, "HR", {}))
    company.kit.write(lambda tx: tx.syncs.put_managers("hr", {"h1": "h3"}))
    assert company.kit.read(lambda tx: tx.people.manager_of(maya)) is None
    company.kit.write(lambda tx: tx.syncs.put_managers("hr", {"h1": ""}))
    found = company.kit.read(lambda tx: tx.people.manager_of(maya))
    assert found is not None
    assert found.person.name == "Person 2"
